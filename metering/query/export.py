"""Usage as a file of any size: read piece by piece, written as it is read, never held as a whole.

Time is cut into segments of a moderate number of requests; every segment is asked for page by page, in a short
transaction of its own, so that a long download holds neither memory nor an old snapshot of the database. What goes
wrong on the way is raised, which breaks the connection off: a file that ends is complete.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
from asgiref.sync import sync_to_async

from core.csvcells import csv_text
from core.periods import Interval, bucket_start, next_bucket
from metering.dimensions import DIMENSIONS
from metering.query.metrics import METRICS, Written, instant_text
from metering.query.run import UsageRow, run
from metering.query.spec import UsageQuery, check_dimension, refusal

TIMESTAMP = "timestamp"
DEFAULT_COLUMNS = (TIMESTAMP, "model", "prompt_tokens", "completion_tokens", "total_tokens", "requests")
MOST_COLUMNS = 60
PAGE_ROWS = 2_000
SEGMENT_REQUESTS = 20_000
_LONGER = 4
_CHUNK_BUCKETS = 1_000
_T = TypeVar("_T")


class Export(msgspec.Struct, frozen=True):
    """What a file says: the query's rows in order of time, then of the dimensions as the columns have them.

    The interval stands beside the query because a file may be longer than an answer.
    """

    query: UsageQuery
    interval: Interval | None
    columns: tuple[str, ...]


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
    """Rows by the page. Opens and closes its scopes itself, so it may be read after the request's has ended."""
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


# ── Writing ──


def _values(export: Export, row: UsageRow) -> list[Written]:
    values: list[Written] = []
    for name in export.columns:
        if name == TIMESTAMP:
            values.append(instant_text(row.start))
        elif name in row.group:
            values.append(row.group[name].key)
        else:
            values.append(METRICS[name].write(row.figures))
    return values


def write_csv(export: Export) -> Iterator[str]:
    pages = begun(export_rows(export))
    yield csv_text([export.columns])
    for page in pages:
        yield csv_text(_values(export, row) for row in page)


def write_jsonl(export: Export) -> Iterator[str]:
    for page in export_rows(export):
        yield "".join(f"{_object(export, row)}\n" for row in page)


def write_json(export: Export) -> Iterator[str]:
    """One object: {"period": {"start", "end"}, "data": […]}; `end` is the last second, as in every published period."""
    period = {
        "start": instant_text(export.query.start),
        "end": instant_text(export.query.end - dt.timedelta(seconds=1)),
    }
    pages = begun(export_rows(export))
    yield f'{{"period": {json.dumps(period)}, "data": ['
    separator = "\n"
    for page in pages:
        if page:
            yield separator + ",\n".join(_object(export, row) for row in page)
            separator = ",\n"
    yield "\n]}\n"


def _object(export: Export, row: UsageRow) -> str:
    return json.dumps(dict(zip(export.columns, _values(export, row), strict=True)), ensure_ascii=False)


class Format(msgspec.Struct, frozen=True):
    content_type: str
    write: Callable[[Export], Iterator[str]]


FORMATS: dict[str, Format] = {
    "csv": Format("text/csv; charset=utf-8", write_csv),
    "json": Format("application/json", write_json),
    "jsonl": Format("application/x-ndjson", write_jsonl),
}


# ── Sending ──


def begun(made: Iterator[_T]) -> Iterator[_T]:
    """The same with the first one made already, so that what fails at once can still be answered as an error.

    Who writes a heading before the first rows begins these before it, for the same reason.
    """
    first = list(itertools.islice(made, 1))
    return itertools.chain(first, made)


def for_wsgi(chunks: Iterable[str]) -> Iterator[bytes]:
    for chunk in chunks:
        if chunk:
            yield chunk.encode()


async def for_asgi(chunks: Iterable[str]) -> AsyncIterator[bytes]:
    """Each chunk is made in the request's thread; a plain iterator would be read to its end before a byte is sent."""
    encoded = for_wsgi(chunks)

    def advance() -> bytes | None:
        return next(encoded, None)

    while (chunk := await sync_to_async(advance)()) is not None:
        yield chunk
