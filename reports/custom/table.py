"""A report's rows, beside those of the period it is compared with, and the table that files are written of.

Without a comparison rows are read by the page and never held as a whole. With one both periods are read first: rows
belong together by their dimensions and by the number of their bucket within their period (beside.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from core.errors import ApiError
from metering.query.export import PAGE_ROWS, TIMESTAMP, export_rows, make_export
from metering.query.labels import GroupValue
from metering.query.metrics import METRICS, Figures, instant_text
from metering.query.ranges import Span
from metering.query.run import UsageRow, run
from metering.query.spec import LARGEST_LIMIT, UsageQuery
from metering.query.tables import Cell, Column
from reports.custom import beside
from reports.custom.definition import CHANGE, TIME, Definition

MOST_COMPARED = 50_000
PERCENT = "_change_percent"
BEFORE = "_before"
_MAX = float("inf")


class Line(msgspec.Struct, frozen=True):
    """A row. `before` is None without a comparison, and where there is nothing to compare with (beside.py)."""

    start: dt.datetime
    group: dict[str, GroupValue]
    now: Figures
    before: Figures | None = None


class Change(msgspec.Struct, frozen=True):
    """Of one metric, in its own unit; None is unknown. `percent` is of what was before; None of nothing."""

    now: int | float | None
    before: int | float | None
    difference: int | float | None
    percent: float | None


def change_of(metric: str, line: Line) -> Change:
    now = METRICS[metric].value(line.now)
    before = None if line.before is None else METRICS[metric].value(line.before)
    if now is None or before is None:
        return Change(now, before, None, None)
    difference = round(now - before, 3) if METRICS[metric].is_ratio else now - before
    return Change(now, before, difference, round(100 * difference / before, 1) if before else None)


# ── Reading ──


def lines(definition: Definition) -> Iterator[list[Line]]:
    """All rows, by the page. Opens and closes its scopes itself. Raises ApiError 422 for too many to compare."""
    if definition.before is not None:
        yield _compared(definition, definition.before)
        return
    for rows in _pages(definition):
        yield [Line(row.start, row.group, row.figures) for row in rows]


def first_lines(definition: Definition, most: int) -> list[Line]:
    """The first rows, as `lines` would give them."""
    most = min(most, definition.limit or most)
    if definition.before is not None:
        return _compared(definition, definition.before)[:most]
    found = run(msgspec.structs.replace(definition.query, limit=most)).rows
    return [Line(row.start, row.group, row.figures) for row in found]


def totals(definition: Definition) -> Line:
    """Of everything that the range and the filters have, however many rows are shown."""
    query = msgspec.structs.replace(definition.query, interval=None, group_by=(), order_by=())
    before = definition.before
    is_known = before is not None and beside.pairs(definition, query)[0].is_comparable
    earlier = _within(query, before) if before is not None and is_known else None
    return Line(query.start, {}, run(query).totals, run(earlier).totals if earlier else None)


def _pages(definition: Definition) -> Iterator[list[UsageRow]]:
    query = definition.query
    if definition.limit is not None:
        yield run(msgspec.structs.replace(query, limit=definition.limit)).rows
    elif definition.sort == TIME:
        # As a download of usage is read: segment by segment of time.
        yield from export_rows(make_export(query, (TIMESTAMP, *query.group_by, *definition.metrics), query.interval))
    else:
        yield from _by_cursor(query, LARGEST_LIMIT)


def _by_cursor(query: UsageQuery, size: int) -> Iterator[list[UsageRow]]:
    cursor: str | None = None
    while True:
        page = run(msgspec.structs.replace(query, limit=size, cursor=cursor))
        yield page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


# ── Comparing ──


def _compared(definition: Definition, before: Span) -> list[Line]:
    query = definition.query
    now = _by_place(query)
    pairs = beside.pairs(definition, query)
    earlier = _by_place(_within(query, before)) if any(pair.is_comparable for pair in pairs) else {}
    found = []
    for place in now.keys() | earlier.keys():
        number, _ = place
        pair = pairs[number] if number < len(pairs) else None
        row, past = now.get(place), earlier.get(place)
        if row is None and (pair is None or not pair.is_comparable):
            # Of a bucket that this period does not have: the 31st, beside a month of thirty days.
            continue
        group = (row or past).group  # type: ignore[union-attr]  # one of the two has the place
        figures = [one.figures if one else Figures() for one in (row, past)]
        is_known = pair is not None and pair.is_comparable
        start = row.start if row else pair.start  # type: ignore[union-attr]  # without a row there is a pair, see above
        found.append(Line(start, group, figures[0], figures[1] if is_known else None))
    found.sort(key=lambda line: _place_text(definition, line))
    found.sort(key=lambda line: _rank(definition, line), reverse=definition.sort.startswith("-"))
    return found[: definition.limit]


def _within(query: UsageQuery, span: Span) -> UsageQuery:
    return msgspec.structs.replace(query, start=span.start, end=span.end)


def _by_place(query: UsageQuery) -> dict[tuple[int, tuple[Any, ...]], UsageRow]:
    """By the number of the bucket and the references of the group."""
    query = msgspec.structs.replace(query, order_by=())
    numbers = {start: number for number, (start, _) in enumerate(beside.parts(query, query.start, query.end))}
    found = {}
    for page in _by_cursor(query, LARGEST_LIMIT):
        for row in page:
            found[numbers[row.start], tuple(row.group[name].ref for name in query.group_by)] = row
        if len(found) > MOST_COMPARED:
            raise ApiError(
                422, "too_long",
                f"A comparison has at most {MOST_COMPARED:,} rows. Take fewer dimensions or a longer interval.",
                param="against",
            )  # fmt: skip
    return found


def _rank(definition: Definition, line: Line) -> Any:
    name = definition.sort.removeprefix("-")
    if name == TIME:
        return line.start
    if name in line.group:
        return (line.group[name].label or "").casefold()
    is_change = name.endswith(CHANGE) and name not in METRICS
    change = change_of(name.removesuffix(CHANGE) if is_change else name, line)
    value = change.difference if is_change else change.now
    return -_MAX if value is None else value


def _place_text(definition: Definition, line: Line) -> tuple[Any, ...]:
    return line.start, *((line.group[name].key or "") for name in definition.query.group_by)


# ── As a file ──


class ReportTable(msgspec.Struct, frozen=True):
    """What the formats write (metering/query/export.py). `advance` hears of rows, and of how many there will be."""

    definition: Definition
    advance: Callable[[int, int | None], None]

    @property
    def columns(self) -> tuple[Column, ...]:
        query = self.definition.query
        names = (*((TIMESTAMP,) if query.interval else ()), *query.group_by, *self.definition.metrics)
        plain = make_export(query, names, query.interval).columns
        if self.definition.before is None:
            return plain
        return tuple(more for column in plain for more in _with_change(column))

    @property
    def period(self) -> tuple[dt.datetime, dt.datetime]:
        return self.definition.query.start, self.definition.query.end

    @property
    def about(self) -> dict[str, str]:
        start, end = map(instant_text, self.period)
        about = {"generator": "Tokenledger", "period_start": start, "period_end": end}
        if self.definition.before is not None:
            span = self.definition.before
            about |= {"before_start": instant_text(span.start), "before_end": instant_text(span.end)}
            if beside.is_recorded_in_part(self.definition, span) and self.definition.since is not None:
                about["recorded_since"] = instant_text(self.definition.since)
        return about | {"timezone": self.definition.query.zone.key}

    def pages(self) -> Iterator[list[list[Cell]]]:
        done = 0
        for page in lines(self.definition):
            for at in range(0, len(page), PAGE_ROWS):
                part = page[at : at + PAGE_ROWS]
                done += len(part)
                self.advance(len(part), self._estimate(page, done))
                yield [self._cells(line) for line in part]

    def _estimate(self, page: list[Line], done: int) -> int | None:
        """How many there will be: known of a comparison and of a limit; by time as many as so far, to the end."""
        definition = self.definition
        if definition.before is not None or definition.limit is not None:
            return len(page)
        passed = page[-1].start - definition.query.start
        if definition.sort != TIME or not passed:
            return None
        return int(done * ((definition.query.end - definition.query.start) / passed))

    def _cells(self, line: Line) -> list[Cell]:
        definition = self.definition
        cells: list[Cell] = [line.start] if definition.every else []
        cells += [line.group[name].key for name in definition.query.group_by]
        for metric in definition.metrics:
            change = change_of(metric, line)
            cells.append(change.now)
            if definition.before is not None:
                cells += [change.before, change.difference, change.percent]
        return cells


def _with_change(column: Column) -> tuple[Column, ...]:
    if column.name not in METRICS:
        return (column,)
    return (
        column,
        msgspec.structs.replace(column, name=f"{column.name}{BEFORE}"),
        msgspec.structs.replace(column, name=f"{column.name}{CHANGE}"),
        Column(f"{column.name}{PERCENT}", "number"),
    )
