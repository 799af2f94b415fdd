"""Repricing on PostgreSQL: calls are streamed to be rated again, and new costs carried into every roll-up.

A call that changes enters the temporary table of a write twice, as it was with sign −1 and as it is with sign +1, and
the statements of every write (metering/store/rollups.py) add up the differences. The calls are counted already and stay
where they are, so only rows of the roll-up of rates come or go, and titles and times of chats stand.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from django.db import connection

from core.periods import EPOCH_DATE, LocalClock, instant, micros
from core.tenancy import setting_value
from metering.dimensions import Kind
from metering.events import BUCKETS, UNITS, Usage
from metering.pricing.rate import Pricing
from metering.pricing.reprice import Repriced, StoredCall
from metering.store import unpriced
from metering.store.rates import DROP_EMPTY_RATES
from metering.store.rebuild import ENTER_ALONE
from metering.store.staging import EVENT_LIST, IS_READY, MAKE_READY, ROLL_UPS
from metering.store.steps import Execute, Steps, run

_COUNTS = (*BUCKETS, *UNITS)
# In the order of the primary key: neighbors share the roll-up rows that they change.
_CALLS = f"""
SELECT key, occurred_at, model_id, provider_id, service_tier, is_error, is_usage_known, duration_ms,
    pricing, cost_nanos, input_cost_nanos, output_cost_nanos, price_version_id, {", ".join(_COUNTS)}
FROM metering_event
WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
    AND superseded_by IS NULL
    AND (%(model)s::text IS NULL
         OR model_id = (SELECT id FROM metering_label
                        WHERE organization_id = %(organization)s AND kind = {Kind.MODEL.value} AND text = %(model)s))
ORDER BY occurred_at, key
"""
_NAMES = f"""
SELECT id, text FROM metering_label
WHERE organization_id = %s AND kind IN ({Kind.MODEL.value}, {Kind.PROVIDER.value})
"""
_ZONE = "SELECT timezone FROM metering_ledger WHERE organization_id = %s"
_FETCHED = 2_000

# A roll-up row that many batches change grows by a dead version with each, so differences are collected first.
_MOST_STAGED = 100_000

# Not DELETE: what it leaves behind would be read again until the transaction ends.
_CLEAR = "TRUNCATE pg_temp.staging"
_NEW_COSTS = """
unnest(%(at)s::timestamptz[], %(keys)s::uuid[], %(hours)s::timestamptz[], %(days)s::date[], %(months)s::date[],
    %(pricings)s::smallint[], %(costs)s::bigint[], %(input_costs)s::bigint[], %(output_costs)s::bigint[],
    %(versions)s::int[], %(rules)s::text[])
AS n (occurred_at, key, at_hour, at_day, at_month, pricing, cost_nanos, input_cost_nanos, output_cost_nanos,
    price_version_id, price_rule)
"""
# The bounds let neighbors be found together, whatever the planner believes of a month that was just written.
_SAME = """
e.organization_id = %(organization)s AND e.occurred_at = n.occurred_at AND e.key = n.key
    AND e.occurred_at >= %(first)s AND e.occurred_at <= %(last)s
"""
_STAGE = f"INSERT INTO pg_temp.staging ({EVENT_LIST}, hour, day, month, body_hash, sign)"
_STAGE_OLD = f"""
WITH old AS (
    SELECT e.*, n.at_hour, n.at_day, n.at_month FROM {_NEW_COSTS}
    JOIN metering_event e ON {_SAME}
)
{_STAGE} SELECT {EVENT_LIST}, at_hour, at_day, at_month, key, -1 FROM old
"""
_REPLACE = f"""
WITH new AS (
    UPDATE metering_event e SET
        pricing = n.pricing, cost_nanos = n.cost_nanos, input_cost_nanos = n.input_cost_nanos,
        output_cost_nanos = n.output_cost_nanos, price_version_id = n.price_version_id, price_rule = n.price_rule
    FROM {_NEW_COSTS}
    WHERE {_SAME}
    RETURNING e.*, n.at_hour, n.at_day, n.at_month
)
{_STAGE} SELECT {EVENT_LIST}, at_hour, at_day, at_month, key, 1 FROM new
"""


class PostgresRepricing:
    """The `RepricingStore` over Django's connection, in the caller's scope and transaction.

    `is_alone` makes the organization's writers wait from the first call read to the end of the transaction. The act
    needs it; a dry run reads one snapshot and keeps nobody waiting. `model` leaves out the calls of all others.

    Roll-ups are complete once the calls have been read to their end and the last of them replaced.
    """

    def __init__(self, *, is_alone: bool = False, model: str | None = None) -> None:
        self._is_alone = is_alone
        self._model = model
        self._clock: LocalClock | None = None
        self._staged = 0
        self._is_at_end = False
        self.calls_read = 0

    def calls_between(self, organization_id: int, start: dt.datetime, end: dt.datetime) -> Iterator[StoredCall]:
        raw = _raw_connection()
        if self._is_alone:
            # Alone before looking: a snapshot taken while waiting would lack what was waited for.
            self._clock = run(raw, _enter_alone(organization_id))
        with raw.cursor(name="repricing", binary=True) as cursor:
            cursor.itersize = _FETCHED
            cursor.execute(_CALLS, {"organization": organization_id, "start": start, "end": end, "model": self._model})
            # Behind the snapshot of the events, whose names are stored before they are.
            names = dict(raw.execute(_NAMES, (organization_id,)).fetchall())
            for row in cursor:
                self.calls_read += 1
                yield _call(row, names)
        self._is_at_end = True
        self._roll_up(raw)

    def replace_costs(self, organization_id: int, repriced: Sequence[Repriced]) -> None:
        if self._clock is None:
            raise RuntimeError("calls are repriced by a store that is alone, while it reads them")
        raw = _raw_connection()
        run(raw, _replace(_columns(organization_id, repriced, self._clock)))
        priced = [item.call.handle for item in repriced if item.rating.cost_nanos is not None]
        run(raw, unpriced.drop([(organization_id, key) for key in priced]))
        self._staged += len(repriced)
        if self._is_at_end or self._staged >= _MOST_STAGED:
            self._roll_up(raw)

    def _roll_up(self, raw: psycopg.Connection[Any]) -> None:
        if self._staged:
            run(raw, _roll_up())
            self._staged = 0


def _raw_connection() -> psycopg.Connection[Any]:
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    return raw


def _enter_alone(organization_id: int) -> Steps[LocalClock]:
    yield Execute(ENTER_ALONE, (setting_value([organization_id]), organization_id))
    ((is_ready, *_),) = yield Execute(IS_READY)
    if not is_ready:
        yield Execute(MAKE_READY)
    yield Execute(_CLEAR)
    zones = yield Execute(_ZONE, (organization_id,))
    # Without a ledger there are no events, and nothing to place.
    return LocalClock(ZoneInfo(zones[0][0] if zones else "UTC"))


def _call(row: tuple[Any, ...], names: dict[int, str]) -> StoredCall:
    key, occurred_at, model_id, provider_id, service_tier, is_error, is_usage_known, duration_ms = row[:8]
    pricing, cost, input_cost, output_cost, version_id = row[8:13]
    return StoredCall(
        handle=key,
        provider=names[provider_id] if provider_id else None,
        model=names[model_id],
        occurred_at=occurred_at,
        usage=Usage(**dict(zip(_COUNTS, row[13:], strict=True))) if is_usage_known else None,
        service_tier=service_tier,
        is_error=is_error,
        duration_ms=duration_ms,
        pricing=Pricing(pricing),
        cost_nanos=cost,
        input_cost_nanos=input_cost,
        output_cost_nanos=output_cost,
        price_version_id=version_id or None,
    )


def _replace(parameters: dict[str, Any]) -> Steps[None]:
    yield Execute(_STAGE_OLD, parameters)
    yield Execute(_REPLACE, parameters)


def _roll_up() -> Steps[None]:
    for statement in ROLL_UPS:
        yield Execute(statement, ())
    # Where calls have another price, the row of their former one may have none left.
    yield Execute(DROP_EMPTY_RATES)
    yield Execute(_CLEAR)


def _columns(organization_id: int, repriced: Sequence[Repriced], clock: LocalClock) -> dict[str, Any]:
    times = [item.call.occurred_at for item in repriced]
    places = [clock.place(micros(at)) for at in times]
    keys: list[uuid.UUID] = [item.call.handle for item in repriced]
    ratings = [item.rating for item in repriced]
    return {
        "organization": organization_id,
        "first": min(times),
        "last": max(times),
        "at": times,
        "keys": keys,
        "hours": [instant(place.hour) for place in places],
        "days": [EPOCH_DATE + dt.timedelta(days=place.day) for place in places],
        "months": [EPOCH_DATE + dt.timedelta(days=place.month) for place in places],
        "pricings": [int(rating.pricing) for rating in ratings],
        "costs": [rating.cost_nanos for rating in ratings],
        "input_costs": [rating.input_cost_nanos for rating in ratings],
        "output_costs": [rating.output_cost_nanos for rating in ratings],
        "versions": [rating.price_version_id or 0 for rating in ratings],
        "rules": [rating.rule for rating in ratings],
    }
