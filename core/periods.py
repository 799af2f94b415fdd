"""Calendar arithmetic in an organization's zone. Instants are UTC; periods are half-open [start, end).

An hour is what the clock on the wall shows as one: it begins where the minute hand passes twelve, or where the
zone changes its offset, so that days of 23, 24 or 25 hours, zones at +5:45 and half-hour daylight saving
(Lord Howe) divide into hours without a gap or an overlap.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

Interval = Literal["15m", "hour", "day", "week", "month"]
INTERVALS: tuple[Interval, ...] = ("15m", "hour", "day", "week", "month")

UTC = dt.UTC
# PostgreSQL's binary times count from here.
EPOCH = dt.datetime(2000, 1, 1, tzinfo=UTC)
EPOCH_DATE = EPOCH.date()
# The days that people may name, both included. What lies beyond is a slip of the keyboard, and at the calendar's ends
# a day whose midnight cannot be told in every zone.
FIRST_DAY = dt.date(2000, 1, 1)
LAST_DAY = dt.date(2100, 12, 31)
QUARTER = dt.timedelta(minutes=15)
_QUARTER_MICROS = 900_000_000
_MICRO = dt.timedelta(microseconds=1)


def micros(instant: dt.datetime) -> int:
    """Microseconds since 2000-01-01 UTC."""
    return (instant - EPOCH) // _MICRO


def instant(micros_since_epoch: int) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=micros_since_epoch)


class Place(msgspec.Struct, frozen=True):
    """Where an instant lands: start of its hour (microseconds), its day and its month's first (days), since 2000."""

    hour: int
    day: int
    month: int


class LocalClock:
    """Places instants in one zone's hours, days and months; remembers every quarter of an hour it was asked for."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._places: dict[int, Place] = {}

    def place(self, at_micros: int) -> Place:
        quarter = at_micros // _QUARTER_MICROS
        found = self._places.get(quarter)
        if found is None:
            if len(self._places) > 200_000:
                self._places.clear()
            found = self._places[quarter] = self._compute(instant(quarter * _QUARTER_MICROS))
        return found

    def _compute(self, at: dt.datetime) -> Place:
        day = at.astimezone(self.zone).date()
        return Place(
            hour=micros(hour_start(at, self.zone)),
            day=(day - EPOCH_DATE).days,
            month=(day.replace(day=1) - EPOCH_DATE).days,
        )


def hour_start(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The start of the wall-clock hour that `at` is in."""
    local = at.astimezone(zone)
    start = at - dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    # An hour cut by a change of the offset begins at the change. Offsets change on quarters of an hour.
    while start.astimezone(zone).utcoffset() != local.utcoffset():
        start += QUARTER
    return start


def quarter_start(at: dt.datetime) -> dt.datetime:
    return instant(micros(at) // _QUARTER_MICROS * _QUARTER_MICROS)


def day_start(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The first instant of a day."""
    return dt.datetime.combine(day, dt.time(), zone).astimezone(UTC)


def local_day(at: dt.datetime, zone: ZoneInfo) -> dt.date:
    return at.astimezone(zone).date()


def month_start(day: dt.date) -> dt.date:
    return day.replace(day=1)


def next_month(day: dt.date) -> dt.date:
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)


def month_span(day: dt.date, zone: ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
    """The month that `day` is in, as instants."""
    return day_start(month_start(day), zone), day_start(next_month(day), zone)


def week_start(day: dt.date) -> dt.date:
    """Monday, as ISO 8601 has it."""
    return day - dt.timedelta(days=day.weekday())


def bucket_start(at: dt.datetime, interval: Interval, zone: ZoneInfo) -> dt.datetime:
    """The start of the bucket that `at` is in."""
    if interval == "15m":
        return quarter_start(at)
    if interval == "hour":
        return hour_start(at, zone)
    day = local_day(at, zone)
    if interval == "week":
        day = week_start(day)
    elif interval == "month":
        day = month_start(day)
    return day_start(day, zone)


def next_bucket(start: dt.datetime, interval: Interval, zone: ZoneInfo) -> dt.datetime:
    """The end of the bucket that starts at `start`."""
    if interval == "15m":
        return start + QUARTER
    if interval == "hour":
        local = start.astimezone(zone)
        end = start + dt.timedelta(hours=1) - dt.timedelta(minutes=local.minute)
        if end.astimezone(zone).utcoffset() == local.utcoffset():
            return end
        # The offset changes on the way: the next quarter that belongs to another hour.
        end = start + QUARTER
        while hour_start(end, zone) == start:
            end += QUARTER
        return end
    day = local_day(start, zone)
    if interval == "day":
        day += dt.timedelta(days=1)
    elif interval == "week":
        day += dt.timedelta(days=7)
    else:
        day = next_month(day)
    return day_start(day, zone)


def buckets(
    start: dt.datetime, end: dt.datetime, interval: Interval, zone: ZoneInfo
) -> list[tuple[dt.datetime, dt.datetime]]:
    """The buckets of [start, end), in order; the first and the last are cut to it."""
    found: list[tuple[dt.datetime, dt.datetime]] = []
    if start >= end:
        return found
    at = bucket_start(start, interval, zone)
    while at < end:
        following = next_bucket(at, interval, zone)
        found.append((max(at, start), min(following, end)))
        at = following
    return found
