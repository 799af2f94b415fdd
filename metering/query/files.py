"""Files: each with what is told of it, the chats that use it, its calls, and its share of what they cost.

Whole months are read from the files' roll-up, the edges of a range and whatever filters tell apart from the events that
have files. docs/algorithms/files.md says what a share is.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection
from django.utils.timezone import now

from core.money import usd_text
from core.pagination import decode_cursor, encode_cursor
from core.periods import day_start, local_day, month_start, next_month
from metering.ingest.document import FUTURE_TOLERANCE
from metering.query.event_sql import Filters, Statement, event_conditions, number_of_bucket
from metering.query.labels import chat_titles, resolve_filters
from metering.query.metrics import METRICS, Figures, Written, instant_text, written
from metering.query.run import LedgerMovedError, ledger_zone
from metering.query.spec import EARLIEST, LATEST, FilterValue, check_search, refusal
from metering.store.file_shares import ANY_FILE
from metering.store.rollups import FILE_KEYS, FILE_MEASURES, FILE_VALUES, MEASURES, sum_files

_ATTEMPTS = 3
_COLUMNS = ", ".join((*FILE_KEYS, *FILE_VALUES))
_SUMMED = (*MEASURES, *FILE_MEASURES)

FilterMap = dict[str, tuple[FilterValue, ...]]


class Shares(msgspec.Struct, frozen=True):
    """What of some calls their files were. `known_…` are the sums of what is known; the others None when nothing is."""

    known_tokens: int = 0
    known_cost_nanos: int = 0
    # Uses (of a file by a call) whose share nobody knows, in tokens and in cost.
    untold: int = 0
    uncosted: int = 0

    @property
    def tokens(self) -> int | None:
        return None if self.untold and not self.known_tokens else self.known_tokens

    @property
    def cost_nanos(self) -> int | None:
        return None if self.uncosted and not self.known_cost_nanos else self.known_cost_nanos


class FileRow(msgspec.Struct, frozen=True):
    """A file in a range: `tokens` are those of its extracted text, `chats` the distinct ones that used it."""

    file: str
    name: str | None
    size_bytes: int | None
    tokens: int | None
    first_at: dt.datetime
    last_at: dt.datetime
    chats: int
    figures: Figures
    shares: Shares

    @property
    def label(self) -> str:
        return self.name or self.file


class FileTotals(msgspec.Struct, frozen=True):
    """Of all files that the filters leave, whatever is searched for: `figures` have each call once."""

    files: int
    chats: int
    figures: Figures
    shares: Shares


class FilePage(msgspec.Struct, frozen=True):
    rows: list[FileRow]
    totals: FileTotals
    next_cursor: str | None


class FileChat(msgspec.Struct, frozen=True):
    """A chat that used a file; `chat` is None for all calls outside of chats."""

    chat: str | None
    title: str | None
    last_at: dt.datetime
    figures: Figures
    shares: Shares


class _Order(msgspec.Struct, frozen=True):
    sql: str
    read: Callable[[Any], Any]


def list_files(
    organization_id: int,
    start: dt.datetime,
    end: dt.datetime,
    filters: FilterMap,
    *,
    order_by: str = "-processing_cost_usd",
    search: str = "",
    limit: int | None = None,
    cursor: str | None = None,
) -> FilePage:
    """Files that calls of [start, end) used, and their figures in it. Needs the organization's scope.

    `order_by` is one of ORDERS, "-" before it puts the greatest first and what is unknown last; `search` is a part of
    the name or of the id. Raises ApiError 422 for another order, a search that is too long, and a cursor of
    another list.
    """
    name, is_descending = order_by.removeprefix("-"), order_by.startswith("-")
    if name not in ORDERS:
        raise refusal(f"order_by is one of {', '.join(ORDERS)}, with - before it to descend.", "order_by")
    order = ORDERS[name]
    where = [Statement(f"file <> '{ANY_FILE}'", [])]
    if search:
        where.append(_matches(search))
    if cursor:
        after = decode_cursor(cursor, [order.read, _read_text])
        where.append(Statement(f'({order.sql}, file COLLATE "C") {"<" if is_descending else ">"} (%s, %s)', after))
    direction = "DESC" if is_descending else "ASC"
    page = (
        f"SELECT {order.sql} AS k, 1, chats, {', '.join(_SUMMED)}, file, name, size_bytes, tokens, first_at, last_at"
        f" FROM files WHERE {' AND '.join(part.sql for part in where)}"
        f' ORDER BY k {direction}, file COLLATE "C" {direction}' + (" LIMIT %s" if limit is not None else "")
    )
    params = [param for part in where for param in part.params] + ([] if limit is None else [limit + 1])
    found = _ask(organization_id, start, end, filters, Statement(f"{_FILES} {_TOTALS} UNION ALL ({page})", params))
    (_, files, chats, *sums), rows = found[0], found[1:]
    totals = FileTotals(files, chats, *_figures(sums[: len(_SUMMED)]))
    following = None
    if limit is not None and len(rows) > limit:
        rows.pop()
        following = encode_cursor([rows[-1][0], rows[-1][_FILE]])
    return FilePage([_row(row) for row in rows], totals, following)


def chats_of_file(
    organization_id: int, file: str, start: dt.datetime, end: dt.datetime, filters: FilterMap, limit: int
) -> list[FileChat]:
    """The chats that used a file in [start, end), the last one first. Needs the organization's scope."""
    sums = ", ".join(f"sum({name})::bigint" for name in _SUMMED)
    asked = Statement(
        f"SELECT chat, max(last_at), {sums} FROM uses WHERE file <> '{ANY_FILE}' GROUP BY chat"
        " ORDER BY chat = '', 2 DESC, 1 LIMIT %s",
        [limit],
    )
    found = _ask(organization_id, start, end, {**filters, "file": (file,)}, asked)
    titles = chat_titles(organization_id, [row[0] for row in found if row[0]])
    return [FileChat(row[0] or None, titles.get(row[0]), row[1], *_figures(row[2 : 2 + len(_SUMMED)])) for row in found]


def trend_of_file(
    organization_id: int, file: str, starts: Sequence[dt.datetime], end: dt.datetime, filters: FilterMap
) -> list[tuple[Figures, Shares]]:
    """Its use in each of the buckets that begin at `starts`, the last up to `end`. Needs the organization's scope."""
    resolved = resolve_filters(organization_id, {**filters, "file": (file,)})
    bucket = number_of_bucket("occurred_at", "timestamptz", starts)
    uses = _from_events(organization_id, starts[0], end, resolved, [file], bucket)
    sums = ", ".join(f"sum({name})::bigint" for name in _SUMMED)
    with connection.cursor() as database:
        database.execute(
            f"SELECT month, {sums} FROM ({uses.sql}) AS uses WHERE file <> '{ANY_FILE}' GROUP BY month", uses.params
        )
        found = {row[0]: _figures(row[1:]) for row in database.fetchall()}
    return [found.get(number, (Figures(), Shares())) for number in range(1, len(starts) + 1)]


def months_of_file(organization_id: int, file: str) -> dict[dt.date, tuple[Figures, Shares]]:
    """Its use in each month of its life, by the month's first day. Needs the organization's scope."""
    sums = ", ".join(f"sum({name})::bigint" for name in _SUMMED)
    asked = Statement(f"SELECT month, {sums} FROM uses WHERE file <> '{ANY_FILE}' GROUP BY month", [])
    found = _ask(organization_id, EARLIEST, LATEST, {"file": (file,)}, asked)
    return {row[0]: _figures(row[1:]) for row in found}


def write_file(row: FileRow, metrics: tuple[str, ...] = tuple(METRICS)) -> dict[str, Written]:
    """As the API and files have it."""
    return {
        "id": row.file,
        "name": row.name,
        "size_bytes": row.size_bytes,
        "tokens": row.tokens,
        "chats": row.chats,
        **write_shares(row.shares),
        "first_at": instant_text(row.first_at),
        "last_at": instant_text(row.last_at),
        **written(row.figures, metrics),
    }


def write_shares(shares: Shares) -> dict[str, Written]:
    return {"file_tokens": shares.tokens, "processing_cost_usd": usd_text(shares.cost_nanos)}


# ── The statement ──

_NEWEST = "(array_agg(name ORDER BY named_at DESC, name DESC) FILTER (WHERE name IS NOT NULL))[1]"
_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in _SUMMED)
_FILES = f"""
, files AS (
    SELECT file, {_NEWEST} AS name, max(size_bytes) AS size_bytes, max(tokens) AS tokens, min(first_at) AS first_at,
        max(last_at) AS last_at, count(DISTINCT chat) FILTER (WHERE chat <> '') AS chats, {_SUMS}
    FROM uses GROUP BY file HAVING sum(requests) <> 0
)"""
_OF_ANY = ", ".join(f"coalesce(sum({name}) FILTER (WHERE file = '{ANY_FILE}'), 0)::bigint" for name in MEASURES)
# Shares are of files, and with a filter by file only of those: they are summed, not taken from the row of any file.
_OF_EACH = ", ".join(f"coalesce(sum({name}) FILTER (WHERE file <> '{ANY_FILE}'), 0)::bigint" for name in FILE_MEASURES)
_TOTALS = f"""
SELECT NULL, count(*) FILTER (WHERE file <> '{ANY_FILE}'), (SELECT count(DISTINCT chat) FROM uses WHERE chat <> ''),
    {_OF_ANY}, {_OF_EACH}, NULL, NULL, NULL, NULL, NULL, NULL FROM files"""
# Where the file's own columns begin in a row of the statement.
_FILE = 3 + len(_SUMMED)


def _ask(
    organization_id: int, start: dt.datetime, end: dt.datetime, filters: FilterMap, asked: Statement
) -> list[tuple[Any, ...]]:
    """`asked` goes on after `WITH uses AS (…)`: by file and chat, as the roll-up keeps them."""
    resolved = resolve_filters(organization_id, filters)
    for _ in range(_ATTEMPTS):
        ledger = ledger_zone(organization_id)
        uses = _uses(organization_id, start, end, resolved, ledger or ZoneInfo("UTC"))
        with connection.cursor() as database:
            database.execute(f"WITH uses AS MATERIALIZED ({uses.sql}) {asked.sql}", [*uses.params, *asked.params])
            rows: list[tuple[Any, ...]] = database.fetchall()
        # A rebuild in between kept the months in another zone.
        if ledger_zone(organization_id) == ledger:
            return rows
    raise LedgerMovedError


def _uses(organization_id: int, start: dt.datetime, end: dt.datetime, filters: Filters, zone: ZoneInfo) -> Statement:
    wanted = filters.get("file")
    files = None if wanted is None else sorted(set(wanted.texts))
    # Which calls have one of several files only the events tell, each of them once.
    if filters.keys() - {"file"} or (wanted and wanted.with_none) or (files and len(files) > 1):
        return _from_events(organization_id, start, end, filters, files)
    first, last = _whole_months(start, end, zone)
    if first >= last:
        return _from_events(organization_id, start, end, filters, files)
    parts = [_from_rollup(organization_id, first, last, files)]
    for edge_start, edge_end in ((start, day_start(first, zone)), (day_start(last, zone), end)):
        if edge_start < edge_end:
            parts.append(_from_events(organization_id, edge_start, edge_end, filters, files))
    return Statement(" UNION ALL ".join(part.sql for part in parts), [param for part in parts for param in part.params])


def _whole_months(start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> tuple[dt.date, dt.date]:
    """The months of [start, end), from the first to before the last. One that is not over is whole: it has no more."""
    first = month_start(local_day(start, zone))
    if day_start(first, zone) < start:
        first = next_month(first)
    last = month_start(local_day(end, zone))
    if end > now() + FUTURE_TOLERANCE and day_start(last, zone) < end:
        last = next_month(last)
    return first, last


def _from_rollup(organization_id: int, first: dt.date, last: dt.date, files: list[str] | None) -> Statement:
    sql = f"SELECT {_COLUMNS} FROM metering_usage_file WHERE organization_id = %s AND month >= %s AND month < %s"
    if files is None:
        return Statement(sql, [organization_id, first, last])
    one = Statement(f"{sql} AND file = ANY(%s)", [organization_id, first, last, files])
    of_any = f"SELECT month, '{ANY_FILE}', chat, {', '.join(FILE_VALUES)} FROM ({one.sql}) AS one"
    return Statement(f"{one.sql} UNION ALL {of_any}", [*one.params, *one.params])


_NO_MONTH = Statement("NULL::date", [])


def _from_events(
    organization_id: int,
    start: dt.datetime,
    end: dt.datetime,
    filters: Filters,
    files: list[str] | None,
    month: Statement = _NO_MONTH,
) -> Statement:
    """`month` is what stands in that column: nothing, or the number of a bucket."""
    where = [
        Statement("organization_id = %s AND superseded_by IS NULL AND detail ? 'files'", [organization_id]),
        Statement("occurred_at >= %s AND occurred_at < %s", [start, end]),
        *event_conditions(filters, (start, end)),
    ]
    events = f"SELECT *, 1 AS sign, {month.sql} AS month FROM metering_event WHERE {' AND '.join(w.sql for w in where)}"
    only = "true" if files is None else f"(file = '{ANY_FILE}' OR file = ANY(%s))"
    sums = sum_files(f"({events}) AS events", only)
    return Statement(
        f"SELECT {_COLUMNS} FROM ({sums}) AS sums (organization_id, {_COLUMNS})",
        [param for part in (month, *where) for param in part.params] + ([] if files is None else [files]),
    )


def _matches(search: str) -> Statement:
    check_search(search)
    escaped = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return Statement("(name ILIKE %s OR file ILIKE %s)", [f"%{escaped}%"] * 2)


# ── Rows and cursors ──


def _figures(sums: Any) -> tuple[Figures, Shares]:
    return Figures(*sums[: len(MEASURES)]), Shares(*sums[len(MEASURES) :])


def _row(row: tuple[Any, ...]) -> FileRow:
    figures, shares = _figures(row[3:_FILE])
    file, name, size_bytes, tokens, first_at, last_at = row[_FILE:]
    return FileRow(file, name, size_bytes, tokens, first_at, last_at, row[2], figures, shares)


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text")
    return value


def _read_number(value: Any) -> int:
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError("not a number")
    return value


def _read_time(value: Any) -> dt.datetime:
    at = dt.datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at


# Unknown is less than 0: last when the greatest is first.
ORDERS: dict[str, _Order] = {
    "name": _Order('lower(coalesce(name, file)) COLLATE "C"', _read_text),
    "size_bytes": _Order("coalesce(size_bytes, -1)", _read_number),
    "tokens": _Order("coalesce(tokens, -1)", _read_number),
    "chats": _Order("chats", _read_number),
    "requests": _Order("requests", _read_number),
    "file_tokens": _Order(
        "CASE WHEN untold_requests > 0 AND file_tokens = 0 THEN -1 ELSE file_tokens END", _read_number
    ),
    "processing_cost_usd": _Order(
        "CASE WHEN uncosted_requests > 0 AND file_cost_nanos = 0 THEN -1 ELSE file_cost_nanos END", _read_number
    ),
    "total_tokens": _Order(METRICS["total_tokens"].sort, _read_number),
    "cost_usd": _Order(METRICS["cost_usd"].sort, _read_number),
    "last_at": _Order("last_at", _read_time),
}
