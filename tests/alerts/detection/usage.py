"""Weeks of office hours in Berlin, written by the write path."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from metering.events import Usage, UsageEvent
from tests.metering.query.usage import make_event

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
# Wednesday 18 November 2026, 14:00 in Berlin.
NOW = dt.datetime(2026, 11, 18, 13, tzinfo=dt.UTC)
WEEKS = 6


def hour_events(
    at: dt.datetime, calls: int, model: str = "gpt-4o", *, name: str = "", **fields: object
) -> Iterator[UsageEvent]:
    """Calls of 10,000 tokens, spread over an hour."""
    usage = Usage(input=8_000, output=2_000)
    for number in range(calls):
        moment = at + HOUR * number / calls
        yield make_event(f"{model}-{name}-{at.isoformat()}-{number}", moment, model, usage, **fields)


def office_hours(start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    at = start
    while at < end:
        local = at.astimezone(BERLIN)
        if local.weekday() < 5 and 9 <= local.hour < 17:
            yield at
        at += HOUR


def usual(
    calls: int = 3, model: str = "gpt-4o", until: dt.datetime = NOW, days: int = WEEKS * 7, **fields: object
) -> list[UsageEvent]:
    start = NOW - days * DAY - 5 * HOUR
    return [event for at in office_hours(start, until) for event in hour_events(at, calls, model, **fields)]
