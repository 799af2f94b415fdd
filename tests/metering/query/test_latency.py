"""Percentiles: close to the true ones, and the same whichever table they are read from."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.query.latency import Latency, read_latencies
from metering.query.plan import Source
from metering.query.run import run
from metering.query.spec import UsageQuery
from metering.store.latency import BOUNDS, milliseconds
from tests.metering.query.usage import make_event, write

BERLIN = ZoneInfo("Europe/Berlin")
AT = dt.datetime(2025, 3, 29, 12, tzinfo=dt.UTC)
ROOM = 0.06
EVENTS = frozenset({Source.EVENTS})
_numbers = itertools.count()

durations = st.one_of(st.integers(0, 40), st.integers(0, 20_000), st.integers(0, 2**31 - 1))


def bucket(value: int) -> int:
    return sum(bound <= value for bound in BOUNDS)


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@given(st.lists(durations, min_size=1, max_size=60), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_near_the_true_one(values: list[int], percent: int) -> None:
    latency = Latency()
    for value in values:
        latency.durations[bucket(value)] += 1
    true, said = nearest_rank(values, percent), latency.percentile_ms("duration", percent)
    assert said is not None
    assert abs(said - true) <= true * ROOM
    assert latency.percentile_ms("first_token", percent) is None


def test_buckets_are_as_narrow_as_is_said() -> None:
    """docs/algorithms/latency.md."""
    assert len(BOUNDS) == 232
    for number, (first, after) in enumerate(itertools.pairwise(BOUNDS), 1):
        room = 0.05 if first >= 100 else ROOM
        assert all(abs(milliseconds(number) - value) <= value * room for value in (first, after - 1))
    assert [milliseconds(bucket(value)) for value in range(16)] == list(range(16))


calls = st.tuples(
    st.integers(-72, 72),
    st.sampled_from([None, "slack", "zendesk"]),
    st.sampled_from(["gpt-4o", "odd-model"]),
    st.sampled_from([None, "chat"]),
    st.none() | durations,
    st.none() | durations,
)
groups = st.sampled_from([(), ("integration",), ("model",), ("integration", "model"), ("feature",), ("file",)])


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(calls, min_size=1, max_size=25),
    groups,
    st.sampled_from([None, "day", "hour", "week"]),
    st.sampled_from([{}, {"integration": ("slack",)}, {"provider": (None,)}]),
    st.sampled_from([None, 2]),
    st.integers(-60, 0),
)
def test_every_table_says_the_same(made, group_by, interval, filters, limit, begins) -> None:  # type: ignore[no-untyped-def]
    with unscoped("test"):
        organization = Organization.objects.create(name="x", slug=f"late{next(_numbers)}", timezone="Europe/Berlin")
    events = [
        make_event(
            f"e{n}", AT + dt.timedelta(hours=hours), model, integration=integration, feature=feature,
            duration_ms=duration, time_to_first_token_ms=first,
        )
        for n, (hours, integration, model, feature, duration, first) in enumerate(made)
    ]  # fmt: skip
    write(organization.pk, events)
    query = UsageQuery(
        organization.pk,
        AT + dt.timedelta(hours=begins),
        dt.datetime(2025, 4, 1, tzinfo=BERLIN),
        BERLIN,
        interval,
        group_by,
        filters,
        limit=limit,
    )
    with organization_scope(organization.pk):
        result = run(query)
        found, counted = read_latencies(result), read_latencies(result, EVENTS)
    for row in result.rows:
        assert found.of(row) == counted.of(row)
        inside = [
            event
            for event in events
            if row.start <= event.occurred_at < row.end
            and all(getattr(event, name, None) == value.key for name, value in row.group.items())
            and (not filters or "provider" in filters or event.integration == "slack")
        ]
        assert found.of(row).durations.total() == sum(event.duration_ms is not None for event in inside)
        assert found.of(row).durations == _histogram([e.duration_ms for e in inside])
        assert found.of(row).first_tokens == _histogram([e.time_to_first_token_ms for e in inside])
    assert found.total == counted.total


def _histogram(values: list[int | None]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        if value is not None:
            counts[bucket(value)] = counts.get(bucket(value), 0) + 1
    return counts


@pytest.mark.django_db
def test_the_api_has_them_on_request(acme: Organization, acme_api: Client) -> None:
    write(
        acme.pk,
        [
            make_event(str(n), AT, integration="slack", duration_ms=100 * n, time_to_first_token_ms=n)
            for n in range(1, 101)
        ],
    )
    asked = {"from": "2025-03-29", "to": "2025-03-29", "group_by": "integration", "interval": "none"}
    plain = acme_api.get("/v1/usage/query", asked).json()
    assert "latency_p50_ms" not in plain["data"][0]
    answer = acme_api.get(
        "/v1/usage/query", asked | {"metrics": "requests,latency_p50_ms,latency_p95_ms,first_token_p50_ms"}
    )
    row = answer.json()["data"][0]
    assert set(row) == {
        "start",
        "end",
        "group",
        "labels",
        "requests",
        "latency_p50_ms",
        "latency_p95_ms",
        "first_token_p50_ms",
    }
    assert row["latency_p50_ms"] == pytest.approx(5_000, rel=ROOM)
    assert row["latency_p95_ms"] == pytest.approx(9_500, rel=ROOM)
    assert row["first_token_p50_ms"] == pytest.approx(50, rel=ROOM)
    assert answer.json()["totals"]["latency_p95_ms"] == row["latency_p95_ms"]
    empty = acme_api.get(
        "/v1/usage/query", {"from": "2025-01-01", "to": "2025-01-01", "metrics": "latency_p50_ms"}
    ).json()
    assert empty["totals"] == {"latency_p50_ms": None}
    refused = acme_api.get("/v1/usage/query", asked | {"order_by": "-latency_p50_ms"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "order_by")
