"""Credits as people read them: what is left of each grant, and the ledger with what each entry took from which."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec
from django.db.models import Prefetch, QuerySet

from billing.credits import ledger
from billing.credits.discounts import SOURCE
from billing.credits.order import in_order
from billing.models import CreditDraw, CreditEntry, CreditKind
from core.money import usd_text

COLUMNS = (
    "number", "occurred_at", "kind", "amount_usd", "balance_usd", "expires_at", "taken_from", "note", "source",
    "recorded_by",
)  # fmt: skip


class Grant(msgspec.Struct, frozen=True):
    """An entry that added credits, with what is left of them."""

    entry: CreditEntry
    left_nanos: int
    is_promotional: bool


class Row(msgspec.Struct, frozen=True):
    """`draws` are (the grant's entry, what it gave in nano-dollars); `document` the invoice or credit note it is of."""

    entry: CreditEntry
    draws: tuple[tuple[CreditEntry, int], ...]
    document: str


def grants() -> list[Grant]:
    """Those with something left, in the order in which they are used. Needs the organization's scope."""
    lots = in_order(ledger.lots())
    entries = CreditEntry.objects.in_bulk([lot.grant for lot in lots])
    return [Grant(entries[lot.grant], lot.left_nanos, lot.is_promotional) for lot in lots]


def promotional_nanos(left: Iterable[Grant], at: dt.datetime) -> tuple[int, dt.datetime | None]:
    """What is left of promotional credits, and when the first of them expire."""
    alive = [one for one in left if one.is_promotional and (one.entry.expires_at is None or one.entry.expires_at > at)]
    expiries = [one.entry.expires_at for one in alive if one.entry.expires_at is not None]
    return sum(one.left_nanos for one in alive), min(expiries, default=None)


def entries_of(kind: CreditKind | None) -> QuerySet[CreditEntry]:
    """The newest first."""
    draws = CreditDraw.objects.select_related("grant").order_by("pk")
    rows = CreditEntry.objects.prefetch_related(Prefetch("draws", draws)).order_by("-number")
    return rows.filter(kind=kind) if kind else rows


def row_of(entry: CreditEntry) -> Row:
    """Without a query for what `entries_of` found."""
    is_of_invoice = entry.kind == CreditKind.INVOICE
    return Row(
        entry,
        tuple((draw.grant, draw.amount_nanos) for draw in entry.draws.all()),
        entry.source.removeprefix(SOURCE) if is_of_invoice else "",
    )


def cells_of(entry: CreditEntry, zone: ZoneInfo) -> tuple[str, ...]:
    """For `COLUMNS`; moments in the organization's zone, with its offset."""
    return (
        str(entry.number),
        entry.occurred_at.astimezone(zone).isoformat(timespec="seconds"),
        entry.kind,
        usd_text(entry.amount_nanos) or "0",
        usd_text(entry.balance_nanos) or "0",
        entry.expires_at.astimezone(zone).isoformat(timespec="seconds") if entry.expires_at else "",
        "; ".join(f"{draw.grant.number}: {usd_text(draw.amount_nanos)}" for draw in entry.draws.all()),
        entry.note,
        entry.source,
        entry.recorded_by_label,
    )
