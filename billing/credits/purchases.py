"""Credits being bought: ordered by somebody or by the wallet's rule, then paid, refused or withdrawn, each once.

The wallet's row is locked first, so that of several that close a purchase at once one does.
"""

from __future__ import annotations

import datetime as dt
from functools import partial

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from billing.credits import amounts, ledger, settlement, wallets
from billing.credits.order import take
from billing.models import CreditEntry, CreditKind, TopUp, TopUpStatus
from billing.signals import top_up_due
from core.errors import ApiError
from core.money import usd_text
from core.tenancy import organization_scope

SOURCE = "top-up:"


def order(
    organization: Organization, nanos: int, *, by: Actor, charges_card: bool, at: dt.datetime | None = None
) -> TopUp:
    """Credits somebody wants to buy, one purchase at a time. Raises ApiError 422 for an amount, 409 for a second."""
    amounts.check(nanos)
    with organization_scope(organization.pk):
        ledger.lock(organization.pk)
        under_way = TopUp.objects.filter(status=TopUpStatus.DUE).first()
        if under_way is not None:
            amount = usd_text(under_way.amount_nanos)
            raise ApiError(
                409, "top_up_due", f"Credits for ${amount} are being bought: pay for or withdraw them first."
            )
        ordered: TopUp = TopUp.objects.create(
            organization=organization,
            amount_nanos=nanos,
            due_at=at or now(),
            ordered_by_label=by.label[:254],
            charges_card=charges_card,
        )
        audit.record(by, "credits.order", ordered, {"amount_usd": (None, usd_text(nanos))}, label=_name(ordered))
        told = {"organization_id": organization.pk, "top_up_id": ordered.pk}
        transaction.on_commit(partial(top_up_due.send, TopUp, **told))
    return ordered


def complete(
    top_up: TopUp, *, by: Actor, payment_id: str = "", note: str = "", at: dt.datetime | None = None
) -> CreditEntry:
    """It was paid, and the credits are there; also after it had failed or was withdrawn. Again changes nothing.

    Raises ApiError 409 when another payment has paid it: that money is nobody's here.
    """
    at = at or now()
    with organization_scope(top_up.organization_id):
        organization = Organization.objects.get(pk=top_up.organization_id)
        ledger.lock(organization.pk)
        known = TopUp.objects.get(pk=top_up.pk)
        if known.status == TopUpStatus.PAID and payment_id and payment_id != known.payment_id:
            raise ApiError(409, "already_paid", f"{_name(known)} was paid before.")
        words = note or (f"Bought by {known.ordered_by_label}" if known.ordered_by_label else "Auto top-up")
        # Before the entry, so that what is low is watched without a purchase under way.
        TopUp.objects.filter(pk=top_up.pk).exclude(status=TopUpStatus.PAID).update(
            status=TopUpStatus.PAID, closed_at=at, payment_id=payment_id
        )
        return wallets.purchase(organization, known.amount_nanos, f"{SOURCE}{known.pk}", by=by, at=at, note=words[:200])


def fail(top_up: TopUp, at: dt.datetime | None = None, *, reason: str = "") -> None:
    """It was not paid, for a reason. Another becomes due when credits are low the next time, after there was more."""
    _end(top_up, TopUpStatus.FAILED, at or now(), refusal=reason[:300])


def withdraw(top_up: TopUp, *, by: Actor, at: dt.datetime | None = None) -> bool:
    """Nobody wants it any more. False when it was paid, refused or withdrawn before."""
    with organization_scope(top_up.organization_id):
        if not _end(top_up, TopUpStatus.WITHDRAWN, at or now()):
            return False
        amount = usd_text(top_up.amount_nanos)
        audit.record(by, "credits.withdraw", top_up, {"amount_usd": (amount, None)}, label=_name(top_up))
        return True


def return_payment(top_up: TopUp, nanos: int, source: str, *, by: Actor, at: dt.datetime) -> CreditEntry | None:
    """Money of a purchase went back, so do credits that were bought: as many as are not used. Again changes nothing.

    None where all of them are used: the balance is not below 0, and what was used is used.
    """
    with organization_scope(top_up.organization_id):
        organization = Organization.objects.get(pk=top_up.organization_id)
        wallet = ledger.lock(organization.pk)
        known: CreditEntry | None = CreditEntry.objects.filter(source=source).first()
        if known is not None:
            return known
        settlement.settle(organization, at)
        draws = take(ledger.bought(), nanos)
        amount = sum(draw.amount_nanos for draw in draws)
        if not amount:
            return None
        used = nanos + amount
        rest = f", ${usd_text(used)} of it used before" if used else ""
        entry = ledger.append(
            wallet,
            CreditKind.REFUND,
            amount,
            source,
            at=at,
            by_label=by.label,
            draws=draws,
            note=f"${usd_text(nanos)} went back to the card{rest}",
        )
        wallets.conclude(organization, wallet, entry, by, at)
        return entry


def left_of_cards() -> list[tuple[TopUp, int]]:
    """Purchases that a card paid, with what is left of each in nano-dollars, oldest first. Needs the scope."""
    left = {lot.grant: lot.left_nanos for lot in ledger.bought()}
    sources = dict(CreditEntry.objects.filter(pk__in=left).values_list("source", "pk"))
    paid = TopUp.objects.filter(status=TopUpStatus.PAID).exclude(payment_id="").order_by("pk")
    found = [(top_up, sources.get(f"{SOURCE}{top_up.pk}")) for top_up in paid]
    return [(top_up, left[grant]) for top_up, grant in found if grant is not None]


def _end(top_up: TopUp, status: TopUpStatus, at: dt.datetime, **more: str) -> bool:
    with organization_scope(top_up.organization_id):
        ledger.lock(top_up.organization_id)
        due = TopUp.objects.filter(pk=top_up.pk, status=TopUpStatus.DUE)
        return bool(due.update(status=status, closed_at=at, **more))


def _name(top_up: TopUp) -> str:
    return f"Purchase {top_up.pk}"
