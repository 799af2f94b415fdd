"""Rhythm and like-for-like periods: by the clock on the wall, across its changes."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization
from metering.events import Usage
from metering.query.patterns import FEWEST_HOURS, HOURS_OF_WEEK, find_changes, find_rhythm, strength_of, to_date
from metering.query.spec import UsageQuery
from tests.metering.query.usage import make_event, write

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def tokens(figures: object) -> int:
    return int(figures.total_tokens)  # type: ignore[attr-defined]


def test_hours_are_those_of_the_wall_across_a_change_of_the_clock(acme: Organization) -> None:
    """On 26 October 2025 Berlin has 2 o'clock twice: two hours of Sunday 2:00, both counted."""
    usage = Usage(input=10)
    write(
        acme.id,
        [
            make_event("first", at("2025-10-26T02:30+02:00"), usage=usage),
            make_event("again", at("2025-10-26T02:30+01:00"), usage=usage),
            make_event("monday", at("2025-10-27T09:05+01:00"), usage=usage),
        ],
    )
    query = UsageQuery(acme.id, at("2025-10-20T00:00+02:00"), at("2025-11-03T00:00+01:00"), BERLIN)
    found = find_rhythm(query, tokens, at("2025-12-01T00:00+01:00"))
    sunday, monday = found.cells[6 * 24 + 2], found.cells[9]
    assert (sunday.total, sunday.hours, sunday.average) == (20, 3, Fraction(20, 3))
    assert (monday.total, monday.hours, monday.average) == (10, 2, Fraction(5))
    assert sum(cell.hours for cell in found.cells) == 14 * 24 + 1
    assert found.days[dt.date(2025, 10, 26)] == 20
    assert found.of_weekday(0) == 5
    assert found.of_hour(9) == Fraction(10, 14)


def test_an_hour_under_way_is_in_no_average(acme: Organization) -> None:
    now = at("2026-11-16T10:30+01:00")
    write(acme.id, [make_event("now", at("2026-11-16T10:05+01:00"), usage=Usage(input=7))])
    query = UsageQuery(acme.id, at("2026-11-16T00:00+01:00"), at("2026-11-17T00:00+01:00"), BERLIN)
    found = find_rhythm(query, tokens, now)
    assert sum(cell.hours for cell in found.cells) == 10
    assert found.cells[10].average is None
    assert (found.days, found.strength) == ({dt.date(2026, 11, 16): 7}, None)


def test_a_clockwork_has_strength_one_and_noise_has_none() -> None:
    clockwork = [(hour % HOURS_OF_WEEK, hour % HOURS_OF_WEEK) for hour in range(FEWEST_HOURS)]
    assert strength_of(clockwork) == 1
    assert strength_of(clockwork[:-1]) is None
    assert strength_of([(hour % HOURS_OF_WEEK, 5) for hour in range(FEWEST_HOURS)]) is None
    upside_down = [(hour % HOURS_OF_WEEK, hour // HOURS_OF_WEEK) for hour in range(FEWEST_HOURS)]
    assert strength_of(upside_down) == 0


@given(st.lists(st.integers(0, 10**12), min_size=FEWEST_HOURS, max_size=FEWEST_HOURS + 50))
def test_strength_is_a_share(amounts: list[int]) -> None:
    found = strength_of([(place % HOURS_OF_WEEK, amount) for place, amount in enumerate(amounts)])
    assert found is None or 0 <= found <= 1


@pytest.mark.parametrize(
    ("period", "now", "start", "before", "until"),
    [
        ("week", "2026-11-18T12:30+01", "2026-11-16T00:00+01", "2026-11-09T00:00+01", "2026-11-11T12:30+01"),
        # Across a change of the clock: the same time on the wall.
        ("week", "2026-03-30T08:00+02", "2026-03-30T00:00+02", "2026-03-23T00:00+01", "2026-03-23T08:00+01"),
        ("month", "2026-11-18T12:30+01", "2026-11-01T00:00+01", "2026-10-01T00:00+02", "2026-10-18T12:30+02"),
        ("month", "2026-03-31T12:00+02", "2026-03-01T00:00+01", "2026-02-01T00:00+01", "2026-03-01T00:00+01"),
        ("year", "2026-11-18T12:30+01", "2026-01-01T00:00+01", "2025-01-01T00:00+01", "2025-11-18T12:30+01"),
        ("year", "2028-02-29T12:00+01", "2028-01-01T00:00+01", "2027-01-01T00:00+01", "2027-03-01T00:00+01"),
        ("year", "2028-03-01T12:00+01", "2028-01-01T00:00+01", "2027-01-01T00:00+01", "2027-03-01T12:00+01"),
        ("month", "2026-11-01T00:00+01", "2026-11-01T00:00+01", "2026-10-01T00:00+02", "2026-10-01T00:00+02"),
    ],
)  # fmt: skip
def test_like_is_compared_with_like(period: str, now: str, start: str, before: str, until: str) -> None:
    span, earlier = to_date(period, BERLIN, at(now))
    assert (span.start, span.end) == (at(start), at(now))
    assert (earlier.start, earlier.end) == (at(before), at(until))


def test_changes_count_the_same_part_of_each_period(acme: Organization) -> None:
    usage = Usage(input=1)
    times = ("2026-11-17T09:00+01:00", "2026-11-10T09:00+01:00", "2026-11-12T09:00+01:00", "2025-11-01T00:00+01:00",
             "2026-10-18T13:00+02:00", "2026-10-17T13:00+02:00")  # fmt: skip
    write(acme.id, [make_event(text, at(text), usage=usage) for text in times])
    query = UsageQuery(acme.id, at("2026-11-01T00:00+01:00"), at("2026-12-01T00:00+01:00"), BERLIN)
    found = find_changes(query, at("2026-11-18T12:30+01:00"))
    assert [
        (one.period, one.now_figures.requests, one.before_figures and one.before_figures.requests) for one in found
    ] == [
        ("week", 1, 1),
        ("month", 3, 1),
        # It began in the midst of the year before, so that there is no such part of that one.
        ("year", 5, None),
    ]
    assert {one.since for one in found} == {at("2025-11-01T00:00+01:00")}
    write(acme.id, [make_event("of old", at("2025-01-01T18:00+01:00"), usage=usage)])
    year = find_changes(query, at("2026-11-18T12:30+01:00"))[2]
    assert year.before_figures is not None
    assert year.before_figures.requests == 2
