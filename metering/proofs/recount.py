"""A month's events counted one by one in Python: the figures everything else has to equal.

The same pass works out every cost again from the price version that the event names, and its key from its id, so
that the rows are read once. Memory does not grow with their number.
"""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from operator import add
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from django.db import connection

from core.periods import LocalClock, micros
from metering.events import BUCKETS, UNITS, Usage
from metering.pipeline import event_key
from metering.pricing.book import PriceBook
from metering.pricing.plan import Plan
from metering.pricing.rate import Pricing
from metering.pricing.receipt import RatedCall, make_receipt
from metering.query.metrics import MEASURE_FIELDS, Figures

_COUNTS = (*BUCKETS, *UNITS)
_COLUMNS = (
    "event_id", "key", "occurred_at", "model_id", "chat IS NOT NULL", "pricing", "is_error", "is_estimated",
    "is_usage_known", "cost_nanos", "input_cost_nanos", "output_cost_nanos", "price_version_id", "service_tier",
    "duration_ms",
)  # fmt: skip
_EVENTS = f"""
SELECT {", ".join((*_COLUMNS, *_COUNTS))} FROM metering_event
WHERE organization_id = %s AND occurred_at >= %s AND occurred_at < %s AND superseded_by IS NULL
"""
_COSTS = ("cost_nanos", "input_cost_nanos", "output_cost_nanos")
_FIRST_DAY = dt.date(2000, 1, 1)
_NOTHING = [0] * len(MEASURE_FIELDS)
_FETCHED = 5_000
# The receipt as a person sees it is made for the first events and then for one in so many.
RECEIPTS_FIRST = 100
RECEIPTS_EACH = 500
MOST_WRONG = 50

Costs = tuple[int | None, int | None, int | None]


class WrongEvent(msgspec.Struct, frozen=True):
    """An event whose stored row contradicts itself."""

    event_id: str
    field: str
    expected: str | None
    found: str | None


class StoredRow(msgspec.Struct, frozen=True):
    """What is read of an event, in the order of the columns; the counts follow."""

    event_id: str
    key: uuid.UUID
    occurred_at: dt.datetime
    model_id: int
    has_chat: bool
    pricing: int
    is_error: bool
    is_estimated: bool
    is_usage_known: bool
    cost_nanos: int | None
    input_cost_nanos: int | None
    output_cost_nanos: int | None
    price_version_id: int
    service_tier: str | None
    duration_ms: int | None

    @property
    def costs(self) -> Costs:
        return self.cost_nanos, self.input_cost_nanos, self.output_cost_nanos


_WIDTH = len(StoredRow.__struct_fields__)


class Recount:
    """The sums of a month's events, and the events that are wrong in themselves."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.events = 0
        self.wrong_costs: list[WrongEvent] = []
        self.wrong_cost_count = 0
        self.wrong_keys: list[WrongEvent] = []
        self.wrong_key_count = 0
        self._book = PriceBook.load()
        self._plans: dict[int, Plan | None] = {}
        self._clock = LocalClock(zone)
        # (model, day, whether there is a chat) → measures: every sum asked for is a sum of these.
        self._cells: dict[tuple[int, int, bool], list[int]] = {}

    def count(self, row: tuple[Any, ...]) -> None:
        event, counts = StoredRow(*row[:_WIDTH]), row[_WIDTH:]
        usage = Usage(**dict(zip(_COUNTS, counts, strict=True)))
        cell = (event.model_id, self._clock.place(micros(event.occurred_at)).day, event.has_chat)
        self._cells[cell] = list(map(add, self._cells.get(cell, _NOTHING), _measures(event, usage, counts)))
        self.events += 1
        expected_key = event_key(event.event_id)
        if event.key.bytes != expected_key:
            self.wrong_key_count += 1
            _note(self.wrong_keys, event.event_id, "key", expected_key.hex(), event.key.hex)
        wrong = self._wrong_cost(event, usage)
        if wrong is not None:
            self.wrong_cost_count += 1
            _note(self.wrong_costs, event.event_id, *wrong)

    def _wrong_cost(self, event: StoredRow, usage: Usage) -> tuple[str, object, object] | None:
        """(field, as it must be, as it is), or None for a cost that follows from its price version."""
        if event.pricing == Pricing.UNPRICED:
            return _first_unequal((None, None, None), event.costs)
        if event.pricing == Pricing.FREE and not event.price_version_id:
            return _first_unequal((0, 0, 0), event.costs)
        plan = self._plan(event.price_version_id)
        if plan is None:
            return "price_version_id", None, event.price_version_id or "none"
        rating = plan.rate(usage, event.occurred_at, event.service_tier, event.duration_ms)
        again = (rating.cost_nanos, rating.input_cost_nanos, rating.output_cost_nanos)
        wrong = _first_unequal(again, event.costs)
        if wrong is None and (self.events <= RECEIPTS_FIRST or self.events % RECEIPTS_EACH == 0):
            receipt = make_receipt(_call(event, usage), plan.version)
            if not receipt.is_reproduced:
                wrong = "receipt", event.cost_nanos, receipt.total_nanos
        return wrong

    def _plan(self, version_id: int) -> Plan | None:
        if version_id not in self._plans:
            version = self._book.version(version_id)
            self._plans[version_id] = None if version is None else Plan(version, "")
        return self._plans[version_id]

    # ── Sums ──

    @property
    def figures(self) -> Figures:
        return self._sum(self._cells.values())

    @property
    def chats(self) -> Figures:
        """Of events that have a chat."""
        return self._sum(sums for (_, _, has_chat), sums in self._cells.items() if has_chat)

    @property
    def models(self) -> dict[int, Figures]:
        return self._by(0)

    @property
    def days(self) -> dict[dt.date, Figures]:
        return {_FIRST_DAY + dt.timedelta(days=day): figures for day, figures in self._by(1).items()}

    def _by(self, place: Literal[0, 1]) -> dict[int, Figures]:
        groups: dict[int, list[list[int]]] = {}
        for cell, sums in self._cells.items():
            groups.setdefault(cell[place], []).append(sums)
        return {name: self._sum(group) for name, group in groups.items()}

    @staticmethod
    def _sum(cells: Iterable[list[int]]) -> Figures:
        total = _NOTHING
        for sums in cells:
            total = list(map(add, total, sums))
        return Figures(*total)


def recount(organization_id: int, start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> Recount:
    """Needs the organization's scope, in a transaction."""
    counted = Recount(zone)
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    with raw.cursor(name="proof_of_events") as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(_EVENTS, (organization_id, start, end))
        for row in cursor:
            counted.count(row)
    return counted


def _measures(event: StoredRow, usage: Usage, counts: tuple[int, ...]) -> tuple[int, ...]:
    """In the order of `Figures`."""
    tokens = usage.total_tokens
    is_free, is_unpriced = event.pricing == Pricing.FREE, event.pricing == Pricing.UNPRICED
    is_estimated = event.is_estimated and event.pricing == Pricing.PRICED
    return (
        1,
        int(event.is_error),
        *counts,
        event.cost_nanos or 0,
        event.input_cost_nanos or 0,
        event.output_cost_nanos or 0,
        int(is_free),
        int(is_estimated),
        int(is_unpriced),
        int(not event.is_usage_known),
        tokens if is_free else 0,
        tokens if is_estimated else 0,
        tokens if is_unpriced else 0,
        event.duration_ms or 0,
        int(event.duration_ms is not None),
    )


def _first_unequal(expected: Costs, found: Costs) -> tuple[str, object, object] | None:
    if expected == found:
        return None
    return next((n, e, f) for n, e, f in zip(_COSTS, expected, found, strict=True) if e != f)


def _call(event: StoredRow, usage: Usage) -> RatedCall:
    return RatedCall(
        occurred_at=event.occurred_at,
        usage=usage,
        pricing=Pricing(event.pricing),
        cost_nanos=event.cost_nanos,
        price_version_id=event.price_version_id,
        rule="",
        service_tier=event.service_tier,
        duration_ms=event.duration_ms,
    )


def _note(noted: list[WrongEvent], event_id: str, field: str, expected: object, found: object) -> None:
    if len(noted) < MOST_WRONG:
        texts = [None if value is None else str(value) for value in (expected, found)]
        noted.append(WrongEvent(event_id, field, texts[0], texts[1]))
