"""Promotional credits on invoices: a discount, taken off before tax, in whole cents.

Only what was given is taken off. What was bought is money that was paid for calls; it is no discount, and stays.
"""

from __future__ import annotations

import datetime as dt

from accounts.audit import Actor
from accounts.models import Organization
from billing.contracts import Contract
from billing.credits import ledger, settlement, wallets
from billing.credits.order import Draw, Lot, take
from billing.models import CreditDraw, CreditEntry, CreditKind, Wallet

SOURCE = "invoice:"


def room_nanos(organization: Organization, at: dt.datetime) -> int:
    """Promotional credits that were given by `at` and have not expired then, after usage has taken its own.

    Settles, and holds the wallet until the transaction ends. Needs the organization's scope.
    """
    if not Wallet.objects.exists():
        return 0
    ledger.lock(organization.pk)
    settlement.settle(organization, at)
    return sum(lot.left_nanos for lot in _promotional(ledger.lots(), at))


def expected_nanos(contract: Contract, at: dt.datetime) -> int:
    """The same without settling: what would be there if an invoice was stated now."""
    lots = [lot for lot in ledger.lots() if not lot.has_expired(at)]
    given = _promotional(lots, at)
    if not given:
        return 0
    owed = sum(nanos for _, nanos in settlement.owed(contract, at))
    gone = {draw.grant: -draw.amount_nanos for draw in take(lots, owed)}
    return sum(lot.left_nanos - gone.get(lot.grant, 0) for lot in given)


def take_off(organization: Organization, nanos: int, invoice: str, *, by: Actor, at: dt.datetime) -> CreditEntry:
    """Draw what an invoice states as taken off; `nanos` is at most `room_nanos`, asked in the same transaction."""
    wallet = ledger.lock(organization.pk)
    draws = take(_promotional(ledger.lots(), at), nanos)
    entry = ledger.append(
        wallet,
        CreditKind.INVOICE,
        sum(draw.amount_nanos for draw in draws),
        f"{SOURCE}{invoice}",
        at=at,
        by_label=by.label,
        draws=draws,
        note=f"Taken off {invoice}",
    )
    wallets.conclude(organization, wallet, entry, by, at)
    return entry


def give_back(
    organization: Organization, invoice: str, credit_note: str, *, by: Actor, at: dt.datetime
) -> CreditEntry | None:
    """What an invoice took goes back to the grants it came from; None where it took nothing.

    What goes back to a grant that has expired expires with it.
    """
    taken = CreditEntry.objects.filter(source=f"{SOURCE}{invoice}").first()
    if taken is None:
        return None
    wallet = ledger.lock(organization.pk)
    rows = CreditDraw.objects.filter(entry=taken).order_by("id").values_list("grant_id", "amount_nanos")
    entry = ledger.append(
        wallet,
        CreditKind.INVOICE,
        -taken.amount_nanos,
        f"{SOURCE}{credit_note}",
        at=at,
        by_label=by.label,
        draws=[Draw(grant, -amount) for grant, amount in rows],
        note=f"Given back by {credit_note}",
    )
    wallets.conclude(organization, wallet, entry, by, at)
    return entry


def _promotional(lots: list[Lot], at: dt.datetime) -> list[Lot]:
    given = CreditEntry.objects.filter(kind=CreditKind.PROMOTION, occurred_at__lte=at).values_list("pk", flat=True)
    known = set(given)
    return [lot for lot in lots if lot.grant in known and not lot.has_expired(at)]
