"""Quiet hours and digests, in zones whose clocks jump."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.notices.timing import is_quiet, next_digest, quiet_end

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    [
        ZoneInfo(name)
        for name in (
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia",
            "America/Havana", "Africa/Casablanca", "Asia/Beirut", "UTC",
        )
    ]
)  # fmt: skip
# From before an island left out a day to past the last change of a clock that is known.
MOMENTS = st.integers(1_324_771_200, 1_798_761_600).map(lambda second: dt.datetime.fromtimestamp(second, UTC))
CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))


def berlin(text: str, fold: int = 0) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


TEN, SEVEN = dt.time(22), dt.time(7)


@pytest.mark.parametrize(
    ("at", "begins", "ends", "over"),
    [
        ("2026-11-20T21:59", TEN, SEVEN, None),
        ("2026-11-20T22:00", TEN, SEVEN, "2026-11-21T07:00"),
        ("2026-11-21T06:59", TEN, SEVEN, "2026-11-21T07:00"),
        ("2026-11-21T07:00", TEN, SEVEN, None),
        ("2026-11-21T12:30", dt.time(12), dt.time(13), "2026-11-21T13:00"),
        # The night in which 02:00 to 03:00 is left out: half past two is when the clock jumps.
        ("2026-03-29T01:30", TEN, dt.time(2, 30), "2026-03-29T03:00"),
        # The night that has it twice: the first half past two.
        ("2026-10-25T01:30", TEN, dt.time(2, 30), "2026-10-25T02:30"),
    ],
)
def test_quiet_hours(at: str, begins: dt.time, ends: dt.time, over: str | None) -> None:
    assert quiet_end(berlin(at), begins, ends, BERLIN) == (None if over is None else berlin(over))


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    begins, ends = dt.time(22), dt.time(2, 30)
    again = berlin("2026-10-25T02:15", fold=1)
    assert quiet_end(again, begins, ends, BERLIN) == berlin("2026-10-25T02:30", fold=1)


@given(MOMENTS, CLOCKS, CLOCKS, ZONES)
def test_quiet_hours_end_and_are_quiet_until_then(
    at: dt.datetime, begins: dt.time, ends: dt.time, zone: ZoneInfo
) -> None:
    end = quiet_end(at, begins, ends, zone) if begins != ends else None
    if end is None:
        assert begins == ends or not is_quiet(at, begins, ends, zone)
        return
    assert at < end
    # A day, and what clocks are put back by; a day that is left out makes none longer.
    assert end - at <= dt.timedelta(days=1, hours=2)
    last = end - dt.timedelta(seconds=1)
    assert is_quiet(last, begins, ends, zone)


@given(MOMENTS, CLOCKS, st.none() | st.integers(0, 6), ZONES)
def test_digests_are_one_a_day_or_a_week(at: dt.datetime, clock: dt.time, weekday: int | None, zone: ZoneInfo) -> None:
    first = next_digest(at, clock, weekday, zone)
    second = next_digest(first, clock, weekday, zone)
    assert at < first < second
    usual = dt.timedelta(days=1 if weekday is None else 7)
    # Clocks jump by an hour or two; once an island left out a day.
    assert abs((second - first) - usual) <= dt.timedelta(hours=2) or zone.key == "Pacific/Apia"
    shown = first.astimezone(zone)
    is_left_out = shown.replace(tzinfo=None).time() != clock
    assert not is_left_out or shown.time() > clock or zone.key == "Pacific/Apia"
    assert weekday is None or is_left_out or shown.weekday() == weekday


def test_a_digest_of_the_same_moment_is_the_next_one() -> None:
    eight = dt.time(8)
    assert next_digest(berlin("2026-11-22T08:00"), eight, None, BERLIN) == berlin("2026-11-23T08:00")
    assert next_digest(berlin("2026-11-22T07:59"), eight, None, BERLIN) == berlin("2026-11-22T08:00")
    assert next_digest(berlin("2026-11-22T07:59"), eight, 0, BERLIN) == berlin("2026-11-23T08:00")
