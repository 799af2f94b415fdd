"""Questions and their answers, one by one."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec
import pytest

from accounts.models import Organization
from core.periods import day_start
from metering.dimensions import DIMENSIONS
from metering.query.metrics import Figures
from metering.query.plan import Source
from metering.query.run import run
from metering.query.spec import TEXT_DIMENSIONS, UsageQuery
from tests.metering.query.usage import count, make_event, write

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = (dt.datetime(2025, 2, 28, 23, tzinfo=dt.UTC), dt.datetime(2025, 3, 31, 22, tzinfo=dt.UTC))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_nothing_stored_is_zeros(acme: Organization) -> None:
    result = run(UsageQuery(acme.id, *MARCH, BERLIN, interval="day"))
    assert len(result.rows) == 31
    assert {row.figures for row in result.rows} == {Figures()}
    assert result.totals == Figures()
    assert result.totals.cost_nanos == 0


def test_days_models_and_totals(acme: Organization) -> None:
    rated = write(
        acme.id,
        [
            make_event("a", at("2025-03-01T00:30:00+01:00")),
            make_event("b", at("2025-03-01T23:59:59+01:00"), "odd-one"),
            make_event("c", at("2025-03-30T12:00:00+02:00"), "free-one"),
        ],
    )
    daily = run(UsageQuery(acme.id, *MARCH, BERLIN, interval="day"))
    assert daily.sources == (Source.DAY,)
    assert [row.figures.requests for row in daily.rows] == [2, *[0] * 28, 1, 0]
    assert daily.totals == count(rated)
    models = run(UsageQuery(acme.id, *MARCH, BERLIN, group_by=("model",), order_by=("-cost_usd", "model")))
    assert [row.group["model"].label for row in models.rows] == ["gpt-4o", "free-one", "odd-one"]
    assert [row.figures.cost_nanos for row in models.rows] == [10 * 2_501 + 5 * 10_007, 0, None]
    assert models.coverage.unpriced.tokens == 15


@pytest.mark.parametrize("sources", [frozenset(Source), frozenset({Source.HOUR}), frozenset()])
def test_ragged_edges(acme: Organization, sources: frozenset[Source]) -> None:
    rated = write(
        acme.id, [make_event(str(i), at("2025-03-29T10:00:00Z") + dt.timedelta(minutes=37 * i)) for i in range(99)]
    )
    start, end = at("2025-03-29T13:07:30Z"), at("2025-03-31T15:22:01Z")
    result = run(UsageQuery(acme.id, start, end, BERLIN, group_by=("model",)), sources)
    assert result.totals.requests == len(
        [i for i in range(99) if start <= at("2025-03-29T10:00:00Z") + dt.timedelta(minutes=37 * i) < end]
    )
    assert result.rows[0].figures == result.totals
    assert len(rated) == 99


def test_chats_of_a_month_and_a_ragged_edge(acme: Organization) -> None:
    """Whole months come from the chats' roll-up, the moment before them from events: one statement for both."""
    start = day_start(dt.date(2025, 6, 1), acme.zone)
    end = day_start(dt.date(2025, 7, 1), acme.zone)
    events = [
        make_event("before", start - dt.timedelta(microseconds=1), chat="c1"),
        make_event("in", start, chat="c1"),
        make_event("chatless", start),
    ]
    write(acme.pk, events)
    query = UsageQuery(acme.pk, start - dt.timedelta(microseconds=1), end, acme.zone, group_by=("chat",))
    found = {row.group["chat"].key: row.figures.requests for row in run(query).rows}
    assert found == {"c1": 2, None: 1}


@pytest.mark.parametrize("name", [*DIMENSIONS, *TEXT_DIMENSIONS, "tag.branch"])
def test_what_has_no_value_over_a_whole_month(acme: Organization, name: str) -> None:
    """The roll-ups are asked for "without" alone, which for chats is everything less every chat."""
    start = day_start(dt.date(2025, 6, 1), acme.zone)
    end = day_start(dt.date(2025, 7, 1), acme.zone)
    events = [make_event("bare", start), make_event("talk", start, chat="c1"), make_event("more", start, chat="c2")]
    write(acme.pk, events)
    every = run(UsageQuery(acme.pk, start, end, acme.zone, group_by=(name,)))
    without = sum(row.figures.requests for row in every.rows if row.group[name].key is None)
    query = UsageQuery(acme.pk, start, end, acme.zone, filters={name: (None,)})
    alone, by_day = run(query), run(msgspec.structs.replace(query, interval="day"))
    grouped = run(msgspec.structs.replace(query, group_by=(name,)))
    assert [result.totals.requests for result in (alone, by_day, grouped)] == [without] * 3
    assert [row.figures.requests for row in grouped.rows] == ([without] if without else [])
