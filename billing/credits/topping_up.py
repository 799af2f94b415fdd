"""Credits bought by themselves: one purchase that brings what there is to the threshold, a few times a day at most."""

from __future__ import annotations

import datetime as dt

from billing.contracts import Contract
from billing.credits import amounts, ledger
from billing.credits.settlement import Standing, standing
from billing.models import CreditEntry, Overage, TopUp, TopUpStatus, Wallet
from core.errors import ApiError
from core.money import NANOS_PER_USD

# What goes on in a loop, or is used up by a mistake, charges the card no oftener than that.
MOST_A_DAY = 5
_DAY = dt.timedelta(days=1)


def check_rule(below_nanos: int | None, amount_nanos: int | None) -> None:
    """Raises ApiError 422 for a rule that makes no sense. None and None: nothing is bought by itself."""
    if (below_nanos is None) != (amount_nanos is None):
        raise ApiError(422, "invalid_parameter", "A top-up has a threshold and an amount.", param="auto_top_up")
    if below_nanos is None or amount_nanos is None:
        return
    if not 0 < below_nanos <= amounts.MOST:
        most = f"{amounts.MOST // NANOS_PER_USD:,}"
        message = f"The threshold is more than nothing and at most ${most}."
        raise ApiError(422, "invalid_parameter", message, param="auto_top_up")
    amounts.check(amount_nanos, param="auto_top_up")


def check_use(contract: Contract | None, at: dt.datetime) -> None:
    """Raises ApiError 409 for a rule on a plan where credits that are bought pay nothing."""
    if not pays_calls(contract, at):
        message = "On this plan credits that are bought pay nothing: nothing is bought automatically."
        raise ApiError(409, "credits_pay_nothing", message)


def pays_calls(contract: Contract | None, at: dt.datetime) -> bool:
    """Whether credits that are bought pay for anything: calls, on the plan of that day."""
    version = contract.version_on(contract.today(at)) if contract is not None else None
    return version is not None and version.overage == Overage.CREDITS


def amount_to_buy(left_nanos: int, below_nanos: int, each_nanos: int) -> int:
    """The rule's amount as often as it takes to reach the threshold, as far as that is bought at once.

    `left_nanos` is below 0 where usage is not covered: what is bought pays that first.
    """
    if left_nanos >= below_nanos:
        return 0
    missing = max(below_nanos - left_nanos, amounts.LEAST)
    return min(-(-missing // each_nanos), amounts.MOST // each_nanos) * each_nanos


def amount_due(wallet: Wallet, there: Standing, contract: Contract | None, at: dt.datetime) -> int:
    """What the wallet's rule buys now; 0: nothing. Needs the organization's scope."""
    below, each = wallet.top_up_below_nanos, wallet.top_up_nanos
    if below is None or each is None:
        return 0
    amount = amount_to_buy(there.left, below, each)
    if not amount or not pays_calls(contract, at) or pauses_until(at) is not None:
        return 0
    if TopUp.objects.filter(status=TopUpStatus.DUE).exists():
        return 0
    latest = TopUp.objects.filter(ordered_by_label="").order_by("-pk").first()
    is_stuck = latest is not None and latest.status != TopUpStatus.PAID and not _was_more_since(latest, wallet)
    return 0 if is_stuck else amount


def pauses_until(at: dt.datetime) -> dt.datetime | None:
    """When the next automatic purchase may be, after as many as there are in a day. Needs the organization's scope."""
    recent = TopUp.objects.filter(ordered_by_label="", status=TopUpStatus.PAID, due_at__gt=at - _DAY)
    latest = list(recent.order_by("-due_at").values_list("due_at", flat=True)[:MOST_A_DAY])
    return latest[-1] + _DAY if len(latest) == MOST_A_DAY else None


def at_once(wallet: Wallet, at: dt.datetime) -> int:
    """What a wallet would buy now, were its rule the stored one. Needs the organization's scope."""
    organization = wallet.organization
    return amount_due(wallet, standing(organization, at), Contract.load(organization), at)


def _was_more_since(failed: TopUp, wallet: Wallet) -> bool:
    """Whether somebody bought or gave credits after it failed: a card is not asked again and again."""
    return CreditEntry.objects.filter(
        kind__in=ledger.GRANTS,
        amount_nanos__gt=0,
        recorded_at__gt=failed.closed_at,
        organization=wallet.organization_id,
    ).exists()
