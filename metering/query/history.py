"""Conversations that grow: each call sends again what was said before, and what of it a shorter memory had saved.

docs/algorithms/advice.md has the rule and a worked example.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from django.db import connection

from metering.events import PROMPT_BUCKETS
from metering.query.labels import chat_titles

# A conversation of one model grows when it has so many calls, most of them longer than the one before, and the
# longest at least twice as long as the first.
LEAST_CALLS, GROWING_TENTHS, GROWN = 8, 7, 2
# The dearest are read when there are more.
MOST_CALLS = 50_000

_PROMPT = " + ".join(f"{bucket}::bigint" for bucket in PROMPT_BUCKETS)
_STATEMENT = f"""
WITH calls AS (
    SELECT occurred_at, key, event_id, chat, project_id, model_id, cost_nanos, input_cost_nanos, {_PROMPT} AS prompt,
        CASE WHEN jsonb_typeof(detail #> '{{input_parts,context}}') = 'number'
            THEN (detail #>> '{{input_parts,context}}')::numeric END AS context
    FROM metering_event
    WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
        AND superseded_by IS NULL AND chat IS NOT NULL AND NOT is_error AND input_cost_nanos > 0
), stepped AS (
    SELECT *, first_value(prompt) OVER chat AS first_prompt, prompt > lag(prompt) OVER chat AS is_longer
    FROM calls WINDOW chat AS (PARTITION BY chat, project_id, model_id ORDER BY occurred_at, key)
), told AS (
    SELECT *, count(*) OVER chat AS calls, count(*) FILTER (WHERE is_longer) OVER chat AS longer,
        max(prompt) OVER chat AS most
    FROM stepped WINDOW chat AS (PARTITION BY chat, project_id, model_id)
), beyond AS (
    SELECT *, LEAST(prompt - GREATEST(keep, first_prompt), coalesce(context, prompt)) AS history
    FROM told CROSS JOIN unnest(%(keeps)s::bigint[]) AS keep
    WHERE calls >= {LEAST_CALLS} AND 10 * longer >= {GROWING_TENTHS} * (calls - 1) AND most >= {GROWN} * first_prompt
)
SELECT event_id, occurred_at, project_id, model_id, chat, cost_nanos, prompt,
    array_agg(GREATEST(history, 0)::bigint ORDER BY keep DESC),
    array_agg(div(input_cost_nanos * GREATEST(history, 0)::numeric, prompt)::bigint ORDER BY keep DESC)
FROM beyond GROUP BY event_id, occurred_at, key, project_id, model_id, chat, cost_nanos, prompt
HAVING max(history) > 0 ORDER BY 6 DESC, occurred_at, key LIMIT {MOST_CALLS}
"""


class GrownCall(msgspec.Struct, frozen=True, gc=False):
    """A call of a conversation that grew. References are 0 for none, `title` is what the chat is called last.

    For each memory that was asked for, the greatest first: `history` are the tokens of the prompt that were said
    earlier and are beyond it, `saved_nanos` their part of what the prompt cost, rounded down.
    """

    event_id: str
    at: dt.datetime
    project: int
    model: int
    chat: str
    cost_nanos: int
    prompt: int
    history: tuple[int, ...]
    saved_nanos: tuple[int, ...]
    title: str | None


def grown_calls(organization_id: int, start: dt.datetime, end: dt.datetime, keeps: tuple[int, ...]) -> list[GrownCall]:
    """Calls of [start, end) with more history than the least of `keeps` (tokens a prompt would be kept to).

    What the first call of a conversation had sent stays in every one, and so does what a call says is no context.
    Needs the organization's scope.
    """
    asked: dict[str, Any] = {"organization": organization_id, "start": start, "end": end, "keeps": list(keeps)}
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, asked)
        rows = cursor.fetchall()
    titles = chat_titles(organization_id, list({row[4] for row in rows}))
    return [GrownCall(*(*row[:7], tuple(row[7]), tuple(row[8]), titles.get(row[4]))) for row in rows]
