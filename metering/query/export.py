"""Usage as a file of any size and format: read piece by piece, written as it is read, never held as a whole.

Time is cut into segments of a moderate number of requests; every segment is asked for page by page, in a short
transaction of its own, so that a long download holds neither memory nor an old snapshot of the database. What goes
wrong on the way is raised, which breaks the connection off: a file that ends is complete.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

import msgspec

from core.periods import Interval, bucket_start, next_bucket
from metering.dimensions import DIMENSIONS
from metering.query.metrics import METRICS, instant_text
from metering.query.parquet import write_parquet
from metering.query.run import UsageRow, run
from metering.query.spec import UsageQuery, check_dimension, refusal
from metering.query.spreadsheet import write_xlsx
from metering.query.tables import Cell, Column, Table, write_csv, write_json, write_jsonl

TIMESTAMP = "timestamp"
DEFAULT_COLUMNS = (TIMESTAMP, "model", "prompt_tokens", "completion_tokens", "total_tokens", "requests")
MOST_COLUMNS = 60
PAGE_ROWS = 2_000
SEGMENT_REQUESTS = 20_000
_LONGER = 4
_CHUNK_BUCKETS = 1_000


class Export(msgspec.Struct, frozen=True):
    """What a file says: the query's rows in order of time, then of the dimensions as the columns have them.

    The interval stands beside the query because a file may be longer than an answer.
    """

    query: UsageQuery
    interval: Interval | None
    names: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(map(_column, self.names))

    @property
    def period(self) -> tuple[dt.datetime, dt.datetime]:
        return self.query.start, self.query.end

    @property
    def about(self) -> dict[str, str]:
        start, end = map(instant_text, self.period)
        return {"generator": "Tokenledger", "period_start": start, "period_end": end, "timezone": self.query.zone.key}

    def pages(self) -> Iterator[list[list[Cell]]]:
        """Opens and closes its scopes itself, so it may be read after the request's has ended."""
        for rows in export_rows(self):
            yield [self._cells(row) for row in rows]

    def _cells(self, row: UsageRow) -> list[Cell]:
        return [
            row.start if name == TIMESTAMP
            else row.group[name].key if name in row.group
            else METRICS[name].value(row.figures)
            for name in self.names
        ]  # fmt: skip


def _column(name: str) -> Column:
    if name == TIMESTAMP:
        return Column(name, "time")
    metric = METRICS.get(name)
    if metric is None:
        return Column(name)
    if metric.unit == "usd":
        return Column(name, "decimal", 9)
    return Column(name, "number" if metric.is_ratio else "count")


def make_export(
    query: UsageQuery, columns: Sequence[str] = DEFAULT_COLUMNS, interval: Interval | None = "hour"
) -> Export:
    """`query` gives range and filters; the columns say what it is grouped by. Raises ApiError 422."""
    if len(set(columns)) < len(columns):
        raise refusal("columns names one twice.", "columns")
    if len(columns) > MOST_COLUMNS:
        raise refusal(f"A file has at most {MOST_COLUMNS} columns.", "columns")
    dimensions = []
    for name in columns:
        if name == TIMESTAMP or name in METRICS:
            continue
        if name not in DIMENSIONS and "." not in name and name not in ("chat", "message", "file"):
            known = ", ".join((TIMESTAMP, *DIMENSIONS, "chat", "message", "file", "tag.<name>", *METRICS))
            raise refusal(f"There is no column {name!r}. Columns: {known}.", "columns")
        check_dimension(name, "columns")
        dimensions.append(name)
    asked = msgspec.structs.replace(query, interval=None, group_by=tuple(dimensions), order_by=(), cursor=None)
    return Export(asked, interval, tuple(columns))


# ── Reading ──


def export_rows(export: Export) -> Iterator[list[UsageRow]]:
    """Rows by the page."""
    query = export.query
    order = (*(("start",) if export.interval else ()), *query.group_by) or ("requests",)
    for start, end in _chunks(query, export.interval):
        chunk = msgspec.structs.replace(
            query, start=start, end=end, interval=export.interval, order_by=order, limit=PAGE_ROWS
        )
        yield from _by_segments(chunk) if chunk.interval and chunk.group_by else _pages(chunk)


def _chunks(query: UsageQuery, interval: Interval | None) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """The range in stretches of whole buckets, few enough to list."""
    if interval is None:
        yield query.start, query.end
        return
    start = query.start
    while start < query.end:
        end = bucket_start(start, interval, query.zone)
        for _ in range(_CHUNK_BUCKETS):
            end = next_bucket(end, interval, query.zone)
            if end >= query.end:
                break
        yield start, min(end, query.end)
        start = end


def _by_segments(chunk: UsageQuery) -> Iterator[list[UsageRow]]:
    """Neighboring buckets that together have a moderate number of requests at a time; without what has none.

    Every page of a segment costs as much as the whole of it. One that fits a page has many requests a row, and the next
    may be longer.
    """
    counted = run(msgspec.structs.replace(chunk, group_by=(), order_by=("start",), limit=None))
    filled = [row for row in counted.rows if row.figures.requests]
    first, most = 0, SEGMENT_REQUESTS
    while first < len(filled):
        last, requests = first, filled[first].figures.requests
        while last + 1 < len(filled) and requests + filled[last + 1].figures.requests <= most:
            last += 1
            requests += filled[last].figures.requests
        pages = 0
        segment = msgspec.structs.replace(chunk, start=filled[first].start, end=filled[last].end)
        for page in _pages(segment):
            pages += 1
            yield page
        most = most * _LONGER if pages == 1 else max(SEGMENT_REQUESTS, most // _LONGER)
        first = last + 1


def _pages(segment: UsageQuery) -> Iterator[list[UsageRow]]:
    cursor: str | None = None
    while True:
        page = run(msgspec.structs.replace(segment, cursor=cursor))
        yield page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


# ── Formats ──


class Format(msgspec.Struct, frozen=True):
    """`write` turns any table into a file's bytes, chunk by chunk; `name` is what people call it."""

    name: str
    content_type: str
    write: Callable[[Table], Iterator[bytes]]


FORMATS: dict[str, Format] = {
    "csv": Format("CSV", "text/csv; charset=utf-8", write_csv),
    "json": Format("JSON", "application/json", write_json),
    "jsonl": Format("JSON lines", "application/x-ndjson", write_jsonl),
    "parquet": Format("Parquet", "application/vnd.apache.parquet", write_parquet),
    "xlsx": Format("Excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_xlsx),
}
