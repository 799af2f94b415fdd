"""A month's events counted one by one in Python: the figures everything else has to equal.

The same pass works out every cost again from the price version that the event names, and its key from its id, so
that the rows are read once. Memory does not grow with their number.
"""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from django.db import connection

from core.periods import LocalClock, micros
from metering.events import BUCKETS, UNITS, Usage
from metering.pipeline import event_key
from metering.pricing.book import PriceBook
from metering.pricing.plan import Plan
from metering.pricing.rate import Pricing, Rating
from metering.pricing.receipt import RatedCall, make_receipt
from metering.query.metrics import MEASURE_FIELDS, Figures

_COUNTS = (*BUCKETS, *UNITS)
_COLUMNS = (
    "event_id", "key", "occurred_at", "model_id", "chat", "pricing", "is_error", "is_estimated", "is_usage_known",
    "cost_nanos", "input_cost_nanos", "output_cost_nanos", "price_version_id", "service_tier", "duration_ms",
)  # fmt: skip
_EVENTS = f"""
SELECT {", ".join((*_COLUMNS, *_COUNTS))} FROM metering_event
WHERE organization_id = %s AND occurred_at >= %s AND occurred_at < %s AND superseded_by IS NULL
"""
_FETCHED = 5_000
# The receipt as a person sees it is made for the first events and then for one in so many.
RECEIPTS_FIRST = 100
RECEIPTS_EACH = 500
MOST_WRONG = 50


class WrongEvent(msgspec.Struct, frozen=True):
    """An event whose stored row contradicts itself."""

    event_id: str
    field: str
    expected: str | None
    found: str | None


class Recount:
    def __init__(self) -> None:
        self.total = [0] * len(MEASURE_FIELDS)
        self.by_model: dict[int, list[int]] = {}
        self.by_day: dict[dt.date, list[int]] = {}
        # What has a chat; the rest is "without".
        self.chat_total = [0] * len(MEASURE_FIELDS)
        self.receipts = 0
        self.wrong_costs: list[WrongEvent] = []
        self.wrong_cost_count = 0
        self.wrong_keys: list[WrongEvent] = []
        self.wrong_key_count = 0

    @property
    def figures(self) -> Figures:
        return Figures(*self.total)

    @property
    def chats(self) -> Figures:
        return Figures(*self.chat_total)

    @property
    def models(self) -> dict[int, Figures]:
        return {model: Figures(*sums) for model, sums in self.by_model.items()}

    @property
    def days(self) -> dict[dt.date, Figures]:
        return {day: Figures(*sums) for day, sums in self.by_day.items()}

    def wrong_cost(self, event_id: str, field: str, expected: object, found: object) -> None:
        self.wrong_cost_count += 1
        if len(self.wrong_costs) < MOST_WRONG:
            self.wrong_costs.append(_wrong(event_id, field, expected, found))

    def wrong_key(self, event_id: str, expected: object, found: object) -> None:
        self.wrong_key_count += 1
        if len(self.wrong_keys) < MOST_WRONG:
            self.wrong_keys.append(_wrong(event_id, "key", expected, found))


def _wrong(event_id: str, field: str, expected: object, found: object) -> WrongEvent:
    texts = [None if value is None else str(value) for value in (expected, found)]
    return WrongEvent(event_id, field, texts[0], texts[1])


def recount(organization_id: int, start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> Recount:
    """Needs the organization's scope, in a transaction."""
    counted = Recount()
    book = PriceBook.load()
    plans: dict[int, Plan | None] = {}
    clock = LocalClock(zone)
    first_day = dt.date(2000, 1, 1)
    for row in _rows(organization_id, start, end):
        event_id, key, occurred_at, model_id, chat, pricing, is_error, is_estimated, is_usage_known = row[:9]
        cost, input_cost, output_cost, version_id, service_tier, duration_ms = row[9:15]
        counts = row[15:]
        usage = Usage(**dict(zip(_COUNTS, counts, strict=True)))
        tokens = usage.total_tokens
        # The measures in the order of `Figures`.
        measures = (
            1,
            int(is_error),
            *counts,
            cost or 0,
            input_cost or 0,
            output_cost or 0,
            int(pricing == Pricing.FREE),
            int(pricing == Pricing.PRICED and is_estimated),
            int(pricing == Pricing.UNPRICED),
            int(not is_usage_known),
            tokens if pricing == Pricing.FREE else 0,
            tokens if pricing == Pricing.PRICED and is_estimated else 0,
            tokens if pricing == Pricing.UNPRICED else 0,
            duration_ms or 0,
            int(duration_ms is not None),
        )
        day = first_day + dt.timedelta(days=clock.place(micros(occurred_at)).day)
        groups = [counted.total, _sums(counted.by_model, model_id), _sums(counted.by_day, day)]
        if chat is not None:
            groups.append(counted.chat_total)
        for sums in groups:
            for place, value in enumerate(measures):
                if value:
                    sums[place] += value
        expected_key = event_key(event_id)
        if key.bytes != expected_key:
            counted.wrong_key(event_id, expected_key.hex(), key.hex)
        if version_id and version_id not in plans:
            version = book.version(version_id)
            plans[version_id] = Plan(version, "") if version is not None else None
        plan = plans.get(version_id) if version_id else None
        rated = _rated_again(plan, pricing, version_id, usage, occurred_at, service_tier, duration_ms)
        stored = (cost, input_cost, output_cost)
        if rated is None:
            counted.wrong_cost(event_id, "price_version_id", None, version_id or "none")
        elif stored != rated:
            names = ("cost_nanos", "input_cost_nanos", "output_cost_nanos")
            field, want, have = next(
                triple for triple in zip(names, rated, stored, strict=True) if triple[1] != triple[2]
            )
            counted.wrong_cost(event_id, field, want, have)
        requests = counted.total[0]
        if plan is not None and (requests <= RECEIPTS_FIRST or requests % RECEIPTS_EACH == 0):
            counted.receipts += 1
            call = RatedCall(
                occurred_at=occurred_at,
                usage=usage,
                pricing=Pricing(pricing),
                cost_nanos=cost,
                price_version_id=version_id,
                rule="",
                service_tier=service_tier,
                duration_ms=duration_ms,
            )
            receipt = make_receipt(call, plan.version)
            if not receipt.is_reproduced and stored == rated:
                counted.wrong_cost(event_id, "receipt", cost, receipt.total_nanos)
    return counted


def _rated_again(
    plan: Plan | None,
    pricing: int,
    version_id: int,
    usage: Usage,
    occurred_at: dt.datetime,
    service_tier: str | None,
    duration_ms: int | None,
) -> tuple[int | None, int | None, int | None] | None:
    """The three costs as they must be; None when the event names a version that does not exist, or none it needs."""
    if pricing == Pricing.UNPRICED:
        return None, None, None
    if pricing == Pricing.FREE and not version_id:
        return 0, 0, 0
    if plan is None:
        return None
    rating: Rating = plan.rate(usage, occurred_at, service_tier, duration_ms)
    return rating.cost_nanos, rating.input_cost_nanos, rating.output_cost_nanos


def _sums(groups: dict[Any, list[int]], name: Any) -> list[int]:
    sums = groups.get(name)
    if sums is None:
        sums = groups[name] = [0] * len(MEASURE_FIELDS)
    return sums


def _rows(organization_id: int, start: dt.datetime, end: dt.datetime) -> Iterator[tuple[Any, ...]]:
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    with raw.cursor(name="proof_of_events") as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(_EVENTS, (organization_id, start, end))
        yield from cursor
