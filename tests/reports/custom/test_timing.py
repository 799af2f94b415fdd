"""When schedules are due: once a day, a week, a month, in every zone, whatever its clocks do."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ApiError
from core.periods import UTC
from reports.custom.timing import LAST_DAY, cron_of, due_times, missed, next_due
from reports.models import Frequency

ZONES = st.sampled_from(
    [
        "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo",
        "Africa/Cairo", "America/St_Johns", "Pacific/Chatham", "Asia/Beirut", "Africa/Casablanca",
    ]
).map(ZoneInfo)  # fmt: skip
INSTANTS = st.datetimes(dt.datetime(2015, 1, 1), dt.datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CLOCKS = st.times().map(lambda time: time.replace(second=0, microsecond=0, fold=0))


def local(text: str, zone: str = "Europe/Berlin") -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@given(ZONES, INSTANTS, CLOCKS)
def test_daily_is_once_on_every_day(zone: ZoneInfo, after: dt.datetime, clock: dt.time) -> None:
    cron = cron_of(Frequency.DAILY, clock)
    times = list(itertools.islice(due_times(cron, zone, after), 400))
    days = [at.astimezone(zone).date() for at in times]
    assert days == [days[0] + dt.timedelta(days=n) for n in range(400)]
    assert days[0] - after.astimezone(zone).date() <= dt.timedelta(days=1)
    for at in times:
        wall = at.astimezone(zone)
        # At the time asked for, or where the clocks skip it, behind the gap.
        assert wall.time() == clock or wall.time() > clock


@given(ZONES, INSTANTS, CLOCKS, st.integers(0, 6))
def test_weekly_is_on_its_weekday(zone: ZoneInfo, after: dt.datetime, clock: dt.time, weekday: int) -> None:
    cron = cron_of(Frequency.WEEKLY, clock, weekday=weekday)
    days = [at.astimezone(zone).date() for at in itertools.islice(due_times(cron, zone, after), 60)]
    assert {day.weekday() for day in days} == {weekday}
    assert {later - day for day, later in itertools.pairwise(days)} == {dt.timedelta(days=7)}


@given(ZONES, INSTANTS, CLOCKS, st.sampled_from([*range(1, 29), LAST_DAY]))
def test_monthly_is_once_a_month(zone: ZoneInfo, after: dt.datetime, clock: dt.time, day: int) -> None:
    cron = cron_of(Frequency.MONTHLY, clock, day=day)
    days = [at.astimezone(zone).date() for at in itertools.islice(due_times(cron, zone, after), 30)]
    months = [one.year * 12 + one.month for one in days]
    assert months == list(range(months[0], months[0] + 30))
    assert all((one + dt.timedelta(days=1)).day == 1 if day == LAST_DAY else one.day == day for one in days)


@given(ZONES, INSTANTS, CLOCKS, st.integers(0, 40))
def test_what_is_due_does_not_depend_on_when_one_asks(
    zone: ZoneInfo, after: dt.datetime, clock: dt.time, hours: int
) -> None:
    cron = cron_of(Frequency.DAILY, clock)
    first, second = itertools.islice(due_times(cron, zone, after), 2)
    asked = after + dt.timedelta(hours=hours)
    assert next_due(cron, zone, asked) >= (first if asked < first else max(asked, second))
    assert next_due(cron, zone, first) == second


def test_clocks_going_forward_and_back() -> None:
    cron, zone = "30 2 * * *", ZoneInfo("Europe/Berlin")
    # 02:30 is not there on 29 March, and twice on 25 October.
    assert next_due(cron, zone, local("2026-03-28T12:00")) == local("2026-03-29T03:00")
    assert next_due(cron, zone, local("2026-10-24T12:00")) == local("2026-10-25T02:30")
    assert next_due(cron, zone, local("2026-10-25T02:30")) == local("2026-10-26T02:30")


def test_of_what_was_missed_the_latest_is_made_up_for() -> None:
    zone = ZoneInfo("Europe/Berlin")
    due = local("2026-11-02T08:00")
    told = missed("0 8 * * 1", zone, due, local("2026-11-20T12:00"))
    assert told == (local("2026-11-16T08:00"), local("2026-11-23T08:00"))
    assert missed("0 8 * * 1", zone, due, due) == (due, local("2026-11-09T08:00"))


@pytest.mark.parametrize("cron", ["30 7 * * MON-FRI", "0 8 L * *", "0 8 * * 5L", "0 8,20 * * *", "0 * * * *"])
def test_cron_expressions(cron: str) -> None:
    assert cron_of(Frequency.CRON, dt.time(), expression=f" {cron.lower()} ") == cron


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 0 0 * * *", "five fields"),
        ("61 * * * *", "cannot be read"),
        ("0 8 * * XYZ", "cannot be read"),
        ("*/5 * * * *", "once an hour"),
        ("0,30 8 * * *", "once an hour"),
        ("0 0 31 2 *", "cannot be read"),
    ],
)
def test_cron_expressions_that_are_none(cron: str, words: str) -> None:
    with pytest.raises(ApiError, match=words):
        cron_of(Frequency.CRON, dt.time(), expression=cron)
