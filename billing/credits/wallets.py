"""Credits bought, given, given back and put right; what is low, and what is bought by itself then."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from billing.contracts import Contract
from billing.credits import ledger, settlement, topping_up
from billing.credits.limit import push_credits
from billing.credits.order import Draw, take
from billing.models import CreditEntry, CreditKind, TopUp, Wallet
from billing.signals import top_up_due
from core.errors import ApiError
from core.facts import Fact, tell
from core.money import usd_text
from core.tenancy import organization_scope


def purchase(
    organization: Organization, nanos: int, source: str, *, by: Actor, at: dt.datetime | None = None, note: str = ""
) -> CreditEntry:
    """Credits that were paid for; they do not expire. The same source again changes nothing."""
    return _grant(organization, CreditKind.PURCHASE, nanos, source, by, at or now(), None, note)


def grant(
    organization: Organization,
    nanos: int,
    source: str,
    *,
    by: Actor,
    expires_at: dt.datetime | None = None,
    at: dt.datetime | None = None,
    note: str = "",
) -> CreditEntry:
    """Promotional credits, for ever or until they expire. The same source again changes nothing."""
    at = at or now()
    if expires_at is not None and expires_at <= at:
        raise ApiError(422, "invalid_parameter", "Credits expire in the future.", param="expires_at")
    return _grant(organization, CreditKind.PROMOTION, nanos, source, by, at, expires_at, note)


def adjust(
    organization: Organization, nanos: int, source: str, *, by: Actor, note: str, at: dt.datetime | None = None
) -> CreditEntry:
    """Put a balance right by hand, upwards or downwards; `note` says why. Raises ApiError 409 beyond what there is."""
    if not nanos or not note.strip():
        raise ApiError(422, "invalid_parameter", "An adjustment has an amount and a reason.", param="note")
    if nanos > 0:
        return _grant(organization, CreditKind.ADJUSTMENT, nanos, source, by, at or now(), None, note)
    return _take_back(organization, CreditKind.ADJUSTMENT, -nanos, source, by, at or now(), note)


def refund(
    organization: Organization, nanos: int, source: str, *, by: Actor, at: dt.datetime | None = None, note: str = ""
) -> CreditEntry:
    """Pay back what was bought and is not used. Raises ApiError 409 beyond that."""
    if nanos <= 0:
        raise ApiError(422, "invalid_parameter", "A refund is more than nothing.", param="amount")
    return _take_back(organization, CreditKind.REFUND, nanos, source, by, at or now(), note)


def set_rules(
    organization: Organization,
    *,
    low_below_nanos: int | None,
    top_up_below_nanos: int | None,
    top_up_nanos: int | None,
    by: Actor,
) -> Wallet:
    """Below what credits are low; below what how many are bought by themselves. None: never.

    Raises ApiError 422 for amounts, 409 for another top-up rule where credits that are bought pay nothing.
    """
    at = now()
    if low_below_nanos is not None and low_below_nanos <= 0:
        raise ApiError(422, "invalid_parameter", "An amount is more than nothing.", param="low_below_usd")
    topping_up.check_rule(top_up_below_nanos, top_up_nanos)
    with organization_scope(organization.pk):
        wallet = ledger.lock(organization.pk)
        is_other = (top_up_below_nanos, top_up_nanos) != (wallet.top_up_below_nanos, wallet.top_up_nanos)
        if top_up_nanos is not None and is_other:
            topping_up.check_use(Contract.load(organization), at)
        values = {
            "low_below_nanos": low_below_nanos,
            "top_up_below_nanos": top_up_below_nanos,
            "top_up_nanos": top_up_nanos,
        }
        audit.change(by, "credits.set_rules", wallet, values, _said)
        _watch(organization, wallet, at)
    return wallet


def watch(organization: Organization, at: dt.datetime) -> None:
    """Tell when credits have become low, and note what is to be bought; settle first what has expired."""
    with organization_scope(organization.pk):
        if any(lot.has_expired(at) for lot in ledger.lots()):
            settle(organization, at)
        _watch(organization, ledger.lock(organization.pk), at)


def settle(organization: Organization, at: dt.datetime) -> None:
    """Take credits for usage and push what follows."""
    with organization_scope(organization.pk):
        settlement.settle(organization, at)
        _push(organization, at)


def _grant(
    organization: Organization,
    kind: CreditKind,
    nanos: int,
    source: str,
    by: Actor,
    at: dt.datetime,
    expires_at: dt.datetime | None,
    note: str,
) -> CreditEntry:
    if nanos <= 0:
        raise ApiError(422, "invalid_parameter", "Credits are more than nothing.", param="amount")
    with organization_scope(organization.pk):
        wallet = ledger.lock(organization.pk)
        entry = ledger.existing(organization.pk, kind, nanos, source)
        if entry is not None:
            return entry
        entry = ledger.append(wallet, kind, nanos, source, at=at, by_label=by.label, expires_at=expires_at, note=note)
        conclude(organization, wallet, entry, by, at)
    return entry


def _take_back(
    organization: Organization, kind: CreditKind, nanos: int, source: str, by: Actor, at: dt.datetime, note: str
) -> CreditEntry:
    with organization_scope(organization.pk):
        wallet = ledger.lock(organization.pk)
        entry = ledger.existing(organization.pk, kind, -nanos, source)
        if entry is not None:
            return entry
        # What was used until now is used, and cannot be taken back.
        settlement.settle(organization, at)
        draws = _draws(kind, nanos)
        if -sum(draw.amount_nanos for draw in draws) < nanos:
            raise ApiError(409, "insufficient_credits", f"There are less than ${usd_text(nanos)} of such credits.")
        entry = ledger.append(wallet, kind, -nanos, source, at=at, by_label=by.label, draws=draws, note=note)
        conclude(organization, wallet, entry, by, at)
    return entry


def _draws(kind: CreditKind, nanos: int) -> list[Draw]:
    return take(ledger.bought() if kind == CreditKind.REFUND else ledger.lots(), nanos)


def conclude(organization: Organization, wallet: Wallet, entry: CreditEntry, by: Actor, at: dt.datetime) -> None:
    """What follows an entry: its row in the audit log, usage that it pays, what calls hear, what is low."""
    audit.record(
        by, f"credits.{entry.kind}", entry, {"amount_usd": (None, usd_text(entry.amount_nanos))}, label=entry.source
    )
    settlement.settle(organization, at)
    _push(organization, at)
    _watch(organization, wallet, at)


def _said(wallet: Wallet) -> dict[str, str | None]:
    names = ("low_below_nanos", "top_up_below_nanos", "top_up_nanos")
    return {name: f"${usd_text(nanos)}" if (nanos := getattr(wallet, name)) is not None else "never" for name in names}


def _push(organization: Organization, at: dt.datetime) -> None:
    contract = Contract.load(organization)
    if contract is not None:
        push_credits(contract, at)


def _watch(organization: Organization, wallet: Wallet, at: dt.datetime) -> None:
    there = settlement.standing(organization, at)
    is_low = wallet.low_below_nanos is not None and there.available < wallet.low_below_nanos
    if is_low != (wallet.low_since is not None):
        wallet.low_since = at if is_low else None
        wallet.save(update_fields=["low_since"])
        if is_low:
            _tell_low(organization, wallet, there.available, at)
    _watch_top_up(organization, wallet, there, at)


def _tell_low(organization: Organization, wallet: Wallet, available: int, at: dt.datetime) -> None:
    top_up = {"below_usd": usd_text(wallet.top_up_below_nanos), "amount_usd": usd_text(wallet.top_up_nanos)}
    tell(
        Fact(
            "credits.low",
            organization.pk,
            key=f"low since {at.isoformat()}",
            happened_at=at,
            data={
                "page": reverse("billing:credits", args=[organization.slug]),
                "available_usd": usd_text(available),
                "threshold_usd": usd_text(wallet.low_below_nanos),
                "auto_top_up": None if wallet.top_up_below_nanos is None else top_up,
            },
        )
    )


def _watch_top_up(organization: Organization, wallet: Wallet, there: settlement.Standing, at: dt.datetime) -> None:
    if wallet.top_up_nanos is None:
        return
    amount = topping_up.amount_due(wallet, there, Contract.load(organization), at)
    if amount:
        due = TopUp.objects.create(organization=organization, amount_nanos=amount, due_at=at)
        transaction.on_commit(lambda: top_up_due.send(TopUp, organization_id=organization.pk, top_up_id=due.pk))
