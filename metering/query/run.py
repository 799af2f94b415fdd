"""Ask, and be answered: a UsageQuery in, a UsageResult out. Nothing else reads usage for people or programs."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection

from core.errors import ApiError
from core.pagination import decode_cursor, encode_cursor
from core.tenancy import ScopeError, current_organization_id, organization_scope
from metering.query.event_sql import Statement
from metering.query.labels import GroupValue, name_refs, name_texts, resolve_filters
from metering.query.metrics import MEASURE_FIELDS, Coverage, Figures
from metering.query.plan import EVERY_SOURCE, Plan, Source, plan
from metering.query.spec import UsageQuery, is_text
from metering.query.sql import SortKey, sort_keys, ungrouped, usage_statement

_ATTEMPTS = 3


class UsageRow(msgspec.Struct, frozen=True, gc=False):
    """The usage of one group in one bucket [start, end). `group` has the dimensions of group_by, in that order."""

    start: dt.datetime
    end: dt.datetime
    group: dict[str, GroupValue]
    figures: Figures


class UsageResult(msgspec.Struct, frozen=True):
    """`rows` are one page; `totals` sum everything the query's range and filters have, whatever the page shows.

    Grouped by file an event counts for each of its files, in `totals` once.
    """

    query: UsageQuery
    rows: list[UsageRow]
    totals: Figures
    next_cursor: str | None
    sources: tuple[Source, ...]

    @property
    def coverage(self) -> Coverage:
        return self.totals.coverage


class LedgerMovedError(RuntimeError):
    """The ledger's zone kept changing while a question was asked."""


def run(query: UsageQuery, sources: frozenset[Source] = EVERY_SOURCE) -> UsageResult:
    """Answer a query. Opens the organization's scope unless it is open; `sources` leaves roll-ups out (plan.py)."""
    with scope_of(query.organization_id):
        filters = resolve_filters(query.organization_id, query.filters)
        keys = sort_keys(query)
        after = _read_cursor(query, keys) if query.cursor else None
        for _ in range(_ATTEMPTS):
            ledger = ledger_zone(query.organization_id)
            planned = plan(query, ledger or query.zone, sources)
            whole = _plan_of_totals(query, planned, sources)
            found = _execute(query, usage_statement(query, planned, whole, filters, after))
            # The statement saw the ledger as it read the roll-ups: a rebuild in between shows.
            if found.ledger == (ledger.key if ledger else None):
                return _result(query, planned, found, keys)
        raise LedgerMovedError


@contextmanager
def scope_of(organization_id: int) -> Iterator[None]:
    """Inside the organization's scope; the open one when it is that."""
    try:
        is_open = current_organization_id() == organization_id
    except ScopeError:
        is_open = False
    if is_open:
        yield
        return
    with organization_scope(organization_id):
        yield


def ledger_zone(organization_id: int) -> ZoneInfo | None:
    """The zone an organization's roll-ups are kept in; None before its first event."""
    with connection.cursor() as cursor:
        # Compiling these statements would take longer than running them; sums of many groups are wide.
        cursor.execute(
            "SELECT timezone, set_config('jit', 'off', true), set_config('work_mem', '32MB', true)"
            " FROM metering_ledger WHERE organization_id = %s",
            [organization_id],
        )
        row = cursor.fetchone()
    return ZoneInfo(row[0]) if row else None


# ── The statement and its rows ──


class _Found(msgspec.Struct):
    totals: Figures
    ledger: str | None
    rows: list[tuple[Any, ...]]


def _plan_of_totals(query: UsageQuery, planned: Plan, sources: frozenset[Source]) -> Plan | None:
    """Totals are summed from the groups, unless groups overlap, or the day cube has the totals in a few rows."""
    if not query.group_by:
        return None
    whole = plan(ungrouped(query), planned.ledger, sources)
    is_short = all(piece.source is Source.DAY for piece in whole.pieces)
    return whole if is_short or "file" in query.group_by else None


def _execute(query: UsageQuery, statement: Statement) -> _Found:
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.params)
        rows = cursor.fetchall()
    totals = rows.pop(next(i for i, row in enumerate(rows) if row[0] is None))
    return _Found(_figures(totals, 1 + len(query.group_by)), totals[-1], rows)


def _figures(row: tuple[Any, ...], offset: int) -> Figures:
    return Figures(*row[offset : offset + len(MEASURE_FIELDS)])


def _result(query: UsageQuery, planned: Plan, found: _Found, keys: Sequence[SortKey]) -> UsageResult:
    rows, cursor = found.rows, None
    if query.limit is not None and len(rows) > query.limit:
        rows = rows[: query.limit]
        cursor = _write_cursor(query, rows[-1][-1 - len(keys) : -1])
    groups = len(query.group_by)
    names = _names(query, {name: {row[i + 1] for row in rows} for i, name in enumerate(query.group_by)})
    usage_rows = []
    told: dict[tuple[Any, ...], dict[str, GroupValue]] = {}
    for row in rows:
        start, end = planned.buckets[row[0] - 1]
        values = row[1 : groups + 1]
        group = told.get(values)
        if group is None:
            group = told[values] = {name: names[name][values[i]] for i, name in enumerate(query.group_by)}
        usage_rows.append(UsageRow(start, end, group, _figures(row, groups + 1)))
    return UsageResult(
        query=query,
        rows=usage_rows,
        totals=found.totals,
        next_cursor=cursor,
        sources=tuple(dict.fromkeys(piece.source for piece in planned.pieces)),
    )


def _names(query: UsageQuery, values: dict[str, set[Any]]) -> dict[str, dict[Any, GroupValue]]:
    refs = {name: found for name, found in values.items() if not is_text(name)}
    named: dict[str, dict[Any, GroupValue]] = dict(name_refs(query.organization_id, refs).items())
    for name in values.keys() - refs.keys():
        named[name] = dict(name_texts(query.organization_id, name, values[name]))
    return named


# ── Cursors ──


def _digest(query: UsageQuery) -> str:
    """What a cursor belongs to: the same question, whatever the size of its pages."""
    said = (
        query.organization_id, query.start.isoformat(), query.end.isoformat(), query.zone.key, query.interval,
        query.group_by, sorted((name, list(map(repr, values))) for name, values in query.filters.items()), query.order,
        query.with_audio,
    )  # fmt: skip
    return hashlib.blake2b(msgspec.json.encode(said), digest_size=9).hexdigest()


def _write_cursor(query: UsageQuery, values: Sequence[Any]) -> str:
    return encode_cursor([_digest(query), *(str(v) if isinstance(v, Decimal) else v for v in values)])


def _read_cursor(query: UsageQuery, keys: Sequence[SortKey]) -> list[Any]:
    digest, *values = decode_cursor(query.cursor or "", [str, *(_READERS[key.type] for key in keys)])
    if digest != _digest(query):
        raise ApiError(422, "invalid_cursor", "This cursor belongs to another query. Start without it.", param="cursor")
    return values


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**31) <= value < 2**31:
        raise ValueError("not a number of a cursor")
    return value


def _number(value: Any) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str) and len(value) < 100 else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 100:
        raise ValueError("not a figure of a cursor")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text of a cursor")
    return value


_READERS = {"int": _whole, "numeric": _number, "text": _text}
