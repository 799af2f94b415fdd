"""Beat looks after every organization: the trouble of one is its own."""

from __future__ import annotations

import datetime as dt

import pytest

from accounts.models import Organization
from billing import tasks
from billing.credits import wallets
from billing.models import Budget, BudgetCrossing, CreditEntry
from core.tenancy import organization_scope, unscoped
from metering.events import Usage
from metering.models import Limit
from tests.billing.plans import BY, subscribed
from tests.metering.query.usage import make_event, write

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tasks_at_once")]
NOW = dt.datetime.now(dt.UTC)


def trouble(acme: Organization, globex: Organization) -> None:
    """Acme's days cannot be told any more; Globex comes after it."""
    with unscoped("both are changed"):
        Organization.objects.filter(pk=acme.pk).update(timezone="Nowhere/Never")
        Organization.objects.filter(pk=globex.pk).update(name="Globex")


def test_thresholds_of_the_others_are_told(acme: Organization, globex: Organization) -> None:
    for organization in (acme, globex):
        with organization_scope(organization.pk):
            Budget.objects.create(organization=organization, scope="organization", unit="tokens", amount=10)
        write(organization.pk, [make_event("a", NOW, usage=Usage(input=8))])
    trouble(acme, globex)
    tasks.watch_budgets_of_all()
    with organization_scope(globex.pk):
        assert BudgetCrossing.objects.count() == 1


def test_limits_of_the_others_are_pushed(acme: Organization, globex: Organization) -> None:
    for organization in (acme, globex):
        subscribed(organization, "developer", NOW)
        with organization_scope(organization.pk):
            Limit.objects.all().delete()
    trouble(acme, globex)
    tasks.push_limits_of_all()
    with organization_scope(globex.pk):
        assert Limit.objects.exists()


def test_credits_of_the_others_are_looked_after(acme: Organization, globex: Organization) -> None:
    """Watching expires what is over; settling takes what was used."""
    for organization in (acme, globex):
        subscribed(organization, "prepaid", NOW)
        wallets.purchase(organization, 10**10, "pay_1", by=BY)
        hours_ago = NOW - dt.timedelta(hours=2)
        wallets.grant(organization, 10**9, "gift", by=BY, at=hours_ago, expires_at=NOW - dt.timedelta(hours=1))
    trouble(acme, globex)
    tasks.watch_credits()
    write(globex.pk, [make_event("a", NOW, usage=Usage(input=8_000))])
    with organization_scope(globex.pk):
        assert CreditEntry.objects.latest("number").kind == "expiry"
    tasks.settle_credits()
    with organization_scope(globex.pk):
        assert CreditEntry.objects.latest("number").kind == "consumption"
