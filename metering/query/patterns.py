"""When usage happens: by hour and weekday, how regularly, and each period against the same part of the one before.

docs/algorithms/patterns.md has the definitions and a worked example.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec

from core.periods import day_start, local_day, month_start, next_month, week_start
from metering.query.latest import first_event_at
from metering.query.metrics import Figures
from metering.query.ranges import Span
from metering.query.run import UsageRow, run
from metering.query.spec import LONGEST, UsageQuery

HOURS_OF_WEEK = 7 * 24
# Below two of each hour of the week there is nothing to tell a rhythm from chance with.
FEWEST_HOURS = 2 * HOURS_OF_WEEK
PERIODS = ("week", "month", "year")

Value = Callable[[Figures], int]


class Cell(msgspec.Struct, frozen=True):
    """One hour of the week: what was used in all of its `hours` together. Monday is 0."""

    weekday: int
    hour: int
    total: int
    hours: int

    @property
    def average(self) -> Fraction | None:
        return Fraction(self.total, self.hours) if self.hours else None


class Rhythm(msgspec.Struct, frozen=True):
    """`cells` are the 168 hours of the week, Monday's first hour first; `days` the totals of each day that has begun.

    `strength` is the part of the variance between hours that the hour of the week explains, adjusted for the number
    of hours: 0 for none, 1 for a clockwork; None with less than two weeks.
    """

    span: Span
    cells: tuple[Cell, ...]
    days: dict[dt.date, int]
    strength: Fraction | None

    def of_weekday(self, weekday: int) -> Fraction | None:
        """Average of a whole day: the sum of its hours' averages, so that a day in part counts for its hours."""
        averages = [cell.average for cell in self.cells if cell.weekday == weekday]
        return None if None in averages else sum((one for one in averages if one is not None), Fraction(0))

    def of_hour(self, hour: int) -> Fraction | None:
        found = [cell for cell in self.cells if cell.hour == hour]
        hours = sum(cell.hours for cell in found)
        return Fraction(sum(cell.total for cell in found), hours) if hours else None


class Change(msgspec.Struct, frozen=True):
    """A period so far, and as much of the one before.

    `before_figures` is None when the ledger, which begins at `since`, does not reach back to the day the earlier
    period began on: a part of it is no measure.
    """

    period: str
    span: Span
    before: Span
    now_figures: Figures
    before_figures: Figures | None
    since: dt.datetime | None


def find_rhythm(query: UsageQuery, value: Value, now: dt.datetime) -> Rhythm:
    """Of the hours of the query's range that are over. A range longer than queries by hour go loses its beginning."""
    end = min(query.end, now)
    start = max(query.start, query.end - dt.timedelta(days=LONGEST["hour"]))
    span = Span(start, max(end, start))
    rows = run(msgspec.structs.replace(query, start=start, interval="hour", group_by=(), order_by=("start",))).rows
    over = [row for row in rows if row.end <= now]
    totals, hours = [0] * HOURS_OF_WEEK, [0] * HOURS_OF_WEEK
    days: dict[dt.date, int] = {}
    samples: list[tuple[int, int]] = []
    for row in over:
        place, amount = _place(row, query.zone), value(row.figures)
        totals[place] += amount
        hours[place] += 1
        samples.append((place, amount))
    for row in rows:
        if row.start < now:
            day = local_day(row.start, query.zone)
            days[day] = days.get(day, 0) + value(row.figures)
    cells = tuple(Cell(place // 24, place % 24, totals[place], hours[place]) for place in range(HOURS_OF_WEEK))
    return Rhythm(span, cells, days, strength_of(samples))


def _place(row: UsageRow, zone: ZoneInfo) -> int:
    """Which hour of the week, as the clock on the wall has it: an hour that comes twice counts twice."""
    local = row.start.astimezone(zone)
    return local.weekday() * 24 + local.hour


def strength_of(samples: Sequence[tuple[int, int]]) -> Fraction | None:
    """From (group, amount) of every hour: adjusted R² of the groups' means, at least 0. Exact."""
    count = len(samples)
    if count < FEWEST_HOURS:
        return None
    groups: dict[int, list[int]] = {}
    for group, amount in samples:
        groups.setdefault(group, []).append(amount)
    squares = sum(amount * amount for _, amount in samples)
    total = squares - Fraction(sum(amount for _, amount in samples) ** 2, count)
    if not total or count <= len(groups):
        return None
    within = squares - sum((Fraction(sum(amounts) ** 2, len(amounts)) for amounts in groups.values()), Fraction(0))
    return max(Fraction(0), 1 - (within / (count - len(groups))) / (total / (count - 1)))


# ── Like for like ──


def find_changes(query: UsageQuery, now: dt.datetime) -> list[Change]:
    """This week, month and year so far, each against the same part of the one before. Seven short queries."""
    since = first_event_at(query.organization_id)
    changes = []
    for period in PERIODS:
        span, before = to_date(period, query.zone, now)
        is_whole = since is not None and local_day(since, query.zone) <= local_day(before.start, query.zone)
        figures = _totals(query, before) if is_whole else None
        changes.append(Change(period, span, before, _totals(query, span), figures, since))
    return changes


def _totals(query: UsageQuery, span: Span) -> Figures:
    if span.end <= span.start:
        return Figures()
    return run(
        msgspec.structs.replace(query, start=span.start, end=span.end, interval=None, group_by=(), order_by=())
    ).totals


def to_date(period: str, zone: ZoneInfo, now: dt.datetime) -> tuple[Span, Span]:
    """(this period up to now, the one before up to the same day and time on the clock on the wall).

    A day that the month before does not have stands for all of it: 31 March compares with all of February, and
    29 February with the same month a year ago up to its end.
    """
    today = local_day(now, zone)
    local = now.astimezone(zone)
    same: dt.date | None
    if period == "week":
        first = week_start(today)
        earlier = first - dt.timedelta(days=7)
        same = today - dt.timedelta(days=7)
        ends = first
    elif period == "month":
        first = month_start(today)
        earlier = month_start(first - dt.timedelta(days=1))
        same, ends = _same_day(earlier, today.day), first
    else:
        first = today.replace(month=1, day=1)
        earlier = first.replace(year=first.year - 1)
        month = today.replace(year=today.year - 1, day=1)
        same, ends = _same_day(month, today.day), next_month(month)
    start, end = day_start(earlier, zone), day_start(ends, zone)
    until = end if same is None else dt.datetime.combine(same, local.time(), zone).astimezone(dt.UTC)
    return Span(day_start(first, zone), now), Span(start, min(max(until, start), end))


def _same_day(month: dt.date, day: int) -> dt.date | None:
    """The day of a month; None beyond its last one."""
    wanted = month.replace(day=1) + dt.timedelta(days=day - 1)
    return wanted if wanted < next_month(month) else None
