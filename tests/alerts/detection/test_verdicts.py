"""What the detector promises of any row of hours, and of the rows it was made for."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detection.expectation import LOOKBACK, Basis, references
from alerts.detection.lookback import Floats
from alerts.detection.verdicts import Verdicts, judge_hours
from core.periods import buckets

WEEK = 168
MINIMUM = 100.0


def places_of(hours: int, first: int = 0) -> tuple[int, ...]:
    return tuple((first + hour) % WEEK for hour in range(hours))


def judged(row: Floats, *, first: int = 0, material: float = 0.0, **more: int) -> Verdicts:
    return judge_hours(row[None], places_of(len(row)), minimum=MINIMUM, material=material, first=first, **more)


def working_hours(weeks: int, seed: int = 1) -> Floats:
    """Busy on weekdays from 8 to 18, calm at night and on weekends, with the scatter of real calls."""
    hour = np.arange(weeks * WEEK)
    is_busy = (hour // 24 % 7 < 5) & (hour % 24 >= 8) & (hour % 24 < 18)
    return np.where(is_busy, 50_000.0, 2_000.0) * np.random.default_rng(seed).lognormal(0, 0.15, len(hour))


rows = st.lists(st.integers(0, 10**6), min_size=30, max_size=400).map(lambda values: np.array(values, dtype=np.float64))


@given(rows, st.data())
@settings(max_examples=25, deadline=None)
def test_later_hours_never_change_an_earlier_verdict(row: Floats, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(row)))
    whole, before = judged(row), judged(row[:cut])
    assert (whole.is_anomalous[:, :cut] == before.is_anomalous).all()
    np.testing.assert_array_equal(whole.expected[:, :cut], before.expected)
    np.testing.assert_array_equal(whole.high[:, :cut], before.high)


@given(rows, st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_the_unit_does_not_matter(row: Floats, factor: int) -> None:
    """Powers of two, so that not a bit is lost."""
    by = 2.0**factor
    one = judged(row, material=50.0)
    other = judge_hours(row[None] * by, places_of(len(row)), minimum=MINIMUM * by, material=50.0 * by)
    assert (one.is_anomalous == other.is_anomalous).all()
    np.testing.assert_allclose(other.high, one.high * by)


@given(rows, st.integers(0, 400))
@settings(max_examples=25, deadline=None)
def test_it_makes_no_difference_from_where_on_it_is_asked(row: Floats, first: int) -> None:
    first = min(first, len(row) - 1)
    some = judged(row, first=first)
    np.testing.assert_array_equal(some.is_anomalous, judged(row).is_anomalous[:, first:])
    np.testing.assert_array_equal(some.low, judged(row).low[:, first:])


@given(rows, rows)
@settings(max_examples=20, deadline=None)
def test_a_series_is_judged_alike_alone_and_among_others(one: Floats, other: Floats) -> None:
    length = min(len(one), len(other))
    both = np.stack([one[:length], other[:length]])
    found = judge_hours(both, places_of(length), minimum=MINIMUM)
    np.testing.assert_array_equal(found.high[0], judged(one[:length]).high[0])


@given(st.integers(0, 10**9), st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_what_never_changes_is_never_unusual(value: int, days: int) -> None:
    assert not judged(np.full(days * 24, float(value))).is_anomalous.any()


def test_no_hour_further_back_than_the_lookback_counts() -> None:
    row = working_hours(14)
    at = len(row) - 1
    short = row[at - LOOKBACK :].copy()
    places = places_of(len(row))[at - LOOKBACK :]
    begins = np.zeros(1, dtype=np.int64)
    whole = judge_hours(row[None], places_of(len(row)), minimum=MINIMUM, first=at)
    cut = judge_hours(short[None], places, minimum=MINIMUM, first=len(short) - 1, begins=begins)
    np.testing.assert_allclose(cut.high, whole.high)
    np.testing.assert_allclose(cut.expected, whole.expected)


def test_usual_weeks_have_an_alarm_a_month_at_most() -> None:
    rows = np.stack([working_hours(10, seed) for seed in range(10)])
    found = judge_hours(rows, places_of(10 * WEEK), minimum=MINIMUM, material=2_000.0, first=6 * WEEK)
    assert found.is_anomalous.sum() <= 10
    assert set(found.basis.flat) == {Basis.HOUR_OF_WEEK}


def test_a_burst_at_night_is_unusual_though_days_have_more() -> None:
    row = working_hours(9)
    at = 8 * WEEK + 3
    row[at] = 30_000.0
    found = judged(row, first=at)
    assert found.is_anomalous[0, 0]
    assert found.score[0, 0] > 1
    assert 1_500 < found.expected[0, 0] < 2_500
    assert found.high[0, 0] < 30_000


def test_silence_in_working_hours_is_unusual_and_a_silent_weekend_is_not() -> None:
    row = working_hours(9)
    monday = 8 * WEEK + 10
    row[monday : monday + 3] = 0.0
    assert judged(row, first=monday).is_anomalous[0, 0]
    row[np.arange(len(row)) % WEEK >= 5 * 24] = 0.0
    assert not judged(row, first=8 * WEEK + 5 * 24).is_anomalous.any()


def test_a_new_level_is_told_once_and_learned_within_a_day() -> None:
    row = working_hours(12)
    shift = 9 * WEEK
    row[shift:] *= 4
    found = judged(row, first=shift).is_anomalous[0]
    assert found[:24].any()
    assert not found[36:].any()


def test_going_back_to_the_old_level_is_not_told() -> None:
    row = working_hours(12)
    shift = 9 * WEEK
    row[shift : shift + 72] *= 4
    assert not judged(row, first=shift + 36).is_anomalous.any()


def test_steady_growth_is_usual() -> None:
    row = working_hours(12) * 1.25 ** (np.arange(12 * WEEK) / WEEK)
    assert judged(row, first=6 * WEEK, material=2_000.0).is_anomalous.sum() <= 4


@pytest.mark.parametrize(
    ("hours", "basis"),
    [(20, Basis.TOO_SHORT), (70, Basis.RECENT_HOURS), (8 * 24, Basis.HOUR_OF_DAY), (6 * WEEK, Basis.HOUR_OF_WEEK)],
)
def test_a_short_history_says_so(hours: int, basis: Basis) -> None:
    found = judged(np.full(hours, 5_000.0))
    assert found.basis[0, -1] == basis


def test_hours_before_the_first_use_are_not_taken_for_quiet_ones() -> None:
    row = np.concatenate([np.zeros(6 * WEEK), np.full(12, 50_000.0)])
    assert set(judged(row, first=6 * WEEK).basis[0]) == {Basis.TOO_SHORT}
    known = judge_hours(row[None], places_of(len(row)), minimum=MINIMUM, first=6 * WEEK, begins=np.zeros(1, np.int64))
    assert known.is_anomalous[0, 0]


def test_an_open_hour_is_never_too_low_and_may_be_too_high() -> None:
    row = working_hours(9)[: 8 * WEEK + 11]
    row[-1] = 0.0
    assert judged(row, first=len(row) - 1).is_anomalous[0, 0]
    assert not judged(row, first=len(row) - 1, open_hours=1).is_anomalous[0, 0]
    row[-1] = 10**7
    assert judged(row, first=len(row) - 1, open_hours=1).is_anomalous[0, 0]


def test_little_and_immaterial_differences_are_none() -> None:
    row = np.full(6 * WEEK, 10.0)
    row[-1] = 90.0
    assert not judged(row, first=len(row) - 1).is_anomalous[0, 0]
    row = np.full(6 * WEEK, 10_000.0)
    row[-1] = 12_000.0
    assert judged(row, first=len(row) - 1).is_anomalous[0, 0]
    assert not judged(row, first=len(row) - 1, material=2_500.0).is_anomalous[0, 0]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_changing_the_clocks_alarms_nobody(zone: str) -> None:
    """The office opens at 8 by the clock on the wall, whatever UTC says."""
    where = ZoneInfo(zone)
    start, end = dt.datetime(2025, 1, 6, tzinfo=where), dt.datetime(2025, 5, 12, tzinfo=where)
    hours = [begin for begin, _ in buckets(start, end, "hour", where)]
    assert all(begin < end for begin, end in pairwise(hours))
    local = [hour.astimezone(where) for hour in hours]
    places = tuple(at.weekday() * 24 + at.hour for at in local)
    row = np.array([50_000.0 if at.weekday() < 5 and 8 <= at.hour < 18 else 2_000.0 for at in local])
    found = judge_hours(row[None], places, minimum=MINIMUM, first=8 * WEEK)
    assert not found.is_anomalous.any()


def test_references_are_the_hours_the_expectation_is_the_median_of() -> None:
    row = working_hours(9)
    places = places_of(len(row))
    at = len(row) - 30
    found = judged(row, first=at)
    positions = references(places, at, Basis.HOUR_OF_WEEK)
    assert len(positions) == 8
    assert {places[position] for position in positions} == {places[at]}
    plain = float(np.median(row[positions]))
    assert found.low[0, 0] <= plain <= found.high[0, 0]
    assert references(places, 100, Basis.RECENT_HOURS) == list(range(99, 75, -1))
