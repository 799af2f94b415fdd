"""Answers that were paid and are of no use: empty, abandoned, cut off; and those far longer than their like.

docs/algorithms/efficiency.md says what an empty answer is, docs/algorithms/advice.md what the others are.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from django.db import connection

from metering.dimensions import Kind
from metering.events import BUCKETS, Usage
from metering.query.alike import CALLER, COMPLETION, CUT_OFF, IS_CUT_OFF, IS_PLACED, LEAST_PROMPT, PROMPT, WITHIN
from metering.query.rate_parts import ANSWERS
from metering.store.rates import KINDS_SQL

# An answer is far too long beyond so many times the 95th percentile of its like, of which there are enough.
FAR, LEAST_LIKE = 3, 100
ABANDONED = "cancelled"
# The dearest are read when there are more.
MOST_CALLS = 50_000

_UNITS = ("web_searches", "images", "media_ms")
_RANGE = (
    "organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s"
    " AND superseded_by IS NULL"
)
_ANSWERED = f"(({KINDS_SQL}) & {ANSWERS}) <> 0"
_EMPTY = f"""
SELECT event_id, occurred_at, project_id, model_id, cost_nanos, cost_nanos, is_error
FROM metering_event WHERE {_RANGE} AND cost_nanos > 0 AND (
    (NOT is_error AND is_usage_known AND NOT {_ANSWERED} AND model_id IN (
        SELECT model_id FROM metering_event WHERE {_RANGE} GROUP BY model_id HAVING bool_or({_ANSWERED})))
    OR (is_error AND status_id IN (
        SELECT id FROM metering_label
        WHERE organization_id = %(organization)s AND kind = {Kind.STATUS.value} AND text = '{ABANDONED}')))
ORDER BY cost_nanos DESC, occurred_at, key LIMIT {MOST_CALLS}
"""
# Sent again, or without a visible word, all of the call was for nothing, else its answer.
_CUT_OFF = f"""
WITH calls AS (
    SELECT event_id, occurred_at, key, cost_nanos, output_cost_nanos, {CALLER}, {PROMPT} AS prompt,
        detail -> 'input_parts' AS parts, detail -> 'files' AS files, {IS_CUT_OFF} AS is_cut_off,
        output + audio_output + image_output = 0 AS is_silent
    FROM metering_event WHERE {_RANGE} AND cost_nanos > 0
), followed AS (
    SELECT *, coalesce({IS_PLACED} AND prompt >= {LEAST_PROMPT} AND prompt = lead(prompt) OVER caller
        AND parts IS NOT DISTINCT FROM lead(parts) OVER caller AND files IS NOT DISTINCT FROM lead(files) OVER caller
        AND lead(occurred_at) OVER caller - occurred_at <= %(within)s, false) AS is_sent_again
    FROM calls WINDOW caller AS (PARTITION BY {CALLER} ORDER BY occurred_at, key)
)
SELECT event_id, occurred_at, project_id, model_id, cost_nanos,
    CASE WHEN is_sent_again OR is_silent THEN cost_nanos ELSE output_cost_nanos END, is_silent, is_sent_again
FROM followed WHERE is_cut_off ORDER BY 6 DESC, occurred_at, key LIMIT {MOST_CALLS}
"""
# By windows instead of a join: planned without figures, as behind row-level security, a join would take for ever.
_LONG = f"""
WITH calls AS (
    SELECT *, {COMPLETION} AS completion FROM metering_event
    WHERE {_RANGE} AND cost_nanos > 0 AND NOT is_error AND {COMPLETION} > 0
        AND lower(coalesce(detail ->> 'finish_reason', '')) <> ALL(%(cut_off)s)
), placed AS (
    SELECT *, count(*) OVER alike AS calls,
        row_number() OVER (PARTITION BY project_id, feature_id, model_id ORDER BY completion) AS place
    FROM calls WINDOW alike AS (PARTITION BY project_id, feature_id, model_id)
), measured AS (
    SELECT *, max(completion) FILTER (WHERE 100 * (place - 1) < 95 * calls) OVER alike AS p95
    FROM placed WHERE calls >= {LEAST_LIKE} WINDOW alike AS (PARTITION BY project_id, feature_id, model_id)
)
SELECT event_id, occurred_at, project_id, feature_id, model_id, cost_nanos, p95, calls,
    price_version_id, service_tier, duration_ms, {", ".join((*BUCKETS, *_UNITS))}
FROM measured WHERE completion > {FAR} * p95 AND price_version_id <> 0 AND audio_output = 0 AND image_output = 0
ORDER BY output_cost_nanos DESC, occurred_at, key LIMIT {MOST_CALLS}
"""


class UselessAnswer(msgspec.Struct, frozen=True, gc=False):
    """A paid call and what of its cost its answer was worth nothing for. References are 0 for none.

    `is_stopped`: somebody stopped it before its end.
    """

    event_id: str
    at: dt.datetime
    project: int
    model: int
    cost_nanos: int
    lost_nanos: int
    is_stopped: bool


class CutOffAnswer(msgspec.Struct, frozen=True, gc=False):
    """A paid call whose answer ended because it was as long as allowed. References are 0 for none.

    `lost_nanos` is what of its cost was for an answer that ends in the middle: all of it where the answer said nothing
    yet (`is_silent`) or what looks like the same request was sent right after (`is_sent_again`).
    """

    event_id: str
    at: dt.datetime
    project: int
    model: int
    cost_nanos: int
    lost_nanos: int
    is_silent: bool
    is_sent_again: bool


class LongAnswer(msgspec.Struct, frozen=True, gc=False):
    """A call whose answer has more than FAR times the tokens that 95% of the `like` calls of its project, feature and
    model stay within: `usual`. References are 0 for none."""

    event_id: str
    at: dt.datetime
    project: int
    feature: int
    model: int
    cost_nanos: int
    usual: int
    like: int
    price_version: int
    service_tier: str | None
    duration_ms: int | None
    usage: Usage


def empty_answers(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[UselessAnswer]:
    """Paid calls of [start, end) without an answer, and answers that nobody waited for. Needs the organization's
    scope."""
    return [UselessAnswer(*row) for row in _read(_EMPTY, organization_id, start, end)]


def cut_off_answers(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[CutOffAnswer]:
    """Paid answers of [start, end) that ended because they were as long as allowed. Needs the organization's scope."""
    return [CutOffAnswer(*row) for row in _read(_CUT_OFF, organization_id, start, end)]


def long_answers(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[LongAnswer]:
    """Answers of [start, end) far longer than their like. Needs the organization's scope."""
    names = (*BUCKETS, *_UNITS)
    return [
        LongAnswer(*(*row[: -len(names)], Usage(**dict(zip(names, row[-len(names) :], strict=True)))))
        for row in _read(_LONG, organization_id, start, end)
    ]


def _read(sql: str, organization_id: int, start: dt.datetime, end: dt.datetime) -> list[tuple[Any, ...]]:
    asked: dict[str, Any] = {
        "organization": organization_id, "start": start, "end": end, "cut_off": list(CUT_OFF), "within": WITHIN,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        return list(cursor.fetchall())
