"""What went beyond an allowance of tokens: the very events, in the order of time, and what they cost.

Events are ordered by time, then by id. Each is beyond as far as the tokens up to it exceed the allowance; the one that
crosses is split. docs/algorithms/overage.md has the rules with an example.

The crossing is looked for from the coarse to the fine: the day by the day cube, its hour by the hours, the event among
those of that hour. Everything behind that hour is read from roll-ups again, so that an hour of events is all that is
ever read one by one.
"""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection

from core.money import apportion, divide_half_even
from metering.events import BUCKETS, UNITS
from metering.query.labels import GroupValue, name_refs
from metering.query.metrics import Figures
from metering.query.run import LedgerMovedError, run, scope_of
from metering.query.spec import UsageQuery
from metering.store.rollups import MEASURES, TOTAL_TOKENS

ATTEMPTS = 5
_SUMS = ", ".join(f"sum({expression})::bigint" for expression in MEASURES.values())
# Of one hour: what is split, and by model what comes behind it. `upto` are the tokens up to an event, with its own.
_HOUR = f"""
WITH ordered AS (
    SELECT e.*, {TOTAL_TOKENS} AS tokens, sum({TOTAL_TOKENS}) OVER (
        ORDER BY occurred_at, event_id COLLATE "C" ROWS UNBOUNDED PRECEDING
    ) AS upto
    FROM metering_event e
    WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
        AND superseded_by IS NULL
)
SELECT upto - tokens < %(room)s AS is_split, model_id, (max(upto) - %(room)s)::bigint, min(event_id), min(occurred_at),
    bool_and(cost_nanos IS NULL), {_SUMS}
FROM ordered WHERE upto > %(room)s OR upto - tokens >= %(room)s GROUP BY 1, 2
"""
_COSTS = ("known_input_cost_nanos", "known_output_cost_nanos")
_TOKENS_OF_A_STATE = ("free_tokens", "estimated_tokens", "unpriced_tokens")


class Crossing(msgspec.Struct, frozen=True):
    """The event that the allowance ended within: `tokens_over` of its tokens are beyond. Cost None: not known."""

    event_id: str
    occurred_at: dt.datetime
    tokens: int
    tokens_over: int
    cost_nanos: int | None
    cost_nanos_over: int | None


class ModelBeyond(msgspec.Struct, frozen=True):
    """What of one model's usage is beyond. The split event counts as a request here."""

    model: GroupValue
    figures: Figures


class Beyond(msgspec.Struct, frozen=True):
    """`figures` are the sum of `by_model`, which begins with the largest cost; `used` is all tokens of the range.

    `crossing` is None when no event was split.
    """

    allowance: int
    used: int
    figures: Figures
    by_model: tuple[ModelBeyond, ...]
    crossing: Crossing | None


class UsageMovedError(RuntimeError):
    """Usage was stored between two statements."""


def beyond(organization_id: int, start: dt.datetime, end: dt.datetime, zone: ZoneInfo, allowance: int) -> Beyond:
    """What of the usage in [start, end) is beyond `allowance` tokens. Days are cut in `zone`, the organization's.

    Opens the organization's scope unless it is open. Raises LedgerMovedError when usage keeps being stored meanwhile.
    """
    if allowance < 0:
        raise ValueError("an allowance is at least 0 tokens")
    query = UsageQuery(organization_id, start, end, zone)
    with scope_of(organization_id):
        for _ in range(ATTEMPTS):
            try:
                return _beyond(query, allowance)
            except UsageMovedError:
                continue
    raise LedgerMovedError


def _beyond(query: UsageQuery, allowance: int) -> Beyond:
    by_model: dict[int, Figures] = {}
    crossing = None
    rest = query.start
    by_day = run(msgspec.structs.replace(query, interval="day"))
    used = by_day.totals.total_tokens
    if allowance:
        found = bucket_of_crossing(query, allowance)
        if found is None:
            return Beyond(allowance, used, Figures(), (), None)
        hour, room = found
        by_model, crossing = _within(hour, room)
        rest = hour.end
    if rest < query.end:
        behind = run(msgspec.structs.replace(query, start=rest, group_by=("model",)))
        for row in behind.rows:
            ref = row.group["model"].ref
            assert isinstance(ref, int)  # noqa: S101 (models are references)
            by_model[ref] = by_model.get(ref, Figures()) + row.figures
    total = sum(by_model.values(), Figures())
    if total.total_tokens != max(0, used - allowance):
        raise UsageMovedError
    return Beyond(allowance, used, total, _named(query.organization_id, by_model), crossing)


def bucket_of_crossing(query: UsageQuery, allowance: int) -> tuple[UsageQuery, int] | None:
    """The hour in which the allowance is used up, and what is left of it as that hour begins; None when it never is.

    Raises UsageMovedError when usage was stored between its statements.
    """
    room = allowance
    for interval in ("day", "hour"):
        for row in run(msgspec.structs.replace(query, interval=interval)).rows:
            tokens = row.figures.total_tokens
            if tokens >= room:
                query = msgspec.structs.replace(query, start=row.start, end=row.end)
                break
            room -= tokens
        else:
            if interval == "hour":
                raise UsageMovedError
            return None
    return query, room


def _within(hour: UsageQuery, room: int) -> tuple[dict[int, Figures], Crossing | None]:
    """By model what of an hour's events is behind its first `room` tokens; and the event that is split."""
    with connection.cursor() as cursor:
        cursor.execute(
            _HOUR, {"organization": hour.organization_id, "start": hour.start, "end": hour.end, "room": room}
        )
        rows = cursor.fetchall()
    by_model: dict[int, Figures] = {}
    crossing = None
    for is_split, model, tokens_over, event_id, occurred_at, is_cost_unknown, *sums in rows:
        figures = Figures(*sums)
        if is_split:
            whole, figures = figures, part_of(figures, tokens_over)
            crossing = Crossing(
                event_id,
                occurred_at,
                whole.total_tokens,
                tokens_over,
                None if is_cost_unknown else whole.known_cost_nanos,
                None if is_cost_unknown else figures.known_cost_nanos,
            )
        by_model[model] = by_model.get(model, Figures()) + figures
    return by_model, crossing


def part_of(whole: Figures, tokens: int) -> Figures:
    """The last `tokens` of one event's figures: its cost and its buckets in proportion, each summing up exactly."""
    cost = divide_half_even(whole.known_cost_nanos * tokens, whole.total_tokens)
    costs = [getattr(whole, name) for name in _COSTS]
    unit_cost = whole.known_cost_nanos - sum(costs)
    parts: dict[str, int] = dict(zip(_COSTS, apportion(cost, [*costs, unit_cost]), strict=False))
    parts |= zip(BUCKETS, apportion(tokens, [getattr(whole, name) for name in BUCKETS]), strict=True)
    parts |= {name: divide_half_even(getattr(whole, name) * tokens, whole.total_tokens) for name in UNITS}
    parts |= {name: tokens for name in _TOKENS_OF_A_STATE if getattr(whole, name)}
    return msgspec.structs.replace(whole, known_cost_nanos=cost, **parts)


def _named(organization_id: int, by_model: Mapping[int, Figures]) -> tuple[ModelBeyond, ...]:
    names = name_refs(organization_id, {"model": by_model})["model"]
    found = [ModelBeyond(names[ref], figures) for ref, figures in by_model.items()]
    return tuple(
        sorted(found, key=lambda one: (-one.figures.known_cost_nanos, -one.figures.total_tokens, one.model.key or ""))
    )
