"""Bare columns of hours say what every other answer says."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import pytest

from accounts.models import Organization
from metering.pipeline import Sender
from metering.query.hourly import read_hours, read_lifetimes, read_model_use, read_part_of_hour, read_spans
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import UsageQuery
from tests.cast import make_key
from tests.metering.query.usage import make_event, write

START = dt.datetime(2026, 11, 2, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def keys(acme: Organization) -> list[int]:
    """Two keys' calls of two models, an hour and seven minutes apart."""
    found = [make_key(acme, name=name).row.pk for name in ("One", "Two")]
    for key in found:
        events = [
            make_event(
                f"{key}-{number}",
                START + number * dt.timedelta(minutes=67),
                ("gpt-4o", "o3")[number % 2],
                feature=("chat", "search")[number % 3 == 0],
                chat=f"c{number % 2}",
                status="error" if number % 5 == 0 else "ok",
            )
            for number in range(30)
        ]
        write(acme.pk, events, Sender(api_key_id=key))
    return found


def four(figures: Figures) -> tuple[int, ...]:
    return figures.total_tokens, figures.known_cost_nanos, figures.requests, figures.errors


def test_hours_are_those_of_queries(acme: Organization, keys: list[int]) -> None:
    end = START + 20 * HOUR
    query = UsageQuery(acme.pk, START, end, acme.zone, "hour", group_by=("api_key", "model"))
    asked = {
        (int(row.start.timestamp()), row.group["api_key"].ref, row.group["model"].ref): four(row.figures)
        for row in run(query).rows
    }
    found = {(row.start, row.api_key, row.model): row.figures for row in read_hours(acme.pk, START, end)}
    assert found == asked
    assert {key for _, key, _ in found} == set(keys)


def test_a_part_of_an_hour_ends_where_it_is_asked_to(acme: Organization, keys: list[int]) -> None:
    start = START + HOUR
    rows = read_part_of_hour(acme.pk, start, start + dt.timedelta(minutes=7))
    assert rows == []
    rows = read_part_of_hour(acme.pk, start, start + dt.timedelta(minutes=8))
    assert {(row.start, row.api_key, row.figures[2]) for row in rows} == {
        (int(start.timestamp()), key, 1) for key in keys
    }


def test_spans_sum_what_lies_in_them(acme: Organization, keys: list[int]) -> None:
    spans = [(START, START + 3 * HOUR), (START + 10 * HOUR, START + 12 * HOUR)]
    wanted: dict[object, tuple[int, ...]] = defaultdict(lambda: (0, 0, 0, 0))
    for start, end in spans:
        query = UsageQuery(acme.pk, start, end, acme.zone, group_by=("model",), filters={"api_key": (keys[0],)})
        for row in run(query).rows:
            ref = row.group["model"].ref
            wanted[ref] = tuple(map(sum, zip(wanted[ref], four(row.figures), strict=True)))
    assert read_spans(acme.pk, spans, "model", {"api_key": keys[0]}) == wanted


def test_lifetimes_have_the_first_and_the_last_day(acme: Organization, keys: list[int]) -> None:
    found = read_lifetimes(acme.pk, ("api_key", "model"), dt.date(2026, 11, 3))
    assert {key: (life.first, life.last) for key, life in found["api_key"].items()} == {
        key: (dt.date(2026, 11, 2), dt.date(2026, 11, 2)) for key in keys
    }
    assert read_lifetimes(acme.pk, ("model",), dt.date(2026, 11, 2)) == {"model": {}}


def test_models_are_counted_on_both_sides_of_an_instant(acme: Organization, keys: list[int]) -> None:
    middle, end = START + 17 * HOUR, START + 40 * HOUR
    found = {(use.dimension, use.ref): use for use in read_model_use(acme.pk, START, middle, end, 1)}
    assert {dimension for dimension, _ in found} == {"feature", "chat"}
    for (dimension, _), use in found.items():
        assert sum(use.before.values()) + sum(use.after.values()) in {"feature": (20, 40), "chat": (30,)}[dimension]
    assert len(found["chat", "c0"].before) == 1
    assert found["chat", "c0"].before.keys().isdisjoint(found["chat", "c1"].before)
    assert read_model_use(acme.pk, START, middle, end, 1_000) == []


def test_nothing_of_others_is_read(acme: Organization, globex: Organization, keys: list[int]) -> None:
    assert read_hours(globex.pk, START, START + 40 * HOUR) == []
    assert read_spans(globex.pk, [(START, START + 40 * HOUR)], "model", {}) == {}
    assert read_model_use(globex.pk, START, START + HOUR, START + 40 * HOUR, 1) == []
