"""Tables on their way into files: typed columns, rows that are made as they are written, and the files of text.

Whoever has a table (usage, FOCUS, a report) says what its cells are; the formats (metering/query/export.py) know how
each writes them. Nothing is held as a whole: pages come one by one, chunks leave one by one.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

import msgspec

from core.csvcells import csv_text
from core.money import decimal_text
from metering.query.metrics import Written, instant_text

# What a cell is before it is written; None is unknown in every column.
Cell = dt.datetime | str | int | float | None
Kind = Literal["time", "text", "count", "number", "decimal"]
_T = TypeVar("_T")


class Column(msgspec.Struct, frozen=True):
    """`kind` says what the cells are: an aware datetime, a text, an integer of 64 bits, a float (ratios, never money),
    or an exact decimal, given as a whole number of 10^-`scale`."""

    name: str
    kind: Kind = "text"
    scale: int = 0


class Table(Protocol):
    @property
    def columns(self) -> tuple[Column, ...]:
        """In the order of the cells; no name twice."""

    @property
    def period(self) -> tuple[dt.datetime, dt.datetime] | None:
        """What the rows are about, [start, end), if it is a span of time."""

    @property
    def about(self) -> Mapping[str, str]:
        """What a reader is told beside the rows, by formats that have a place for it."""

    def pages(self) -> Iterator[Sequence[Sequence[Cell]]]:
        """The rows, some at a time; from the beginning whenever it is called."""


def begun(made: Iterator[_T]) -> Iterator[_T]:
    """The same with the first one made already, so that what fails at once can still be answered as an error.

    Who writes a heading before the first rows begins these before it, for the same reason.
    """
    first = list(itertools.islice(made, 1))
    return itertools.chain(first, made)


# ── Text ──


def write_csv(table: Table) -> Iterator[bytes]:
    columns, pages = table.columns, begun(table.pages())
    yield csv_text([[column.name for column in columns]]).encode()
    for page in pages:
        yield csv_text(_written(columns, row) for row in page).encode()


def write_jsonl(table: Table) -> Iterator[bytes]:
    columns = table.columns
    for page in table.pages():
        yield "".join(f"{_object(columns, row)}\n" for row in page).encode()


def write_json(table: Table) -> Iterator[bytes]:
    """One object: {"period": {"start", "end"}, "data": […]}; `end` is the last second, as in every published period."""
    columns, pages = table.columns, begun(table.pages())
    yield f'{{"period": {json.dumps(_period(table))}, "data": ['.encode()
    separator = "\n"
    for page in pages:
        if page:
            yield (separator + ",\n".join(_object(columns, row) for row in page)).encode()
            separator = ",\n"
    yield b"\n]}\n"


def _period(table: Table) -> dict[str, str] | None:
    if table.period is None:
        return None
    start, end = table.period
    return {"start": instant_text(start), "end": instant_text(end - dt.timedelta(seconds=1))}


def _object(columns: Sequence[Column], row: Sequence[Cell]) -> str:
    named = zip((column.name for column in columns), _written(columns, row), strict=True)
    return json.dumps(dict(named), ensure_ascii=False)


def _written(columns: Sequence[Column], row: Sequence[Cell]) -> list[Written]:
    return [written(column, cell) for column, cell in zip(columns, row, strict=True)]


def written(column: Column, cell: Cell) -> Written:
    """A cell as texts and the API have it: instants as RFC 3339, decimals exact, everything else as it is."""
    if isinstance(cell, dt.datetime):
        return instant_text(cell)
    return decimal_text(cell, column.scale) if column.kind == "decimal" and isinstance(cell, int) else cell
