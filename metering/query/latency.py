"""How long calls took: percentiles of the range, its buckets and groups, read from histograms.

Whole days by integration, model and provider come from the latency roll-up, all else from the events, put into the
same buckets: so a percentile does not depend on the table it is read from. docs/algorithms/latency.md has the rule.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection

from core.periods import local_day
from metering.dimensions import DIMENSIONS
from metering.query.event_sql import (
    WITH_AUDIO,
    Filters,
    Statement,
    by_file,
    event_column,
    event_conditions,
    number_of_bucket,
)
from metering.query.labels import resolve_filters
from metering.query.plan import EVERY_SOURCE, Piece, Source, plan_of_days
from metering.query.run import LedgerMovedError, UsageResult, UsageRow, ledger_zone, scope_of
from metering.query.spec import PERCENTILES, UsageQuery, is_text
from metering.store.latency import bucket_of, milliseconds

# Beside the total, what the roll-up tells apart, in any combination.
KEPT = frozenset({"integration", "model", "provider"})
_ATTEMPTS = 3

Moment = Literal["duration", "first_token"]
_Key = tuple[Any, ...]


class Latency(msgspec.Struct):
    """Histograms of two moments of some calls: when they were over, and when their first token was there."""

    durations: Counter[int] = msgspec.field(default_factory=Counter)
    first_tokens: Counter[int] = msgspec.field(default_factory=Counter)

    def percentile_ms(self, moment: Moment, percent: int) -> int | None:
        """The nearest rank: what the fastest `percent` of the calls took at most. None where no call told."""
        counts = self.durations if moment == "duration" else self.first_tokens
        rank = -(-counts.total() * percent // 100)
        passed = 0
        for bucket in sorted(counts):
            passed += counts[bucket]
            if passed >= rank:
                return milliseconds(bucket)
        return None

    def written(self, metrics: tuple[str, ...]) -> dict[str, int | None]:
        """As the API has it; names that are no percentiles are left out."""
        return {name: self.percentile_ms(*PERCENTILES[name]) for name in metrics if name in PERCENTILES}


class Latencies(msgspec.Struct, frozen=True):
    """Those of an answer: of each of its rows, and of everything its query asked for."""

    by_row: dict[_Key, Latency]
    total: Latency

    def of(self, row: UsageRow) -> Latency:
        return self.by_row.get(_key_of(row), _NOTHING)


_NOTHING = Latency()


def read_latencies(result: UsageResult, sources: frozenset[Source] = EVERY_SOURCE) -> Latencies:
    """Percentiles for an answer: two questions whatever its size. Opens the organization's scope unless it is open."""
    query = result.query
    if not result.rows:
        return Latencies({}, _NOTHING)
    with scope_of(query.organization_id):
        whole = _ask(msgspec.structs.replace(query, group_by=(), interval=None), sources)
        total = whole.get((query.start,), _NOTHING)
        if not query.group_by and query.interval is None:
            return Latencies(whole, total)
        return Latencies(_ask(_narrowed(query, result.rows), sources), total)


def _narrowed(query: UsageQuery, rows: list[UsageRow]) -> UsageQuery:
    """To the groups of one page."""
    if query.limit is None:
        return query
    found = {
        name: tuple({row.group[name].key if is_text(name) else row.group[name].ref for row in rows})
        for name in query.group_by
    }
    return msgspec.structs.replace(query, filters={**query.filters, **found})


def _key_of(row: UsageRow) -> _Key:
    return (row.start, *(value.ref for value in row.group.values()))


# ── The statement ──


def _ask(query: UsageQuery, sources: frozenset[Source]) -> dict[_Key, Latency]:
    """By the beginning of the bucket and the values of the groups."""
    filters = resolve_filters(query.organization_id, query.filters)
    for _ in range(_ATTEMPTS):
        ledger = ledger_zone(query.organization_id)
        planned = plan_of_days(
            query, ledger or query.zone, is_kept=query.dimensions <= KEPT and not query.with_audio, sources=sources
        )
        parts = [
            _day_part(piece, query, filters, planned.starts, planned.ledger)
            if piece.source is Source.DAY
            else _event_part(piece, query, filters, planned.starts)
            for piece in planned.pieces
        ]
        with connection.cursor() as cursor:
            cursor.execute(
                " UNION ALL ".join(part.sql for part in parts), [param for part in parts for param in part.params]
            )
            rows = cursor.fetchall()
        if ledger_zone(query.organization_id) == ledger:
            break
    else:
        raise LedgerMovedError
    found: dict[_Key, Latency] = {}
    for number, *values, bucket, durations, first_tokens in rows:
        latency = found.setdefault((planned.buckets[number - 1][0], *values), Latency())
        if durations:
            latency.durations[bucket] += int(durations)
        if first_tokens:
            latency.first_tokens[bucket] += int(first_tokens)
    return found


def _day_part(
    piece: Piece, query: UsageQuery, filters: Filters, starts: list[dt.datetime], ledger: ZoneInfo
) -> Statement:
    at = number_of_bucket("day", "date", [local_day(start, ledger) for start in starts])
    groups = [Statement(DIMENSIONS[name].column, []) for name in query.group_by]
    where = [
        Statement("organization_id = %s", [query.organization_id]),
        Statement("day >= %s AND day < %s", [local_day(piece.start, ledger), local_day(piece.end, ledger)]),
        *event_conditions(filters),
    ]
    return _sum(Statement("metering_usage_latency", []), at, groups, where, ("durations", "first_tokens"))


def _event_part(piece: Piece, query: UsageQuery, filters: Filters, starts: list[dt.datetime]) -> Statement:
    table = Statement("metering_event", [])
    groups = []
    for name in query.group_by:
        if name == "file":
            table = by_file(filters.get("file"))
            groups.append(Statement("file", []))
        else:
            groups.append(event_column(name))
    moments = (
        f"CROSS JOIN LATERAL (VALUES ({bucket_of('duration_ms')}, 1, 0), ({bucket_of('time_to_first_token_ms')}, 0, 1))"
        " AS moments (bucket, duration, first_token)"
    )
    where = [
        Statement("organization_id = %s AND superseded_by IS NULL AND bucket IS NOT NULL", [query.organization_id]),
        Statement("occurred_at >= %s AND occurred_at < %s", [piece.start, piece.end]),
        *event_conditions(filters, (piece.start, piece.end)),
        *([Statement(WITH_AUDIO, [])] if query.with_audio else []),
    ]
    at = number_of_bucket("occurred_at", "timestamptz", starts)
    return _sum(Statement(f"{table.sql} {moments}", table.params), at, groups, where, ("duration", "first_token"))


def _sum(
    table: Statement, at: Statement, groups: list[Statement], where: list[Statement], counts: tuple[str, str]
) -> Statement:
    columns = [at, *groups, Statement("bucket", [])]
    sums = ", ".join(f"sum({name})" for name in counts)
    numbers = ", ".join(str(n + 1) for n in range(len(columns)))
    return Statement(
        f"SELECT {', '.join(column.sql for column in columns)}, {sums} FROM {table.sql}"
        f" WHERE {' AND '.join(part.sql for part in where)} GROUP BY {numbers}",
        [param for part in (*columns, table, *where) for param in part.params],
    )
