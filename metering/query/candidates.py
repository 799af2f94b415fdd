"""Calls that advice could be about, with all that a price depends on: simple ones, such in bursts, talks that grow.

Every reader takes an organization and a time, and needs its scope. Calls are streamed, those alone that succeeded, were
priced and stand. docs/algorithms/advice.md gives the reasons for each condition.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from django.db import connection

from metering.events import BUCKETS, UNITS, Usage
from metering.pricing.rate import Pricing
from metering.query.event_sql import Statement
from metering.query.labels import resolve_filters
from metering.store.file_shares import HAS_FILES

_FETCHED = 2_000
_COUNTS = (*BUCKETS, *UNITS)
_COLUMNS = ("event_id", "occurred_at", "cost_nanos", "service_tier", "duration_ms", *_COUNTS)
_PROMPT = "(input + cache_read + cache_write_5m + cache_write_1h)"
# Ends that an answer has which was finished: any other was cut, refused, or asks for a tool.
_FINISHED = ("stop", "end_turn", "stop_sequence", "eos", "complete", "completed")
_ORDINARY_TIER = (
    "(service_tier IS NULL OR lower(service_tier) IN ('', 'standard', 'default', 'auto', 'standard_only', 'on_demand'))"
)
_STREAMED = (
    "CASE WHEN jsonb_typeof(detail -> 'streamed') = 'boolean' THEN (detail -> 'streamed')::boolean"
    " ELSE time_to_first_token_ms IS NOT NULL END"
)
_QUARTER = "date_bin('15 minutes', occurred_at, TIMESTAMPTZ '2000-01-01 00:00:00+00')"


class Call(msgspec.Struct, frozen=True, gc=False):
    """A call that was priced, as far as its price depends on it."""

    event_id: str
    occurred_at: dt.datetime
    cost_nanos: int
    service_tier: str | None
    duration_ms: int | None
    usage: Usage


class Sold(msgspec.Struct, frozen=True):
    """A model as calls name it, with the provider they name; None: they name none."""

    provider: str | None
    model: str


class Simple(msgspec.Struct, frozen=True):
    """What counts as simple: at most that many tokens in the prompt and in the answer; never a tool, a file, sound,
    pictures, searches, or tokens of reasoning."""

    prompt_tokens: int
    answer_tokens: int


class Burst(msgspec.Struct, frozen=True):
    """What counts as work in the background: at least `share_percent` of a source's calls come `together` or more in
    a quarter of an hour, unstreamed and outside of chats, in at most `busy_quarters` of these."""

    together: int
    share_percent: int
    busy_quarters: int


class Source(msgspec.Struct, frozen=True):
    """Where calls come from: references of a key and a feature (0: none), a model and its provider."""

    api_key: int
    feature: int
    provider: int
    model: int


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A call of a chat, and how it follows the one before: None where it is the first."""

    call: Call
    chat: str
    before: Call | None


class Work(msgspec.Struct, frozen=True):
    """So many calls, their prompts' tokens, and what they cost, and their prompts alone."""

    calls: int
    prompt_tokens: int
    cost_nanos: int
    prompt_nanos: int


# ── Simple calls ──


def simple_calls(
    organization_id: int, start: dt.datetime, end: dt.datetime, sold: Sequence[Sold], simple: Simple
) -> Iterator[Call]:
    """Of these models, by time."""
    yield from _calls([*_priced(organization_id, start, end), *_of(organization_id, sold), *_simple(simple)])


def simple_work(
    organization_id: int, start: dt.datetime, end: dt.datetime, sold: Sequence[Sold], simple: Simple
) -> Work:
    return _work([*_priced(organization_id, start, end), *_of(organization_id, sold), *_simple(simple)])


def _simple(simple: Simple) -> list[Statement]:
    nothing = " AND ".join(
        f"{name} = 0"
        for name in (
            "reasoning", "audio_input", "audio_output", "image_input", "image_output", "web_searches", "images",
            "media_ms", "tool_id",
        )
    )  # fmt: skip
    return [
        Statement(f"{_PROMPT} <= %s AND output BETWEEN 1 AND %s", [simple.prompt_tokens, simple.answer_tokens]),
        Statement(f"{nothing} AND (detail IS NULL OR NOT {HAS_FILES})", []),
        Statement(_ORDINARY_TIER, []),
        Statement("coalesce(lower(detail ->> 'finish_reason'), 'stop') = ANY(%s)", [list(_FINISHED)]),
    ]


# ── Work in the background ──


def sources_in_bursts(organization_id: int, start: dt.datetime, end: dt.datetime, burst: Burst) -> list[Source]:
    """Where calls come from that nobody waits for, judging by when they come."""
    where = [*_priced(organization_id, start, end), Statement(_ORDINARY_TIER, [])]
    conditions = " AND ".join(part.sql for part in where)
    sql = (
        "SELECT api_key_id, feature_id, provider_id, model_id FROM ("
        " SELECT api_key_id, feature_id, provider_id, model_id, count(*) AS calls,"
        f" count(*) FILTER (WHERE chat IS NULL AND NOT {_STREAMED}) AS quiet"
        f" FROM metering_event WHERE {conditions} GROUP BY 1, 2, 3, 4, {_QUARTER}) AS quarters"
        " GROUP BY 1, 2, 3, 4"
        " HAVING 100 * coalesce(sum(quiet) FILTER (WHERE quiet >= %s), 0) >= %s * sum(calls) AND count(*) <= %s"
        " ORDER BY 1, 2, 3, 4"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*_params(where), burst.together, burst.share_percent, burst.busy_quarters])
        return [Source(*row) for row in cursor.fetchall()]


def calls_in_bursts(
    organization_id: int, start: dt.datetime, end: dt.datetime, source: Source, together: int
) -> Iterator[Call]:
    """A source's unstreamed calls outside of chats that came `together` in a quarter of an hour, by time."""
    where = [
        *_priced(organization_id, start, end),
        *_of_source(source),
        Statement(f"{_ORDINARY_TIER} AND chat IS NULL AND NOT {_STREAMED}", []),
    ]
    table = (
        f"(SELECT {', '.join((*_COLUMNS, 'key'))}, count(*) OVER (PARTITION BY {_QUARTER}) AS together"
        f" FROM metering_event WHERE {' AND '.join(part.sql for part in where)}) AS calls"
    )
    yield from _calls([Statement("together >= %s", [together])], Statement(table, _params(where)))


def work_of_source(organization_id: int, start: dt.datetime, end: dt.datetime, source: Source) -> Work:
    """Of whichever tier, whenever they came."""
    return _work([*_priced(organization_id, start, end), *_of_source(source)])


def _of_source(source: Source) -> list[Statement]:
    columns = "api_key_id = %s AND feature_id = %s AND provider_id = %s AND model_id = %s"
    return [Statement(columns, [source.api_key, source.feature, source.provider, source.model])]


# ── Talks ──


def turns(organization_id: int, start: dt.datetime, end: dt.datetime, sold: Sequence[Sold]) -> Iterator[Turn]:
    """Calls of texts in chats with these models, chat by chat in the order of time."""
    where = [*_priced(organization_id, start, end), *_of(organization_id, sold), Statement(_TALK, [])]
    columns = ", ".join((*_COLUMNS, "chat"))
    sql = (
        f"SELECT {columns} FROM metering_event WHERE {' AND '.join(part.sql for part in where)}"
        " ORDER BY chat, occurred_at, key"
    )
    before: Turn | None = None
    for row in _stream(sql, _params(where)):
        chat, call = row[-1], _call(row)
        before = Turn(call, chat, before.call if before is not None and before.chat == chat else None)
        yield before


def work_of_talks(organization_id: int, start: dt.datetime, end: dt.datetime, sold: Sequence[Sold]) -> Work:
    return _work([*_priced(organization_id, start, end), *_of(organization_id, sold), Statement(_TALK, [])])


_TALK = f"chat IS NOT NULL AND audio_input = 0 AND image_input = 0 AND {_ORDINARY_TIER}"


# ── Reading ──


def _priced(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[Statement]:
    return [
        Statement("organization_id = %s AND occurred_at >= %s AND occurred_at < %s", [organization_id, start, end]),
        Statement(f"superseded_by IS NULL AND NOT is_error AND is_usage_known AND pricing = {int(Pricing.PRICED)}", []),
    ]


def _of(organization_id: int, sold: Sequence[Sold]) -> list[Statement]:
    """Calls of any of these models."""
    alternatives, params = [], []
    for one in sold:
        wanted = resolve_filters(organization_id, {"provider": (one.provider,), "model": (one.model,)})
        alternatives.append("(provider_id = ANY(%s) AND model_id = ANY(%s))")
        params += [list(wanted["provider"].refs), list(wanted["model"].refs)]
    return [Statement(f"({' OR '.join(alternatives)})", params)]


def _calls(where: Sequence[Statement], table: Statement | None = None) -> Iterator[Call]:
    table = table or Statement("metering_event", [])
    sql = (
        f"SELECT {', '.join(_COLUMNS)} FROM {table.sql} WHERE {' AND '.join(part.sql for part in where)}"
        " ORDER BY occurred_at, key"
    )
    for row in _stream(sql, [*table.params, *_params(where)]):
        yield _call(row)


def _call(row: Sequence[Any]) -> Call:
    event_id, occurred_at, cost, tier, duration = row[:5]
    counts = dict(zip(_COUNTS, row[5 : 5 + len(_COUNTS)], strict=True))
    return Call(event_id, occurred_at, cost, tier, duration, Usage(**counts))


def _work(where: Sequence[Statement]) -> Work:
    sql = (
        f"SELECT count(*), coalesce(sum({_PROMPT}), 0)::bigint, coalesce(sum(cost_nanos), 0)::bigint,"
        " coalesce(sum(input_cost_nanos), 0)::bigint"
        f" FROM metering_event WHERE {' AND '.join(part.sql for part in where)}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, _params(where))
        return Work(*cursor.fetchone())


def _stream(sql: str, params: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Rows without all of them in memory."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, params)
        while rows := cursor.fetchmany(_FETCHED):
            yield from rows


def _params(where: Sequence[Statement]) -> list[Any]:
    return [param for part in where for param in part.params]
