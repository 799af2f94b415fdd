"""Which table answers which part of a range."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.periods import buckets
from metering.query.plan import Source, plan
from metering.query.rate_parts import ABOVE, KINDS, PRICE, TIER, TIME
from metering.query.spec import UsageQuery

BERLIN, KOLKATA, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe")
DAY, HOUR, CHAT, RATE, EVENTS = Source.DAY, Source.HOUR, Source.CHAT, Source.RATE, Source.EVENTS


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def sources(start: str, end: str, zone: ZoneInfo = BERLIN, ledger: ZoneInfo = BERLIN, **asked: object) -> list[Source]:
    return [piece.source for piece in plan(UsageQuery(1, at(start), at(end), zone, **asked), ledger).pieces]


MIDNIGHT, NOON, RAGGED = "2025-03-10T00:00+01:00", "2025-03-12T12:00+01:00", "2025-03-09T10:17+01:00"
LATER = "2025-03-20T00:00+01:00"


def test_whole_days_come_from_the_cube() -> None:
    assert sources(MIDNIGHT, LATER) == [DAY]
    assert sources(MIDNIGHT, LATER, interval="day", group_by=("team",)) == [DAY]
    assert sources(MIDNIGHT, LATER, interval="week", filters={"team": ("a",)}, group_by=("team",)) == [DAY]


def test_ragged_edges_come_from_finer_tables() -> None:
    assert sources(RAGGED, NOON) == [EVENTS, HOUR, DAY, HOUR]
    assert sources(RAGGED, NOON, group_by=("model",)) == [EVENTS, HOUR, DAY, HOUR]
    assert sources(RAGGED, NOON, group_by=("team",)) == [EVENTS, DAY, EVENTS]


def test_hours_come_from_the_hour_roll_up_and_combinations_by_day_from_the_roll_up_of_rates() -> None:
    assert sources(MIDNIGHT, LATER, interval="hour") == [HOUR]
    assert sources(MIDNIGHT, LATER, interval="hour", group_by=("model", "project")) == [HOUR]
    assert sources(MIDNIGHT, LATER, group_by=("model", "project")) == [RATE]
    assert sources(RAGGED, NOON, group_by=("model", "project")) == [EVENTS, HOUR, RATE, HOUR]
    assert sources(MIDNIGHT, LATER, interval="hour", group_by=("team",)) == [EVENTS]
    assert sources(MIDNIGHT, LATER, group_by=("team", "model")) == [RATE]
    assert sources(MIDNIGHT, LATER, group_by=("member", "model")) == [EVENTS]
    assert sources(MIDNIGHT, LATER, group_by=("model", PRICE, TIER, ABOVE, KINDS)) == [RATE]
    assert sources(MIDNIGHT, LATER, group_by=("model", PRICE, TIME)) == [EVENTS]
    assert sources(MIDNIGHT, "2025-03-12T00:00+01:00", interval="15m") == [EVENTS]


def test_whole_months_of_chats_come_from_theirs() -> None:
    assert sources("2025-02-01T00:00+01:00", "2025-04-01T00:00+02:00", group_by=("chat",)) == [CHAT]
    assert sources("2025-02-01T00:00+01:00", "2025-04-01T00:01+02:00", group_by=("chat",)) == [CHAT, EVENTS]
    assert sources("2025-02-01T00:00+01:00", "2025-04-01T00:00+02:00", group_by=("chat", "model")) == [EVENTS]


def test_another_zone_than_the_ledgers() -> None:
    days = {"start": MIDNIGHT, "end": LATER, "interval": "day"}
    # Berlin's days are not Kolkata's, and begin in the middle of its hours.
    assert sources(**days, ledger=KOLKATA) == [EVENTS]  # type: ignore[arg-type]
    # New York's hours are Berlin's.
    assert sources(**days, ledger=ZoneInfo("America/New_York")) == [HOUR]  # type: ignore[arg-type]
    # Without buckets it does not matter whose days they are.
    assert sources(MIDNIGHT, LATER, ledger=KOLKATA) == [EVENTS, HOUR, DAY, HOUR, EVENTS]


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_pieces_are_the_range_without_gap_or_overlap(data: st.DataObject) -> None:
    zones = [BERLIN, KOLKATA, LORD_HOWE, ZoneInfo("America/New_York")]
    zone, ledger = data.draw(st.sampled_from(zones)), data.draw(st.sampled_from(zones))
    moments = st.datetimes(dt.datetime(2025, 3, 1), dt.datetime(2025, 4, 30), timezones=st.just(dt.UTC))  # noqa: DTZ001
    start, end = sorted((data.draw(moments), data.draw(moments)))
    if start == end:
        return
    interval = data.draw(st.sampled_from([None, "hour", "day", "week", "month"]))
    group_by = data.draw(st.sampled_from([(), ("model",), ("team",), ("chat",), ("model", "provider")]))
    planned = plan(UsageQuery(1, start, end, zone, interval=interval, group_by=group_by), ledger)
    edges = [start, *(piece.end for piece in planned.pieces)]
    assert edges == [*(piece.start for piece in planned.pieces), end]
    assert all(earlier < later for earlier, later in itertools.pairwise(edges))
    if interval:
        # Hours are counted by the day; that must be what looking each up gives.
        assert list(planned.buckets) == buckets(start, end, interval, zone)


@pytest.mark.parametrize("zone", [BERLIN, LORD_HOWE, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/Sao_Paulo")])
def test_a_years_hours_are_those_of_the_clock(zone: ZoneInfo) -> None:
    start, end = dt.datetime(2018, 1, 1, 3, 20, tzinfo=dt.UTC), dt.datetime(2019, 1, 30, tzinfo=dt.UTC)
    planned = plan(UsageQuery(1, start, end, zone, interval="hour"), zone)
    assert list(planned.buckets) == buckets(start, end, "hour", zone)
