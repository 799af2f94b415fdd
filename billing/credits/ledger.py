"""The ledger of credits: every entry is made here, one after the other, each with its source once.

An organization's wallet row is locked from before the balance is read until the transaction ends; the database's own
rules (billing/migrations) hold behind that, whoever writes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import Sum

from billing.credits.order import Draw, Lot
from billing.models import CreditDraw, CreditEntry, CreditKind, Wallet
from core.errors import ApiError

GRANTS = (CreditKind.PURCHASE, CreditKind.PROMOTION, CreditKind.ADJUSTMENT)


def lock(organization_id: int) -> Wallet:
    """The wallet, made where there is none, its row locked. Needs the organization's scope."""
    Wallet.objects.get_or_create(organization_id=organization_id)
    wallet: Wallet = Wallet.objects.select_for_update().get(organization_id=organization_id)
    return wallet


def balance_nanos(at: dt.datetime | None = None) -> int:
    """The sum of all entries, or of those recorded up to an instant. Needs the organization's scope."""
    entries = CreditEntry.objects.all() if at is None else CreditEntry.objects.filter(recorded_at__lte=at)
    return int(entries.aggregate(total=Sum("amount_nanos"))["total"] or 0)


def lots() -> list[Lot]:
    """Every grant that has something left, oldest first. Needs the organization's scope."""
    grants = CreditEntry.objects.filter(kind__in=GRANTS, amount_nanos__gt=0).annotate(
        drawn_nanos=Sum("drawn__amount_nanos")
    )
    found = [
        Lot(
            grant.pk,
            grant.number,
            grant.amount_nanos + (grant.drawn_nanos or 0),
            grant.kind == CreditKind.PROMOTION,
            grant.expires_at,
        )
        for grant in grants.order_by("number")
    ]
    return [lot for lot in found if lot.left_nanos]


def bought() -> list[Lot]:
    """Purchases that have something left, oldest first. Needs the organization's scope."""
    purchases = set(CreditEntry.objects.filter(kind=CreditKind.PURCHASE).values_list("pk", flat=True))
    return [lot for lot in lots() if lot.grant in purchases]


def existing(organization_id: int, kind: CreditKind, amount_nanos: int, source: str) -> CreditEntry | None:
    """The entry that was made for a source before. Raises ApiError 409 when that was another act."""
    entry: CreditEntry | None = CreditEntry.objects.filter(organization_id=organization_id, source=source).first()
    if entry is not None and (entry.kind, entry.amount_nanos) != (kind, amount_nanos):
        raise ApiError(409, "source_conflict", f"{source!r} stands for another entry. It stays.", param="source")
    return entry


def append(
    wallet: Wallet,
    kind: CreditKind,
    amount_nanos: int,
    source: str,
    *,
    at: dt.datetime,
    by_label: str,
    draws: Sequence[Draw] = (),
    expires_at: dt.datetime | None = None,
    usage_since: dt.date | None = None,
    note: str = "",
) -> CreditEntry:
    """Add an entry behind the last one. The wallet must be locked, and draws sum to the amount where there are any."""
    last = CreditEntry.objects.order_by("-number").first()
    entry: CreditEntry = CreditEntry.objects.create(
        organization_id=wallet.organization_id,
        number=last.number + 1 if last else 1,
        kind=kind,
        amount_nanos=amount_nanos,
        balance_nanos=(last.balance_nanos if last else 0) + amount_nanos,
        source=source,
        occurred_at=at,
        expires_at=expires_at,
        usage_since=usage_since,
        note=note,
        recorded_by_label=by_label[:254],
    )
    CreditDraw.objects.bulk_create(
        CreditDraw(
            organization_id=wallet.organization_id, entry=entry, grant_id=draw.grant, amount_nanos=draw.amount_nanos
        )
        for draw in draws
    )
    return entry
