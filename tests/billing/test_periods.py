from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from billing.periods import Period, next_period, period_of

DAYS = st.dates(dt.date(2015, 1, 1), dt.date(2040, 12, 31))
ANCHORS = st.integers(1, 31)


@given(DAYS, ANCHORS)
def test_every_day_is_in_one_period_and_periods_touch(day: dt.date, anchor: int) -> None:
    period = period_of(day, anchor)
    assert day in period
    assert 28 <= period.days <= 31
    assert period_of(period.starts_on, anchor) == period_of(period.ends_on - dt.timedelta(days=1), anchor) == period
    assert next_period(period, anchor).starts_on == period.ends_on


def test_an_anchor_beyond_the_month_is_its_last_day() -> None:
    assert period_of(dt.date(2026, 2, 10), 31) == Period(dt.date(2026, 1, 31), dt.date(2026, 2, 28))
    assert period_of(dt.date(2026, 2, 28), 31) == Period(dt.date(2026, 2, 28), dt.date(2026, 3, 31))
    assert period_of(dt.date(2024, 2, 29), 30) == Period(dt.date(2024, 2, 29), dt.date(2024, 3, 30))


def test_instants_are_midnights_of_the_zone() -> None:
    march = period_of(dt.date(2026, 3, 15), 1)
    start, end = march.instants(ZoneInfo("Europe/Berlin"))
    assert (start.isoformat(), end.isoformat()) == ("2026-02-28T23:00:00+00:00", "2026-03-31T22:00:00+00:00")
