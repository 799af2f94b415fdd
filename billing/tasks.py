"""What workers do for billing. Every task opens the scope of its organization itself."""

from __future__ import annotations

from typing import Any

import structlog
from celery import Task, shared_task
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
from core.tenancy import TenantModel, organization_scope, unscoped

logger = structlog.get_logger(__name__)


_MINUTE = 60
_HOUR = 60 * _MINUTE


@shared_task(name="billing.push_limits_of_all")
def push_limits_of_all() -> None:
    """Beat: what is decided takes effect with its day, and the periods to come get their rows."""
    _each(push_limits_of, Subscription, "plan", 15 * _MINUTE)


@shared_task(name="billing.push_limits_of")
def push_limits_of(organization_id: int) -> None:
    with organization_scope(organization_id):
        contract = Contract.load(Organization.objects.get(pk=organization_id))
        if contract is not None:
            enforce(contract)


@shared_task(name="billing.watch_credits")
def watch_credits() -> None:
    """Beat: credits expire when they do, and it is told when they are low."""
    _each(watch_credits_of, Wallet, "credits", _MINUTE)


@shared_task(name="billing.watch_credits_of")
def watch_credits_of(organization_id: int) -> None:
    wallets.watch(_organization(organization_id), now())


@shared_task(name="billing.settle_credits")
def settle_credits() -> None:
    """Beat: usage takes its credits."""
    _each(settle_credits_of, Wallet, "credits", _HOUR)


@shared_task(name="billing.settle_credits_of")
def settle_credits_of(organization_id: int) -> None:
    wallets.settle(_organization(organization_id), now())


@shared_task(name="billing.watch_budgets_of_all")
def watch_budgets_of_all() -> None:
    """Beat: thresholds of budgets that are reached are told."""
    _each(watch_budgets_of, Budget, "budgets", _MINUTE, archived_at=None)


@shared_task(name="billing.watch_budgets_of")
def watch_budgets_of(organization_id: int) -> None:
    watch_budgets(_organization(organization_id), now())


@shared_task(name="billing.close_due_periods")
def close_periods_of_all() -> None:
    """Beat: periods whose grace is over are closed, each organization's by itself."""
    _each(close_periods, Subscription, "periods", _HOUR)


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


@shared_task(name="billing.check_tax_number")
def check_tax_number(organization_id: int) -> None:
    """The register is asked about the organization's number, as it is now."""
    check_number(organization_id, now())


@shared_task(name="billing.recheck_tax_numbers")
def recheck_tax_numbers() -> None:
    """Beat: the register is asked about numbers it did not tell of, or told of long ago."""
    for organization_id in to_ask(now()):
        check_tax_number.delay(organization_id)


def _each(task: Task, model: type[TenantModel], whose: str, every: int, **chosen: Any) -> None:
    """A task for each organization that has such rows, so that the trouble of one is nobody else's.

    Whose turn has not come when the next round begins, `every` seconds later, is in that one.
    """
    with unscoped(f"beat looks after every organization's {whose}"):
        rows = model.objects.filter(**chosen).order_by("organization_id")
        ids = list(rows.values_list("organization_id", flat=True).distinct())
    for organization_id in ids:
        task.apply_async((organization_id,), expires=every)


def _organization(organization_id: int) -> Organization:
    with organization_scope(organization_id):
        organization: Organization = Organization.objects.get(pk=organization_id)
    return organization
