"""The ranges people choose from, the intervals each may be divided into, and the period it is compared with.

| key        | range                             | intervals (the first is the default) | compared with    |
|------------|-----------------------------------|--------------------------------------|------------------|
| today      | today                             | hour, 15m                            | yesterday        |
| yesterday  | yesterday                         | hour, 15m                            | the day before   |
| 7d, 30d, 90d | the last 7, 30, 90 days, with today | day, hour · day, week · week, day, month | as many days before |
| month      | this calendar month               | day, week                            | last month       |
| last-week  | Monday to Sunday before this week | day, hour                            | the week before  |
| last-month | the calendar month before         | day, week                            | the month before |
| quarter, last-quarter | this quarter, the one before | week, day, month               | the quarter before |
| year, last-year | this calendar year, the one before | month, week                     | the year before  |
| custom     | from a time to another            | by its length                        | as long before   |

Days and months are those of the organization's zone, and ranges with today end with today, not now: what has not
happened yet adds nothing, and whole days are answered from roll-ups.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import msgspec

from core.periods import UTC, Interval, day_start, local_day, month_start, week_start
from metering.query.spec import refusal

_DAY = dt.timedelta(days=1)


class Span(msgspec.Struct, frozen=True):
    start: dt.datetime
    end: dt.datetime


class Range(msgspec.Struct, frozen=True):
    """A chosen range, the whole period before it, and as much of that one as has passed of this one."""

    key: str
    label: str
    start: dt.datetime
    end: dt.datetime
    intervals: tuple[Interval, ...]
    previous: Span
    previous_so_far: Span

    @property
    def default_interval(self) -> Interval:
        return self.intervals[0]

    def interval(self, asked: str | None) -> Interval:
        """The interval asked for if this range has it, else its default."""
        return next((interval for interval in self.intervals if interval == asked), self.default_interval)

    def laid_under(self, interval: Interval, zone: ZoneInfo) -> Span:
        """What a chart by this interval draws as the past: the period before, by days the whole weeks nearest to it,
        so that weekdays stand under weekdays."""
        if interval != "day":
            return self.previous
        weeks = dt.timedelta(weeks=max(1, round((self.start - self.previous.start) / dt.timedelta(weeks=1))))
        local = [at.astimezone(zone).replace(tzinfo=None) - weeks for at in (self.start, self.end)]
        return Span(*(at.replace(tzinfo=zone).astimezone(UTC) for at in local))


LABELS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
    "month": "This month",
    "last-week": "Last week",
    "last-month": "Last month",
    "quarter": "This quarter",
    "last-quarter": "Last quarter",
    "year": "This year",
    "last-year": "Last year",
    "custom": "Custom",
}
DEFAULT_KEY = "30d"
_INTERVALS: dict[str, tuple[Interval, ...]] = {
    "today": ("hour", "15m"),
    "yesterday": ("hour", "15m"),
    "7d": ("day", "hour"),
    "30d": ("day", "week"),
    "90d": ("week", "day", "month"),
    "month": ("day", "week"),
    "last-week": ("day", "hour"),
    "last-month": ("day", "week"),
    "quarter": ("week", "day", "month"),
    "last-quarter": ("week", "day", "month"),
    "year": ("month", "week"),
    "last-year": ("month", "week"),
}
_DAYS = {"7d": 7, "30d": 30, "90d": 90}
# The first day of the week, month, … that a day is in.
_UNITS: dict[str, Callable[[dt.date], dt.date]] = {
    "week": week_start,
    "month": month_start,
    "quarter": lambda day: day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
    "year": lambda day: day.replace(month=1, day=1),
}
# Longer than the unit, and shorter than two of them.
_BEYOND = {
    "week": dt.timedelta(days=7),
    "month": dt.timedelta(days=32),
    "quarter": dt.timedelta(days=93),
    "year": dt.timedelta(days=366),
}


def named_range(key: str, zone: ZoneInfo, now: dt.datetime) -> Range:
    """A range by its key. Raises ApiError 422 for a key there is not."""
    today = local_day(now, zone)
    if key not in _INTERVALS:
        raise refusal(f"There is no range {key!r}. Ranges: {', '.join(LABELS)}.", "range")
    unit = key.removeprefix("last-")
    if unit in _UNITS:
        first = _UNITS[unit](today)
        if unit != key:
            first = _UNITS[unit](first - _DAY)
        after, before = _after(first, unit), _UNITS[unit](first - _DAY)
    else:
        after = today if key == "yesterday" else today + _DAY
        length = dt.timedelta(days=_DAYS.get(key, 1))
        first = after - length
        before = first - length
    start, end = day_start(first, zone), day_start(after, zone)
    previous = Span(day_start(before, zone), start)
    return Range(
        key, LABELS[key], start, end, _INTERVALS[key], previous, _so_far(previous, Span(start, end), zone, now)
    )


def custom_range(start: dt.datetime, end: dt.datetime, zone: ZoneInfo, now: dt.datetime) -> Range:
    """From a time to another, not included. Times without an offset are the zone's, as date fields give them."""
    first, last = (at.replace(tzinfo=zone) if at.tzinfo is None else at for at in (start, end))
    span = Span(first.astimezone(UTC), last.astimezone(UTC))
    if span.end <= span.start:
        raise refusal("The end must be after the start.", "to")
    previous = Span(_shifted(span.start, first.astimezone(zone), last.astimezone(zone), zone), span.start)
    return Range(
        "custom", LABELS["custom"], span.start, span.end, intervals_for(span),
        previous, _so_far(previous, span, zone, now),
    )  # fmt: skip


def intervals_for(span: Span | Range) -> tuple[Interval, ...]:
    """By the length of a range: a chart has some 4 to 200 points, the default about 30."""
    days = (span.end - span.start) / _DAY
    if days <= 2.1:
        return ("hour", "15m")
    if days <= 14:
        return ("day", "hour")
    if days <= 62:
        return ("day", "week")
    if days <= 400:
        return ("week", "day", "month")
    return ("month", "week")


def year_before(chosen: Range, zone: ZoneInfo, now: dt.datetime) -> Span:
    """The same days of the year before, as far as now is into this range; 29 February is the 28th there."""
    span = Span(_a_year_before(chosen.start, zone), _a_year_before(chosen.end, zone))
    return _so_far(span, Span(chosen.start, chosen.end), zone, now)


def _a_year_before(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    local = at.astimezone(zone).replace(tzinfo=None)
    is_leap_day = (local.month, local.day) == (2, 29)
    day = local.replace(year=local.year - 1, day=28 if is_leap_day else local.day)
    return day.replace(tzinfo=zone).astimezone(UTC)


def _after(first: dt.date, unit: str) -> dt.date:
    """The first day of the unit behind this one."""
    return _UNITS[unit](first + _BEYOND[unit])


def _shifted(start: dt.datetime, first: dt.datetime, last: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The start of the period before, as long on the clock on the wall."""
    length = last.replace(tzinfo=None) - first.replace(tzinfo=None)
    before = (first.replace(tzinfo=None) - length).replace(tzinfo=zone).astimezone(UTC)
    return before if before < start else start - (last - first)


def _so_far(previous: Span, current: Span, zone: ZoneInfo, now: dt.datetime) -> Span:
    """As far into the previous period, on the clock on the wall, as now is into this one."""
    if now >= current.end:
        return previous
    if now <= current.start:
        return Span(previous.start, previous.start)
    local = [at.astimezone(zone).replace(tzinfo=None) for at in (now, current.start, previous.start)]
    end = (local[2] + (local[0] - local[1])).replace(tzinfo=zone).astimezone(UTC)
    return Span(previous.start, min(max(end, previous.start), previous.end))
