"""A month's end from the view's own weeks: exact where weeks repeat, open where there are too few of them."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import projection
from reports.projection import Projection

TODAY = dt.date(2026, 11, 22)


def project(days: dict[dt.date, int], today: dt.date, elapsed: float) -> Projection:
    """The calendar month of today."""
    first = today.replace(day=1)
    return projection.project(days, today, elapsed, first, (first + dt.timedelta(days=32)).replace(day=1))


# Monday to Sunday.
WEEK = (100, 110, 120, 115, 105, 20, 10)


def history(days: int, today: dt.date = TODAY) -> dict[dt.date, int]:
    """The same week again and again, `days` whole days before today."""
    return {day: WEEK[day.weekday()] for n in range(1, days + 1) if (day := today - dt.timedelta(days=n)) is not None}


def month_of(today: dt.date) -> int:
    first = today.replace(day=1)
    days = [first + dt.timedelta(days=n) for n in range(31)]
    return sum(WEEK[day.weekday()] for day in days if day.month == today.month)


def test_weeks_that_repeat_are_told_exactly() -> None:
    found = project(history(365), TODAY, 0.0)
    assert found.likely == found.low == found.high == month_of(TODAY)
    assert found.error == 0
    assert found.months == 11
    assert "off by less than 0.1%" in found.basis
    assert len(found.ahead) == 9
    assert found.so_far + sum(found.ahead) == found.likely


def test_of_today_only_the_rest_is_yet_to_come() -> None:
    # A Sunday of 10, half of it over and 5 used.
    found = project(history(365) | {TODAY: 5}, TODAY, 0.5)
    assert found.likely == month_of(TODAY)
    assert found.ahead[0] == 5


def test_a_period_may_begin_on_any_day() -> None:
    found = projection.project(history(365), TODAY, 0.0, dt.date(2026, 11, 10), dt.date(2026, 12, 10))
    assert found.likely == sum(WEEK[(dt.date(2026, 11, 10) + dt.timedelta(days=n)).weekday()] for n in range(30))
    assert found.so_far == sum(WEEK[dt.date(2026, 11, day).weekday()] for day in range(10, 22))


@pytest.mark.parametrize("days", [0, 1, 13])
def test_less_than_two_weeks_are_too_little(days: int) -> None:
    found = project(history(days), TODAY, 0.5)
    assert (found.likely, found.low, found.high, found.error) == (None, None, None, None)
    assert "Too little history" in found.basis


def test_without_three_past_months_there_is_no_range() -> None:
    found = project(history(60), TODAY, 0.0)
    assert found.likely == month_of(TODAY)
    assert found.low is None
    assert found.high is None
    assert "Too little history for a range" in found.basis


def test_what_was_before_the_first_usage_is_no_history() -> None:
    empty = {TODAY - dt.timedelta(days=n): 0 for n in range(20, 400)}
    assert project(empty | history(15), TODAY, 0.0) == project(history(15), TODAY, 0.0)


def test_one_wild_day_moves_nothing() -> None:
    wild = history(365) | {TODAY - dt.timedelta(days=30): 100_000}
    found = project(wild, TODAY, 0.0)
    assert found.likely == month_of(TODAY)


def test_the_range_is_what_past_months_were_off_by() -> None:
    """Every second month doubles for its last days: the range has both, and the error says so."""
    days = history(400)
    for day in days:
        if day.day >= 22 and day.month % 2 == 0:
            days[day] *= 2
    found = project(days, TODAY, 0.0)
    assert found.low is not None
    assert found.high is not None
    assert found.likely is not None
    assert found.low <= month_of(TODAY) <= found.likely <= found.high
    assert found.high > month_of(TODAY)
    assert found.error
    assert found.error > Fraction(1, 100)


def test_of_few_months_the_range_is_the_least_and_the_greatest() -> None:
    assert projection._range([0.9, 1.0, 1.2]) == (0.9, 1.2)
    ordered = [n / 10 for n in range(19)]
    # Of nineteen the second and the last but one.
    assert projection._range(ordered) == pytest.approx((0.1, 1.7))


def test_in_how_many_days_an_amount_is_reached() -> None:
    found = Projection(so_far=100, likely=160, ahead=(10, 20, 30))
    assert [found.days_until(amount) for amount in (100, 101, 110, 111, 130, 160, 161)] == [None, 0, 0, 1, 1, 2, None]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 10**12), max_size=400),
    st.dates(dt.date(2024, 1, 1), dt.date(2027, 12, 31)),
    st.floats(0, 1),
)
def test_whatever_the_days_had_it_is_in_order_and_no_less_than_so_far(
    values: list[int], today: dt.date, elapsed: float
) -> None:
    days = {today - dt.timedelta(days=n): value for n, value in enumerate(values)}
    found = project(days, today, elapsed)
    assert found == project(days, today, elapsed)
    if found.likely is not None:
        assert found.likely >= found.so_far
    if found.low is not None:
        assert found.so_far <= found.low <= (found.likely or 0) <= (found.high or 0)
