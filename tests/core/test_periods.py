"""Time divides without a gap or an overlap, in every zone, whatever its clocks do."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.periods import (
    EPOCH_DATE,
    INTERVALS,
    Interval,
    LocalClock,
    bucket_start,
    buckets,
    day_start,
    hour_start,
    instant,
    local_day,
    micros,
    month_span,
    month_start,
    next_bucket,
    next_month,
    week_start,
)

UTC = dt.UTC
# Whole, half and quarter offsets; clocks that change by an hour, by half an hour, by two, at midnight, at odd dates.
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
        "Pacific/Chatham", "America/St_Johns", "America/Havana", "Asia/Beirut", "America/Santiago", "America/Asuncion",
        "Antarctica/Troll", "Africa/Casablanca", "Asia/Tehran", "Pacific/Kiritimati", "Africa/Cairo",
        "America/Sao_Paulo",
    )
]  # fmt: skip
zones = st.sampled_from(ZONES)
moments = st.integers(0, 20 * 365 * 86_400 * 10**6).map(
    lambda n: dt.datetime(2018, 1, 1, tzinfo=UTC) + dt.timedelta(microseconds=n)
)
LONGEST = {"15m": 2, "hour": 5, "day": 40, "week": 90, "month": 400}


@settings(max_examples=300, deadline=None)
@given(zone=zones, start=moments, interval=st.sampled_from(INTERVALS), share=st.floats(0, 1))
def test_buckets_tile_the_range(zone: ZoneInfo, start: dt.datetime, interval: Interval, share: float) -> None:
    end = start + dt.timedelta(days=LONGEST[interval]) * share
    found = buckets(start, end, interval, zone)
    if start == end:
        assert found == []
        return
    assert (found[0][0], found[-1][1]) == (start, end)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
    assert all(a < b for a, b in found)
    for begin, stop in found[1:]:
        assert bucket_start(begin, interval, zone) == begin
        assert bucket_start(stop - dt.timedelta(microseconds=1), interval, zone) == begin


@settings(max_examples=500, deadline=None)
@given(zone=zones, at=moments)
def test_a_place_is_what_the_buckets_say(zone: ZoneInfo, at: dt.datetime) -> None:
    place = LocalClock(zone).place(micros(at))
    hour = instant(place.hour)
    assert hour == bucket_start(at, "hour", zone)
    assert hour <= at < next_bucket(hour, "hour", zone)
    day = EPOCH_DATE + dt.timedelta(days=place.day)
    assert day == at.astimezone(zone).date() == local_day(hour, zone)
    assert day_start(day, zone) <= at < day_start(day + dt.timedelta(days=1), zone)
    month = EPOCH_DATE + dt.timedelta(days=place.month)
    assert month == day.replace(day=1)
    start, end = month_span(month, zone)
    assert start <= at < end


@settings(max_examples=300, deadline=None)
@given(zone=zones, at=moments)
def test_an_hour_is_what_the_wall_shows(zone: ZoneInfo, at: dt.datetime) -> None:
    start, end = hour_start(at, zone), next_bucket(hour_start(at, zone), "hour", zone)
    assert dt.timedelta(0) < end - start <= dt.timedelta(hours=1)
    shown = {(local.date(), local.hour, local.utcoffset()) for local in (start.astimezone(zone), at.astimezone(zone))}
    assert len(shown) == 1
    offset_before = (start - dt.timedelta(microseconds=1)).astimezone(zone).utcoffset()
    assert start.astimezone(zone).minute == 0 or offset_before != start.astimezone(zone).utcoffset()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-06-01", 24),
        ("Asia/Kathmandu", "2026-03-29", 24),
        # Half an hour back at 02:00: half of 01 comes twice, as an hour of its own. Half an hour forth: 02 is short.
        ("Australia/Lord_Howe", "2026-04-05", 25),
        ("Australia/Lord_Howe", "2026-10-04", 24),
        ("America/Havana", "2026-03-08", 23),
        ("Asia/Beirut", "2026-03-29", 23),
        ("Antarctica/Troll", "2026-03-29", 22),
    ],
)
def test_days_have_the_hours_they_have(zone: str, day: str, hours: int) -> None:
    there, date = ZoneInfo(zone), dt.date.fromisoformat(day)
    found = buckets(day_start(date, there), day_start(date + dt.timedelta(days=1), there), "hour", there)
    assert len(found) == hours
    assert {local_day(start, there) for start, _ in found} == {date}


def test_midnight_that_is_skipped_is_where_the_day_begins() -> None:
    """Havana's clocks go from 23:59:59 to 01:00."""
    havana = ZoneInfo("America/Havana")
    assert day_start(dt.date(2026, 3, 8), havana).astimezone(havana).hour == 1
    assert day_start(dt.date(2026, 3, 8), havana) == dt.datetime(2026, 3, 8, 5, tzinfo=UTC)


def test_calendar() -> None:
    assert next_month(dt.date(2026, 12, 31)) == dt.date(2027, 1, 1)
    assert next_month(dt.date(2028, 1, 31)) == dt.date(2028, 2, 1)
    assert month_start(dt.date(2026, 2, 28)) == dt.date(2026, 2, 1)
    assert week_start(dt.date(2026, 11, 22)) == dt.date(2026, 11, 16)
    assert week_start(dt.date(2026, 11, 16)) == dt.date(2026, 11, 16)


@given(st.integers(-(2**53), 2**53))
def test_micros_and_instants_are_inverse(number: int) -> None:
    assert micros(instant(number)) == number


def test_a_clock_forgets_rather_than_grows() -> None:
    clock = LocalClock(ZoneInfo("Europe/Berlin"))
    clock._places = dict.fromkeys(range(200_001), clock.place(0))
    assert clock.place(-900_000_000) == LocalClock(ZoneInfo("Europe/Berlin")).place(-900_000_000)
    assert len(clock._places) == 1
