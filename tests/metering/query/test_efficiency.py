"""Efficiency: what each ratio counts, which answers are empty, what meets its target."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.models import Organization
from metering.events import Usage
from metering.query.efficiency import INDICATORS, Answers, Basis, Efficiency, Measured, find_efficiency
from metering.query.metrics import Figures
from metering.query.spec import UsageQuery
from tests.metering.query.usage import make_event, write

DAY = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
PERIOD = (DAY.replace(day=1, hour=0), DAY.replace(day=30, hour=0))


@pytest.fixture
def usage(acme: Organization) -> None:
    write(
        acme.id,
        [
            make_event("full", DAY, "gpt-4o", Usage(input=80, cache_read=20, output=150), feature="chat"),
            make_event("empty", DAY, "gpt-4o", Usage(input=100), feature="chat"),
            make_event("failed", DAY, "gpt-4o", Usage(input=100), status="error", feature="chat"),
            make_event("unknown", DAY, "gpt-4o", None, feature="agents"),
            make_event("picture", DAY, "painter", Usage(input=10, images=1), feature="agents"),
            make_event("vector", DAY + dt.timedelta(days=1), "embedder", Usage(input=50), feature="agents"),
        ],
    )


def found(organization: Organization, by: str = "model", **other: Any) -> Efficiency:
    return find_efficiency(UsageQuery(organization.id, *PERIOD, ZoneInfo("UTC"), **other), by)


def test_answers_are_expected_of_calls_that_could_give_one(acme: Organization, usage: None) -> None:
    result = found(acme)
    assert result.whole.answers == Answers(expected=3, empty=1)
    assert result.silent == ("embedder",)
    groups = {group.label: measured for group, measured in result.groups}
    assert groups["gpt-4o"].answers == Answers(2, 1)
    assert groups["painter"].answers == Answers(1, 0)
    assert groups["embedder"].answers == Answers()
    assert INDICATORS["empty_answers"].of(groups["embedder"]) is None


def test_what_has_no_such_tokens_is_not_judged_by_them(acme: Organization, usage: None) -> None:
    """Embeddings never write, and speech by the hour has no tokens: neither moves the others' ratios."""
    write(acme.id, [make_event("speech", DAY, "listener", Usage(media_ms=60_000), feature="agents")])
    result = found(acme)
    groups = {group.label: measured for group, measured in result.groups}
    ratio, average = INDICATORS["completion_ratio"], INDICATORS["average_tokens"]
    assert (ratio.of(groups["embedder"]), ratio.meets(groups["embedder"])) == (None, None)
    assert (average.of(groups["listener"]), average.meets(groups["listener"])) == (None, None)
    assert average.of(groups["embedder"]) == 50
    # 80 + 20 + 100 + 100 read and 150 written by gpt-4o; six calls but the speech, one of unknown use.
    assert ratio.of(result.whole) == Fraction(150, 300)
    assert average.of(result.whole) == Fraction(510, 6)
    by_feature = {group.label: measured for group, measured in found(acme, "feature").groups}
    assert ratio.of(by_feature["chat"]) == Fraction(150, 300)
    assert ratio.of(by_feature["agents"]) is None


def test_by_another_dimension_silent_models_stay_out(acme: Organization, usage: None) -> None:
    groups = {group.label: measured.answers for group, measured in found(acme, "feature").groups}
    assert groups == {"chat": Answers(2, 1), "agents": Answers(1, 0)}


def test_buckets_are_those_of_the_interval(acme: Organization, usage: None) -> None:
    days = {row.start.day: measured for row, measured in found(acme, interval="day").buckets}
    assert (days[10].answers, days[10].figures.requests) == (Answers(3, 1), 5)
    assert (days[11].answers, days[11].figures.requests) == (Answers(), 1)


def measured(**counts: int) -> Measured:
    answers = Answers(counts.pop("expected", 0), counts.pop("empty", 0))
    figures = Figures(**counts)
    return Measured(figures, answers, Basis(figures.prompt_tokens, figures.requests))


@pytest.mark.parametrize(
    ("key", "one", "value", "meets"),
    [
        ("completion_ratio", measured(input=100, output=150), Fraction(3, 2), True),
        ("completion_ratio", measured(input=100, output=300), Fraction(3), True),
        ("completion_ratio", measured(input=100, output=301), Fraction(301, 100), False),
        ("completion_ratio", measured(output=5), None, None),
        ("average_tokens", measured(requests=2, input=1998), Fraction(999), True),
        ("average_tokens", measured(requests=2, input=2000), Fraction(1000), False),
        ("empty_answers", measured(expected=100, empty=1), Fraction(1, 100), False),
        ("empty_answers", measured(expected=101, empty=1), Fraction(1, 101), True),
        ("cache_read_share", measured(input=80, cache_read=20), Fraction(1, 5), True),
        ("error_share", measured(requests=200, errors=1), Fraction(1, 200), True),
        ("error_share", measured(), None, None),
    ],
)
def test_targets(key: str, one: Measured, value: Fraction | None, meets: bool | None) -> None:
    assert (INDICATORS[key].of(one), INDICATORS[key].meets(one)) == (value, meets)


# ── The API ──


def test_the_api_says_the_same(acme_api: Client, acme: Organization, usage: None) -> None:
    answer = acme_api.get("/v1/usage/efficiency", {"from": "2026-11-01", "to": "2026-11-29", "by": "feature"}).json()
    assert (answer["totals"]["expected_answers"], answer["totals"]["empty_answers"]) == (3, 1)
    assert answer["silent_models"] == ["embedder"]
    assert {row["value"] for row in answer["data"]} == {"chat", "agents"}
    ratio = answer["totals"]["indicators"]["empty_answers"]
    assert ratio == {"value": 0.3333, "least": None, "most": 0.01, "meets": False}


def test_patterns_in_the_api(acme_api: Client, usage: None) -> None:
    answer = acme_api.get("/v1/usage/patterns", {"from": "2026-11-01", "to": "2026-11-14", "timezone": "UTC"}).json()
    busy = [cell for cell in answer["hours"] if cell["total"] != "0"]
    assert [(cell["weekday"], cell["hour"]) for cell in busy] == [(1, 12), (2, 12)]
    assert [change["period"] for change in answer["changes"]] == ["week", "month", "year"]
    assert len(answer["hours"]) == 168


@pytest.mark.parametrize(("path", "param"), [("efficiency?by=chat", "by"), ("patterns?metric=mood", "metric")])
def test_the_api_refuses(acme_api: Client, path: str, param: str) -> None:
    response = acme_api.get(f"/v1/usage/{path}")
    assert (response.status_code, response.json()["error"]["param"]) == (422, param)
