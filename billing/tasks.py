"""What workers do for billing. Every task opens the scope of its organization itself."""

from __future__ import annotations

from celery import shared_task

from accounts.models import Organization
from billing.allowances import push_limits
from billing.contracts import Contract
from billing.models import Subscription
from core.tenancy import organization_scope, unscoped


@shared_task(name="billing.push_limits_of_all")
def push_limits_of_all() -> None:
    """Beat: what is decided takes effect with its day, and the periods to come get their rows."""
    with unscoped("beat looks after every organization's plan"):
        organizations = list(Organization.objects.filter(pk__in=Subscription.objects.values("organization")))
    for organization in organizations:
        with organization_scope(organization.pk):
            contract = Contract.load(organization)
            if contract is not None:
                push_limits(contract)
