"""What workers do for billing. Every task opens the scope of its organization itself."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Organization
from billing.budgets.crossings import watch_budgets
from billing.contracts import Contract
from billing.credits import wallets
from billing.enforcement import enforce
from billing.invoices.closing import close_due_periods
from billing.invoices.lines import NoSellerError
from billing.invoices.papers import paper_of
from billing.models import Budget, Invoice, Subscription, Wallet
from billing.parties.profile import check_number
from billing.parties.rechecks import to_ask
from core.tenancy import organization_scope, unscoped

logger = structlog.get_logger(__name__)


@shared_task(name="billing.push_limits_of_all")
def push_limits_of_all() -> None:
    """Beat: what is decided takes effect with its day, and the periods to come get their rows."""
    with unscoped("beat looks after every organization's plan"):
        organizations = list(Organization.objects.filter(pk__in=Subscription.objects.values("organization")))
    for organization in organizations:
        with organization_scope(organization.pk):
            contract = Contract.load(organization)
            if contract is not None:
                enforce(contract)


@shared_task(name="billing.watch_credits")
def watch_credits() -> None:
    """Beat: credits expire when they do, and it is told when they are low."""
    for organization in _with_wallets():
        wallets.watch(organization, now())


@shared_task(name="billing.settle_credits")
def settle_credits() -> None:
    """Beat: usage takes its credits."""
    for organization in _with_wallets():
        wallets.settle(organization, now())


@shared_task(name="billing.watch_budgets_of_all")
def watch_budgets_of_all() -> None:
    """Beat: thresholds of budgets that are reached are told."""
    with unscoped("beat looks after every organization's budgets"):
        organizations = list(
            Organization.objects.filter(pk__in=Budget.objects.filter(archived_at=None).values("organization"))
        )
    for organization in organizations:
        watch_budgets(organization, now())


@shared_task(name="billing.close_due_periods")
def close_periods_of_all() -> None:
    """Beat: periods whose grace is over are closed, each organization's by itself."""
    with unscoped("beat looks after every organization's periods"):
        ids = list(
            Organization.objects.filter(pk__in=Subscription.objects.values("organization")).values_list("pk", flat=True)
        )
    for organization_id in ids:
        close_periods.delay(organization_id)


@shared_task(name="billing.close_periods")
def close_periods(organization_id: int) -> None:
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        try:
            close_due_periods(organization, by=Actor.of_command("close_period"))
        except NoSellerError as missing:
            logger.warning("periods stay open", organization=organization.slug, reason=str(missing))


@shared_task(name="billing.make_paper")
def make_paper(organization_id: int, invoice_id: int) -> None:
    """The PDF as the invoice stands now."""
    with organization_scope(organization_id):
        paper_of(Invoice.objects.get(pk=invoice_id))


def _with_wallets() -> list[Organization]:
    with unscoped("beat looks after every organization's credits"):
        return list(Organization.objects.filter(pk__in=Wallet.objects.values("organization")))


@shared_task(name="billing.check_tax_number")
def check_tax_number(organization_id: int) -> None:
    """The register is asked about the organization's number, as it is now."""
    check_number(organization_id, now())


@shared_task(name="billing.recheck_tax_numbers")
def recheck_tax_numbers() -> None:
    """Beat: the register is asked about numbers it did not tell of, or told of long ago."""
    for organization_id in to_ask(now()):
        check_tax_number.delay(organization_id)
