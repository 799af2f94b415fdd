"""Calls made again: a request sent once more shortly after, answered and paid each time, and failures in a row.

Which calls ask the same is told by metering/query/alike.py; docs/algorithms/advice.md has the rules.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from django.db import connection

from metering.query.alike import CALLER, COMPLETION, CUT_OFF, IS_CUT_OFF, IS_PLACED, LEAST_PROMPT, PROMPT, WITHIN

# So many calls in a row are a loop, when they come at most that far apart on average; of failures it takes more.
LOOP_CALLS, LOOP_GAP = 4, dt.timedelta(minutes=1)
LOOP_FAILURES = 10
# Shorter answers are often equally long by chance.
LEAST_ANSWER = 10
# The dearest are read when there are more.
MOST_CALLS = 50_000

_RANGE = "organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s"
# Calls that name a chat or a message are known by it. Of others a stream that mostly sends the same size does just
# that, and a pair must agree in the size of its answers too. What follows an answer that was cut off is its completion.
_PAID = f"""
WITH calls AS (
    SELECT occurred_at, key, event_id, cost_nanos, {CALLER}, {PROMPT} AS prompt, {COMPLETION} AS completion,
        detail -> 'input_parts' AS parts, detail -> 'files' AS files,
        {IS_PLACED} AS is_placed, {IS_PLACED} AND {IS_CUT_OFF} AS is_cut_off
    FROM metering_event WHERE {_RANGE} AND superseded_by IS NULL AND cost_nanos > 0
), compared AS (
    SELECT *, row_number() OVER caller = 1 AS is_callers_first, prompt >= %(least_prompt)s
        AND (completion > 0 OR is_placed) AND prompt = lag(prompt) OVER caller AND NOT lag(is_cut_off) OVER caller
        AND parts IS NOT DISTINCT FROM lag(parts) OVER caller AND files IS NOT DISTINCT FROM lag(files) OVER caller
        AND occurred_at - lag(occurred_at) OVER caller <= %(within)s AS is_again,
        occurred_at - lag(occurred_at) OVER caller AS gap
    FROM calls WINDOW caller AS (PARTITION BY {CALLER} ORDER BY occurred_at, key)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_again IS NOT TRUE) OVER placed AS run,
        count(*) FILTER (WHERE is_callers_first) OVER placed AS caller
    FROM compared WINDOW placed AS (ORDER BY {CALLER}, occurred_at, key)
), runs AS (
    SELECT *, count(*) OVER run AS calls, row_number() OVER (PARTITION BY run ORDER BY occurred_at, key) AS number,
        max(occurred_at) OVER run - min(occurred_at) OVER run AS lasted,
        min(completion) OVER run AS least_answer, max(completion) OVER run AS most_answer
    FROM numbered WINDOW run AS (PARTITION BY run)
), told AS (
    SELECT *, calls >= %(loop_calls)s AND lasted <= (calls - 1) * %(loop_gap)s::interval AS is_loop FROM runs
), weighed AS (
    SELECT *, 2 * count(*) FILTER (WHERE is_loop) OVER callers <= count(*) OVER callers AS is_unusual
    FROM told WINDOW callers AS (PARTITION BY caller)
)
SELECT event_id, occurred_at, project_id, api_key_id, model_id, chat, cost_nanos, number, calls,
    run, extract(epoch FROM gap)::float8, is_loop
FROM weighed
WHERE is_again AND (is_placed OR CASE WHEN is_loop THEN is_unusual
    ELSE least_answer = most_answer AND least_answer >= %(least_answer)s END)
ORDER BY cost_nanos DESC, occurred_at, key LIMIT %(most)s
"""
_FAILED = f"""
WITH calls AS (
    SELECT occurred_at, key, event_id, {CALLER}, is_error AND coalesce(cost_nanos, 0) = 0 AS is_failure
    FROM metering_event
    WHERE {_RANGE} AND superseded_by IS NULL AND {IS_PLACED}
), compared AS (
    SELECT *, is_failure AND lag(is_failure) OVER caller
        AND occurred_at - lag(occurred_at) OVER caller <= %(loop_gap)s AS is_again,
        occurred_at - lag(occurred_at) OVER caller AS gap
    FROM calls WINDOW caller AS (PARTITION BY {CALLER} ORDER BY occurred_at, key)
), numbered AS (
    SELECT *, count(*) FILTER (WHERE is_again IS NOT TRUE) OVER (ORDER BY {CALLER}, occurred_at, key) AS run
    FROM compared
), runs AS (
    SELECT *, count(*) OVER (PARTITION BY run) AS calls,
        row_number() OVER (PARTITION BY run ORDER BY occurred_at, key) AS number
    FROM numbered
)
SELECT event_id, occurred_at, project_id, api_key_id, model_id, chat, NULL::bigint, number, calls,
    run, extract(epoch FROM gap)::float8, true
FROM runs WHERE is_again AND calls >= %(loop_failures)s ORDER BY occurred_at, key LIMIT %(most)s
"""


class Repeat(msgspec.Struct, frozen=True, gc=False):
    """A call that was made before, `number` of the `calls` that are alike in the run; never the first of them.

    References are 0 for none. `cost_nanos` is None of a call that failed and cost nothing; `gap` are the seconds since
    the one before it. Runs are numbered within one answer of this module.
    """

    event_id: str
    at: dt.datetime
    project: int
    api_key: int
    model: int
    chat: str | None
    cost_nanos: int | None
    number: int
    calls: int
    run: int
    gap: float | None
    is_loop: bool


def paid_repeats(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[Repeat]:
    """Answered requests of [start, end) that had been sent and paid just before. Needs the organization's scope."""
    return _read(_PAID, organization_id, start, end)


def failed_repeats(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[Repeat]:
    """Calls of [start, end) that failed like the one before, in rows of LOOP_FAILURES and more. Needs the
    organization's scope."""
    return _read(_FAILED, organization_id, start, end)


def _read(sql: str, organization_id: int, start: dt.datetime, end: dt.datetime) -> list[Repeat]:
    asked: dict[str, Any] = {
        "organization": organization_id, "start": start, "end": end, "within": WITHIN, "most": MOST_CALLS,
        "loop_calls": LOOP_CALLS, "loop_gap": LOOP_GAP, "loop_failures": LOOP_FAILURES,
        "least_prompt": LEAST_PROMPT, "least_answer": LEAST_ANSWER, "cut_off": list(CUT_OFF),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        return [Repeat(*row) for row in cursor.fetchall()]
