"""The demo's waste: calls like anybody's, the same whenever they are made, and none of the last days."""

from __future__ import annotations

import datetime as dt

from accounts.models import Organization
from config.demo.usage import SPIKE_DAYS_AGO
from config.demo.waste import calls_of
from metering.ingest.batch import parse_value

NOW = dt.datetime(2026, 11, 22, 15, tzinfo=dt.UTC)
NORTHBOUND = Organization(name="Northbound Labs", timezone="Europe/Berlin")


def test_they_are_events_of_days_that_are_over() -> None:
    calls = list(calls_of(NORTHBOUND, NOW))
    parsed = [parse_value(call, is_strict=True, received_at=NOW) for call in calls]
    assert {one.problem for one in parsed} == {None}
    assert len({call["id"] for call in calls}) == len(calls)
    days = {dt.datetime.fromisoformat(call["occurred_at"]).astimezone(NORTHBOUND.zone).date() for call in calls}
    last, first = max(days), min(days)
    assert last < NOW.date() - dt.timedelta(days=SPIKE_DAYS_AGO)
    assert first >= NOW.date() - dt.timedelta(days=30)


def test_a_start_that_was_interrupted_makes_the_same_calls_again() -> None:
    """Also when midnight has passed in between: what an id stands for never changes."""
    known = {call["id"]: call for call in calls_of(NORTHBOUND, NOW)}
    for later in (NOW, NOW + dt.timedelta(days=1), NOW + dt.timedelta(days=7)):
        for call in calls_of(NORTHBOUND, later):
            assert known.get(call["id"], call) == call
