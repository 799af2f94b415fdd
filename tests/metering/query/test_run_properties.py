"""Whatever is asked, from whichever table it is answered: the figures are those of the events, counted one by one."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.directory import Directory, Placement
from metering.events import Usage, UsageEvent
from metering.pipeline import Sender
from metering.query.metrics import METRICS, Figures
from metering.query.plan import EVERY_SOURCE, Source
from metering.query.run import UsageResult, run
from metering.query.spec import LONGEST, UsageQuery
from tests.metering.query.usage import count, make_event, write_with

# Zones, and a moment around which their clocks do something.
PLACES = {
    "Europe/Berlin": ("2025-03-30T01:00Z", "2025-10-26T01:00Z"),
    "America/New_York": ("2025-03-09T07:00Z", "2025-11-02T06:00Z"),
    "Asia/Kathmandu": ("2025-05-31T18:15Z",),
    "Asia/Kolkata": ("2024-12-31T18:30Z",),
    "Australia/Lord_Howe": ("2025-04-05T15:00Z", "2025-10-04T15:30Z"),
    "America/Sao_Paulo": ("2018-11-04T03:00Z", "2019-02-17T02:00Z"),
    "UTC": ("2024-02-29T00:00Z",),
}
ZONES = {name: ZoneInfo(name) for name in PLACES}
NOTHING = Figures()
MICRO = dt.timedelta(microseconds=1)
DIMENSIONS = ("model", "provider", "project", "team", "department", "member", "api_key", "feature", "status", "chat",
              "message", "file", "tag.env", "user")  # fmt: skip


@st.composite
def instants(draw: st.DrawFn, around: dt.datetime) -> dt.datetime:
    """Moments near a change of the clock, many of them on an edge of a quarter, or a hair beside it."""
    step = draw(st.sampled_from([dt.timedelta(minutes=15), dt.timedelta(hours=1), dt.timedelta(hours=24)]))
    at = around + draw(st.integers(-40, 40)) * step
    return at + draw(st.sampled_from([0, 0, 0, 1, -1, 123_456_789])) * MICRO


@st.composite
def events(draw: st.DrawFn, around: dt.datetime) -> list[UsageEvent]:
    counts = st.integers(0, 5_000)
    usages = st.builds(Usage, input=counts, cache_read=counts, output=counts, reasoning=counts, image_input=counts,
                       web_searches=st.integers(0, 2), media_ms=counts)  # fmt: skip
    made: list[UsageEvent] = []
    for number in range(draw(st.integers(1, 25))):
        usage = draw(st.none() | usages)
        supersedes = made[-1].event_id if made and draw(st.integers(0, 5)) == 0 else None
        files = draw(st.lists(st.sampled_from(["f1", "f2", "f3"]), max_size=3))
        made.append(
            make_event(
                f"e{number}",
                draw(instants(around)),
                draw(st.sampled_from(["gpt-4o", "free-model", "odd-model"])),
                usage,
                status=draw(st.sampled_from(["ok", "ok", "error"])),
                provider=draw(st.sampled_from([None, "openai", "azure"])),
                project=draw(st.sampled_from([None, "p1", "p2"])),
                user=draw(st.sampled_from([None, "u1", "stranger"])),
                feature=draw(st.sampled_from([None, "chat"])),
                chat=draw(st.sampled_from([None, "c1", "c2"])),
                message=draw(st.sampled_from([None, "m1"])),
                tags=draw(st.sampled_from([None, {"env": "prod"}, {"env": ""}, {"other": "x"}])),
                detail={"files": [{"id": name} for name in files]} if files else None,
                is_estimated=draw(st.booleans()),
                duration_ms=draw(st.none() | counts),
                supersedes=supersedes,
            )
        )
    return made


@st.composite
def questions(draw: st.DrawFn, around: dt.datetime, zone: ZoneInfo) -> dict[str, Any]:
    first, last = sorted((draw(instants(around)), draw(instants(around))))
    shape = draw(st.sampled_from(["ragged", "days", "months"]))
    dimensions = st.lists(st.sampled_from(DIMENSIONS), max_size=2, unique=True)
    if shape != "ragged":
        days = [at.astimezone(zone).date() for at in (first, last)]
        if shape == "months":
            days = [days[0].replace(day=1), (days[1].replace(day=1) + dt.timedelta(days=32)).replace(day=1)]
        first, last = (dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC) for day in days)
    if shape == "months":
        dimensions = dimensions | st.sampled_from([("chat",), ()])
        first -= draw(st.sampled_from([0, 0, 1])) * MICRO
    asked_in = draw(st.sampled_from([zone, zone, *ZONES.values()]))
    length = last - first
    intervals = [i for i, days in LONGEST.items() if length <= dt.timedelta(days=days)]
    group_by = tuple(draw(dimensions))
    filters = {name: (draw(st.sampled_from(_VALUES[name])),) for name in draw(dimensions)}
    return {
        "start": first,
        "end": last if last > first else first + dt.timedelta(hours=30),
        "zone": asked_in,
        "interval": draw(st.sampled_from([None, *intervals])),
        "group_by": group_by,
        "filters": filters,
        "order_by": draw(st.sampled_from([(), *((f"{sign}{name}",) for sign in ("", "-") for name in METRICS)])),
    }


# References as the fake directory below has them; labels by text.
_VALUES: dict[str, tuple[Any, ...]] = {
    "model": ("gpt-4o", "odd-model", "never used"),
    "provider": ("openai", None),
    "project": (11, 12, None),
    "team": (21, 22, None),
    "department": (31, None),
    "member": (41, None),
    "api_key": (7, 8, None),
    "feature": ("chat", None),
    "status": ("ok", "error"),
    "user": ("u1", "stranger", None),
    "chat": ("c1", "c2", None),
    "message": ("m1", None),
    "file": ("f1", "f2", None),
    "tag.env": ("prod", None),
}


class Stored:
    """A stored event beside its row, with the values of every dimension as a group shows them."""

    def __init__(self, event: UsageEvent, rated: Any) -> None:
        row = rated.row
        self.at, self.rated = event.occurred_at, rated
        files = [file["id"] for file in (event.detail or {}).get("files", [])]
        self.values: dict[str, set[Any]] = {
            **{
                name: {getattr(event, name)}
                for name in ("model", "provider", "feature", "status", "user", "chat", "message")
            },
            **{
                name: {getattr(row, f"{name}_id") or None}
                for name in ("project", "team", "department", "member", "api_key")
            },
            "file": set(files) or {None},
            "tag.env": {(event.tags or {}).get("env")},
        }


def _store(events: list[UsageEvent], zone: ZoneInfo) -> tuple[int, list[Stored]]:
    with unscoped("test"):
        organization = Organization.objects.create(name="x", slug=f"x{next(_numbers)}", timezone=zone.key)
    directory = Directory.load(organization.id)
    directory.projects = {"p1": Placement(11, 21), "p2": Placement(12)}
    directory.members = {"u1": Placement(41, 22)}
    directory.departments = {21: 31}
    stored: list[Stored] = []
    for key, part in ((7, events[::2]), (8, events[1::2])):
        # Whatever supersedes comes after what it supersedes, in a batch of its own kind.
        part = [msgspec.structs.replace(event, supersedes=None) for event in part]
        stored += map(Stored, part, write_with(directory, part, Sender(api_key_id=key)))
    successors = [
        msgspec.structs.replace(event, event_id=f"{event.event_id}+", supersedes=event.supersedes)
        for event in events
        if event.supersedes
    ]
    once = {event.supersedes: event for event in successors}
    retired = set(once)
    stored = [one for one in stored if one.rated.row.event_id not in retired]
    if once:
        stored += map(Stored, once.values(), write_with(directory, list(once.values()), Sender(api_key_id=7)))
    return organization.id, stored


_numbers = itertools.count()


@st.composite
def scenarios(draw: st.DrawFn) -> tuple[ZoneInfo, list[UsageEvent], list[dict[str, Any]]]:
    name = draw(st.sampled_from(sorted(PLACES)))
    around = dt.datetime.fromisoformat(draw(st.sampled_from(PLACES[name])))
    zone = ZONES[name]
    return zone, draw(events(around)), draw(st.lists(questions(around, zone), min_size=3, max_size=6))


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scenarios())
def test_every_answer_is_what_counting_gives(scenario: tuple[ZoneInfo, list[UsageEvent], list[dict[str, Any]]]) -> None:
    zone, made, asked = scenario
    organization_id, stored = _store(made, zone)
    with organization_scope(organization_id):
        for question in asked:
            query = UsageQuery(organization_id, **question)
            result = run(query)
            _check(result, stored)
            without_days = run(query, EVERY_SOURCE - {Source.DAY, Source.CHAT})
            from_events = run(query, frozenset({Source.EVENTS}))
            assert set(from_events.sources) == {Source.EVENTS}
            assert from_events.rows == without_days.rows == result.rows
            assert from_events.totals == without_days.totals == result.totals
            assert [row for page in _pages(query, 1 + len(result.rows) // 4) for row in page.rows] == result.rows


def _check(result: UsageResult, stored: list[Stored]) -> None:
    query = result.query
    kept = [
        one
        for one in stored
        if query.start <= one.at < query.end
        and all(one.values[name] & set(values) for name, values in query.filters.items())
    ]
    assert result.totals == count(one.rated for one in kept)
    seen: set[Any] = set()
    for row in result.rows:
        values = {name: _shown(name, value) for name, value in row.group.items()}
        place = (row.start, *values.values())
        assert place not in seen
        seen.add(place)
        inside = [
            one
            for one in kept
            if row.start <= one.at < row.end and all(value in one.values[name] for name, value in values.items())
        ]
        assert row.figures == (count(one.rated for one in inside) if inside else NOTHING)
        assert row.figures.requests or not query.group_by
    if query.group_by and "file" not in query.group_by:
        assert sum((row.figures for row in result.rows), Figures()) == result.totals
    if not query.group_by:
        spans = sorted((row.start, row.end) for row in result.rows)
        assert spans[0][0] == query.start
        assert spans[-1][1] == query.end
        assert all(one[1] == following[0] for one, following in itertools.pairwise(spans))


def _shown(name: str, value: Any) -> Any:
    if name in ("project", "team", "department", "member", "api_key"):
        return value.ref or None
    return value.key


def _pages(query: UsageQuery, limit: int) -> Iterator[UsageResult]:
    cursor = None
    while True:
        page = run(msgspec.structs.replace(query, limit=limit, cursor=cursor))
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return
