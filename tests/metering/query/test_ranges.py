"""The ranges people choose from."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from core.errors import ApiError
from core.periods import buckets
from metering.query.ranges import LABELS, custom_range, intervals_for, named_range, year_before

BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2025, 3, 31, 10, 30, tzinfo=dt.UTC)  # 12:30 in Berlin, a day after the clocks went forward


def local(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(dt.UTC)


@pytest.mark.parametrize(
    ("key", "start", "end", "default", "before", "before_so_far"),
    [
        ("today", "2025-03-31", "2025-04-01", "hour", "2025-03-30", "2025-03-30T12:30"),
        ("yesterday", "2025-03-30", "2025-03-31", "hour", "2025-03-29", "2025-03-30"),
        ("7d", "2025-03-25", "2025-04-01", "day", "2025-03-18", "2025-03-24T12:30"),
        ("30d", "2025-03-02", "2025-04-01", "day", "2025-01-31", "2025-03-01T12:30"),
        ("90d", "2025-01-01", "2025-04-01", "week", "2024-10-03", "2024-12-31T12:30"),
        ("month", "2025-03-01", "2025-04-01", "day", "2025-02-01", "2025-03-01"),
        ("last-week", "2025-03-24", "2025-03-31", "day", "2025-03-17", "2025-03-24"),
        ("last-month", "2025-02-01", "2025-03-01", "day", "2025-01-01", "2025-02-01"),
        ("quarter", "2025-01-01", "2025-04-01", "week", "2024-10-01", "2024-12-29T12:30"),
        ("last-quarter", "2024-10-01", "2025-01-01", "week", "2024-07-01", "2024-10-01"),
        ("year", "2025-01-01", "2026-01-01", "month", "2024-01-01", "2024-03-30T12:30"),
        ("last-year", "2024-01-01", "2025-01-01", "month", "2023-01-01", "2024-01-01"),
    ],
)
def test_named(key: str, start: str, end: str, default: str, before: str, before_so_far: str) -> None:
    chosen = named_range(key, BERLIN, NOW)
    assert (chosen.start, chosen.end, chosen.default_interval) == (local(start), local(end), default)
    assert (chosen.previous.start, chosen.previous.end) == (local(before), local(start))
    assert (chosen.previous_so_far.start, chosen.previous_so_far.end) == (local(before), local(before_so_far))


def test_intervals_are_those_of_the_range() -> None:
    expected = {
        "today": {"15m", "hour"},
        "yesterday": {"15m", "hour"},
        "7d": {"hour", "day"},
        "30d": {"day", "week"},
        "90d": {"day", "week", "month"},
        "month": {"day", "week"},
        "last-week": {"day", "hour"},
        "last-month": {"day", "week"},
        "quarter": {"day", "week", "month"},
        "last-quarter": {"day", "week", "month"},
        "year": {"month", "week"},
        "last-year": {"month", "week"},
    }
    for key, intervals in expected.items():
        chosen = named_range(key, BERLIN, NOW)
        assert set(chosen.intervals) == intervals
        assert chosen.interval("month" if key in ("90d", "quarter") else "nonsense") in intervals
    assert set(expected) | {"custom"} == set(LABELS)


@pytest.mark.parametrize(
    ("now", "key", "start", "end"),
    [
        ("2025-03-31T12:30", "month", "2024-03-01", "2024-03-31T12:30"),
        ("2025-03-31T12:30", "last-month", "2024-02-01", "2024-03-01"),
        ("2025-03-31T12:30", "7d", "2024-03-25", "2024-03-31T12:30"),
        # 29 February has no day of its own a year before.
        ("2024-02-29T12:30", "today", "2023-02-28", "2023-02-28T12:30"),
        ("2024-03-01T12:30", "yesterday", "2023-02-28", "2023-03-01"),
    ],
)
def test_the_year_before_is_the_same_days(now: str, key: str, start: str, end: str) -> None:
    at = local(now)
    span = year_before(named_range(key, BERLIN, at), BERLIN, at)
    assert (span.start, span.end) == (local(start), local(end))


def test_custom_is_compared_with_as_long_before() -> None:
    start, end = dt.datetime(2025, 3, 30), dt.datetime(2025, 3, 31, 12)  # noqa: DTZ001  (as a date field gives them)
    chosen = custom_range(start, end, BERLIN, NOW)
    assert (chosen.start, chosen.end) == (local("2025-03-30"), local("2025-03-31T12:00"))
    assert (chosen.previous.start, chosen.previous.end) == (local("2025-03-28T12:00"), local("2025-03-30"))
    assert chosen.previous_so_far == chosen.previous
    with pytest.raises(ApiError):
        custom_range(end, end, BERLIN, NOW)


@pytest.mark.parametrize(("key", "start"), [("7d", "2025-03-18"), ("30d", "2025-02-02"), ("month", "2025-02-01")])
def test_days_stand_under_the_same_weekday(key: str, start: str) -> None:
    chosen = named_range(key, BERLIN, NOW)
    past = chosen.laid_under("day", BERLIN)
    assert past.start == local(start)
    assert past.start.astimezone(BERLIN).weekday() == chosen.start.astimezone(BERLIN).weekday()
    assert len(buckets(past.start, past.end, "day", BERLIN)) == len(buckets(chosen.start, chosen.end, "day", BERLIN))
    assert chosen.laid_under("week", BERLIN) == chosen.previous


def test_weekdays_match_in_months_that_begin_on_another_one() -> None:
    chosen = named_range("month", BERLIN, dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC))
    # A Sunday, as 1 November is; 1 October is a Thursday.
    assert chosen.laid_under("day", BERLIN).start == local("2026-10-04")


def test_a_few_hours_chosen_are_laid_under_as_long_before() -> None:
    chosen = custom_range(local("2025-03-30T06:00"), local("2025-03-30T18:00"), BERLIN, NOW)
    assert chosen.laid_under("hour", BERLIN) == chosen.previous


def test_long_ranges_have_long_intervals() -> None:
    start = local("2025-01-01")
    for days, intervals in (
        (1, ("hour", "15m")),
        (7, ("day", "hour")),
        (31, ("day", "week")),
        (366, ("week", "day", "month")),
    ):
        chosen = custom_range(start, start + dt.timedelta(days=days), BERLIN, NOW)
        assert chosen.intervals == intervals == intervals_for(chosen)


def test_there_is_no_such_range() -> None:
    with pytest.raises(ApiError) as refused:
        named_range("fortnight", BERLIN, NOW)
    assert refused.value.param == "range"
