"""GET /metrics: who may read it, and what it says of the work done."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings as configured
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from starlette.testclient import TestClient

from accounts.models import Organization, Scope
from metering import telemetry
from metering.edge import App
from metering.models import LimitUnit
from tests.cast import Key
from tests.metering.door import Door, event
from tests.metering.limits.calls import Desk, call, limit, with_desk

LOCAL, ELSEWHERE = ("127.0.0.1", 40_000), ("203.0.113.9", 40_000)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def scrape(client: tuple[str, int] | None, **headers: str) -> httpx.Response:
    """Without the edge's life: a scrape needs no database."""
    kwargs: dict[str, Any] = {} if client is None else {"client": client}
    asking = TestClient(App(), raise_server_exceptions=False, **kwargs)
    return asking.get("/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.fixture
def local(transactional_db: None) -> Iterator[TestClient]:
    with TestClient(App(), client=LOCAL) as client:
        yield client


class Sample:
    """The samples of a scrape, by name and labels."""

    def __init__(self, text: str) -> None:
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in parse(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self._values.get((f"tokenledger_{name}", frozenset(labels.items())), 0.0)


# ── Who may read it ──


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_without_a_token_the_machine_itself_may(host: str) -> None:
    response = scrape((host, 40_000))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["203.0.113.9", "10.0.0.7", "2001:db8::1", "::ffff:10.0.0.7", "testclient"])
def test_without_a_token_nobody_else_may(host: str) -> None:
    response = scrape((host, 40_000))
    assert code_of(response) == (403, "metrics_are_local")
    assert "tokenledger_" not in response.text


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "via", "x_real_ip"])
def test_a_proxy_on_the_same_machine_makes_nobody_local(header: str) -> None:
    assert code_of(scrape(LOCAL, **{header: "127.0.0.1"})) == (403, "metrics_are_local")


def test_with_a_token_whoever_has_it_and_nobody_else(settings: Any) -> None:
    settings.METRICS_TOKEN = "scrape-me-and-more"
    right = b"Bearer " + settings.METRICS_TOKEN.encode()
    client = TestClient(App(), raise_server_exceptions=False, client=ELSEWHERE)
    assert client.get("/metrics", headers={"authorization": right}).status_code == 200
    for wrong in (b"", b"Bearer", b"Bearer scrape-me", b"Basic " + right[7:], b"Bearer \xff\xfe", right + b"x"):
        for host in (LOCAL, ELSEWHERE):
            asking = TestClient(App(), raise_server_exceptions=False, client=host)
            response = asking.get("/metrics", headers={"authorization": wrong})
            assert code_of(response) == (401, "invalid_metrics_token")
            assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.django_db(transaction=True)
def test_no_api_key_opens_it(acme: Organization, new_key: Any) -> None:
    key: Key = new_key(Scope.ADMIN)
    assert code_of(scrape(ELSEWHERE, authorization=f"Bearer {key.secret}")) == (403, "metrics_are_local")


def test_it_is_read_only() -> None:
    client = TestClient(App(), raise_server_exceptions=False, client=LOCAL)
    assert client.post("/metrics").status_code == 405


# ── What it says ──


def test_names_have_prefix_and_units_and_labels_name_no_tenant() -> None:
    allowed = {"route", "status", "outcome", "pricing", "lane", "reason", "limit", "scope", "unit", "answer", "kind"}
    families = [family for family in telemetry.REGISTRY.collect() if not family.name.startswith("process_")]
    assert len(families) > 15
    for family in families:
        assert re.fullmatch(r"tokenledger_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        labels = {label for sample in family.samples for label in sample.labels}
        assert labels <= allowed | {"le"}
        if family.type == "histogram":
            assert re.search(r"_(seconds|rows)$", family.name)


def test_both_formats_are_sound() -> None:
    telemetry.EDGE_REQUESTS.labels("GET /metrics", "200").inc()
    assert list(parse(scrape(LOCAL).text))
    response = scrape(LOCAL, accept=OPENMETRICS)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert list(parse_openmetrics(response.text))


def test_work_is_counted(door: Door, local: TestClient, prices: None, acme: Organization) -> None:
    before = Sample(local.get("/metrics").text)
    assert (
        door.send({"events": [event("a"), event("b"), event("c", model="nobody-knows"), {"id": "d"}]}).status_code
        == 207
    )
    assert door.send(event("a")).status_code == 200
    assert door.send(event("b", model="gpt-4o-mini")).status_code == 422
    assert door.send(event("e", project="none-of-ours")).status_code == 422
    assert door.send(event(), authorization="").status_code == 401
    after = Sample(local.get("/metrics").text)

    def risen(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    for status, number in (("207", 1), ("200", 1), ("422", 2), ("401", 1)):
        assert risen("edge_requests_total", route="POST /v1/events", status=status) == number
    assert risen("edge_request_duration_seconds_count", route="POST /v1/events") == 5
    assert 0 < risen("edge_request_duration_seconds_sum", route="POST /v1/events") < 60
    assert risen("edge_requests_total", route="GET /metrics", status="200") == 1
    for outcome, pricing, number in (
        ("created", "priced", 2), ("created", "unpriced", 1), ("duplicate", "none", 1), ("conflict", "none", 1),
        ("invalid", "none", 2),
    ):  # fmt: skip
        assert risen("events_total", outcome=outcome, pricing=pricing) == number, (outcome, pricing)
    assert risen("group_commit_rows_sum", lane="group-commit") == 5
    assert risen("group_commit_rows_count", lane="group-commit") == 3
    assert risen("group_commit_duration_seconds_count", lane="group-commit") == 3
    assert risen("group_commit_wait_seconds_count", lane="group-commit") == 3
    assert after("group_commit_waiting_rows", lane="group-commit") == 0


def test_holds_are_counted(prices: None, acme: Organization) -> None:
    def counted() -> tuple[float, ...]:
        sample = Sample(generate_latest(telemetry.REGISTRY).decode())
        refused = [sample("holds_refused_total", limit=name) for name in ("allowance", "unpriced")]
        return sample("holds_placed_total"), *refused

    async def act(desk: Desk) -> None:
        await desk.hold(call("a", 400))
        await desk.try_hold(call("b", 400))

    async def act_without_a_price(desk: Desk) -> None:
        await desk.try_hold(call("c", 1, model="nobody-knows"))

    limit(acme, 500)
    placed, full, unpriced = counted()
    with_desk(acme, act)
    assert counted() == (placed + 1, full + 1, unpriced)
    limit(acme, 10**9, LimitUnit.COST, source="budget")
    with_desk(acme, act_without_a_price)
    assert counted() == (placed + 1, full + 1, unpriced + 1)


def test_nothing_of_a_tenant_is_in_it(door: Door, local: TestClient, acme: Organization, acme_key: Key) -> None:
    door.send(event("a", feature="acme-only-feature", model="acme-only-model", user="someone@acme.test"))
    text = local.get("/metrics").text.lower()
    for secret in ("acme", acme_key.row.prefix.lower(), acme.slug):
        assert secret not in text


def test_counting_takes_next_to_nothing() -> None:
    """A few microseconds a request; the bound is wide, for a busy machine."""
    route = telemetry.Route("POST /v1/measured")
    began = time.perf_counter()
    for _ in range(2_000):
        route.answered(200, 0.002)
    assert (time.perf_counter() - began) / 2_000 < 50e-6


def test_the_setting_is_off_by_default() -> None:
    assert configured.METRICS_TOKEN == ""
    assert json.loads(scrape(ELSEWHERE).text)["error"]["type"] == "permission_error"
