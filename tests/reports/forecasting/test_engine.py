"""Forecasts of days: in order, never negative, by the past alone."""

from __future__ import annotations

import datetime as dt

from reports.forecasting.engine import forecast

FIRST = dt.date(2026, 1, 5)
# Monday to Sunday.
WEEK = (100, 110, 120, 115, 105, 20, 10)


def test_weeks_that_repeat_are_told_exactly() -> None:
    found = forecast([WEEK[n % 7] for n in range(84)], FIRST, 14)
    assert found is not None
    assert found.first_day == FIRST + dt.timedelta(days=84)
    assert [band.likely for band in found.days] == [*WEEK, *WEEK]
    assert found.totals[-1].low == found.totals[-1].likely == found.totals[-1].high == 2 * sum(WEEK)


def test_less_than_two_weeks_are_too_little() -> None:
    assert forecast([5] * 13, FIRST) is None
