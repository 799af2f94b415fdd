"""Usage takes credits: what days on a plan that is paid with credits cost, less what was taken for them before.

The figure is the query's (metering/query), so that what is taken is what every page says. Between settlements nothing
is lost: metering's row counts usage itself (limit.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import msgspec
from django.db.models import Sum

from accounts.models import Organization
from billing.contracts import Contract
from billing.credits import ledger
from billing.credits.order import Draw, give_back, take
from billing.models import CreditDraw, CreditEntry, CreditKind, Overage, Wallet
from core.periods import day_start
from core.tenancy import organization_scope
from metering.query.run import run
from metering.query.spec import UsageQuery

_BY = "usage"
# Events may be dated a little ahead.
_AHEAD = dt.timedelta(days=3)


class Stretch(msgspec.Struct, frozen=True):
    """Days that are paid with credits, half-open; `ends_on` None: until further notice."""

    starts_on: dt.date
    ends_on: dt.date | None


class Standing(msgspec.Struct, frozen=True):
    """What credits there are, in nano-dollars. `unsettled` is what usage cost and has not been taken yet."""

    balance: int
    unsettled: int

    @property
    def left(self) -> int:
        """Below 0 where usage cost more than there was: the next credits pay that first."""
        return self.balance - self.unsettled

    @property
    def available(self) -> int:
        return max(0, self.left)


def stretches(contract: Contract, today: dt.date) -> list[Stretch]:
    """Those that have begun, in order."""
    found: list[Stretch] = []
    edges = sorted({decision.effective_on for decision in contract.decisions if decision.effective_on <= today})
    for day in edges:
        version = contract.version_on(day)
        is_paid = version is not None and version.overage == Overage.CREDITS
        is_open = bool(found) and found[-1].ends_on is None
        if is_paid and not is_open:
            found.append(Stretch(day, None))
        elif is_open and not is_paid:
            found[-1] = Stretch(found[-1].starts_on, day)
    return found


def standing(organization: Organization, at: dt.datetime) -> Standing:
    """What there is now, usage of this moment included."""
    with organization_scope(organization.pk):
        contract = Contract.load(organization)
        unsettled = sum(nanos for _, nanos in owed(contract, at)) if contract is not None else 0
        return Standing(ledger.balance_nanos(), unsettled)


def settle(organization: Organization, at: dt.datetime) -> None:
    """Take credits for usage, give them back where it was corrected, and let expire what has.

    What expired is first drawn from by the usage until then. Where credits do not suffice the rest stays owed, and the
    next grant pays it.
    """
    with organization_scope(organization.pk):
        wallet = ledger.lock(organization.pk)
        contract = Contract.load(organization)
        for expires_at in sorted({lot.expires_at for lot in ledger.lots() if lot.expires_at and lot.has_expired(at)}):
            if contract is not None:
                _settle_usage(wallet, contract, expires_at, is_past=True)
            _expire(wallet, expires_at)
        if contract is not None:
            _settle_usage(wallet, contract, at)
        # What was given back to a grant that has expired goes with it.
        _expire(wallet, at)


def taken_nanos(stretch: Stretch) -> int:
    """What entries have taken for a stretch's usage."""
    entries = CreditEntry.objects.filter(kind=CreditKind.CONSUMPTION, usage_since=stretch.starts_on)
    return -int(entries.aggregate(total=Sum("amount_nanos"))["total"] or 0)


def owed(contract: Contract, at: dt.datetime, *, is_past: bool = False) -> Iterator[tuple[Stretch, int]]:
    """Each stretch with what its usage cost beyond what was taken; below 0 where it was corrected.

    `is_past`: as far as it happened before `at`, else with what is dated a little ahead, as every total of today.
    """
    for stretch in stretches(contract, contract.today(at)):
        start = day_start(stretch.starts_on, contract.zone)
        end = at if is_past else day_start(contract.today(at) + _AHEAD, contract.zone)
        if stretch.ends_on is not None:
            end = min(end, day_start(stretch.ends_on, contract.zone))
        if end > start:
            cost = run(UsageQuery(contract.organization_id, start, end, contract.zone)).totals.known_cost_nanos
            yield stretch, cost - taken_nanos(stretch)


def _settle_usage(wallet: Wallet, contract: Contract, at: dt.datetime, *, is_past: bool = False) -> None:
    for stretch, nanos in list(owed(contract, at, is_past=is_past)):
        if nanos > 0:
            alive = [lot for lot in ledger.lots() if is_past or not lot.has_expired(at)]
            draws = take(alive, nanos)
        elif nanos < 0 and not is_past:
            draws = give_back(_taken(stretch), -nanos)
        else:
            draws = []
        amount = sum(draw.amount_nanos for draw in draws)
        if amount:
            number = CreditEntry.objects.filter(kind=CreditKind.CONSUMPTION, usage_since=stretch.starts_on).count() + 1
            ledger.append(
                wallet,
                CreditKind.CONSUMPTION,
                amount,
                f"usage:{stretch.starts_on}#{number}",
                at=at,
                by_label=_BY,
                draws=draws,
                usage_since=stretch.starts_on,
            )


def _taken(stretch: Stretch) -> list[Draw]:
    """What was taken for a stretch's usage, by grant, in the order of the last draw."""
    rows = CreditDraw.objects.filter(entry__kind=CreditKind.CONSUMPTION, entry__usage_since=stretch.starts_on)
    by_grant: dict[int, int] = {}
    for grant, amount in rows.order_by("entry__number", "id").values_list("grant_id", "amount_nanos"):
        by_grant[grant] = by_grant.pop(grant, 0) + amount
    return [Draw(grant, amount) for grant, amount in by_grant.items() if amount]


def _expire(wallet: Wallet, at: dt.datetime) -> None:
    for lot in ledger.lots():
        if lot.has_expired(at):
            number = CreditDraw.objects.filter(grant_id=lot.grant, entry__kind=CreditKind.EXPIRY).count() + 1
            ledger.append(
                wallet,
                CreditKind.EXPIRY,
                -lot.left_nanos,
                f"expiry:{lot.number}#{number}",
                at=lot.expires_at or at,
                by_label="expiry",
                draws=[Draw(lot.grant, -lot.left_nanos)],
            )
