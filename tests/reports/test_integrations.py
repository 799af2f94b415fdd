"""Integrations: what services send, how often it fails and how long it takes; and one of them by itself."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from tests.metering.query.usage import make_event, write

URL = "/o/acme/integrations/"
USAGE = Usage(input=1_000, output=100)


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(days=2)
    events = [
        make_event(
            f"slack{n}", at, usage=USAGE, integration="slack", user=(alice if n % 2 else bob).email,
            duration_ms=100 * (n + 1), time_to_first_token_ms=10 * (n + 1),
        )
        for n in range(20)
    ]  # fmt: skip
    events += [
        make_event(f"zen{n}", at, "odd-model", USAGE, integration="zendesk", user=alice.email, duration_ms=9_000)
        for n in range(3)
    ]
    events.append(
        make_event("fail", at, usage=None, integration="slack", status="error", user=alice.email, duration_ms=50)
    )
    events.append(make_event("alone", at, usage=USAGE, user=alice.email, duration_ms=700))
    write(acme.pk, events)


def shown(client: Client, query: str = "range=30d", url: str = URL) -> Any:
    response = client.get(f"{url}?{query}")
    assert response.status_code == 200
    return response


def labels(response: Any, table: int = 0) -> list[str]:
    return [row["label"] for row in response.context["rankings"][table]["rows"]]


def asked(api: Client, **given: str) -> dict[str, Any]:
    first = now() - dt.timedelta(days=29)
    metrics = (
        "requests,errors,total_tokens,cost_usd,latency_p50_ms,latency_p95_ms,first_token_p50_ms,first_token_p95_ms"
    )
    answer: dict[str, Any] = api.get(
        "/v1/usage/query", {"from": f"{first:%Y-%m-%d}", "interval": "none", "metrics": metrics, **given}
    ).json()
    return answer


def test_services_have_the_figures_of_the_api(alice_client: Client, acme_api: Client, usage: None) -> None:
    response = shown(alice_client)
    assert labels(response) == ["slack", "zendesk", "No integration"]
    told = asked(acme_api, group_by="integration", order_by="-requests")
    slack = told["data"][0]
    cells = [cell["text"] for cell in response.context["rankings"][0]["rows"][0]["cells"]]
    assert cells[0] == f"{slack['requests']}" == "21"
    assert cells[1] == f"{slack['total_tokens']:,}"
    assert cells[3] == "4.8%"
    assert slack["latency_p50_ms"] == pytest.approx(1_000, rel=0.06)
    assert cells[4:] == [_duration(slack[name]) for name in told["data"][0] if name.endswith("_ms")]
    cards = {card["label"]: card["text"] for card in response.context["cards"]}
    assert cards["Services"] == "2"
    assert cards["Latency p95"] == _duration(told["totals"]["latency_p95_ms"])
    assert "unpriced" in [cell["text"] for cell in response.context["rankings"][0]["rows"][1]["cells"]]


def _duration(milliseconds: int) -> str:
    from core.figures import duration

    return duration(milliseconds)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=-latency_p95_ms", ["zendesk", "slack", "No integration"]),
        ("sort=latency_p50_ms", ["No integration", "slack", "zendesk"]),
        ("sort=-errors", ["slack", "zendesk", "No integration"]),
        ("sort=name", ["No integration", "slack", "zendesk"]),
        ("member=bob%40acme.test", ["slack"]),
        ("model=odd-model", ["zendesk"]),
    ],
)
def test_sorting_and_filters(alice_client: Client, usage: None, query: str, expected: list[str]) -> None:
    assert labels(shown(alice_client, f"range=30d&{query}")) == expected


def test_one_service_by_itself(alice_client: Client, acme_api: Client, usage: None) -> None:
    url = shown(alice_client).context["rankings"][0]["rows"][0]["url"]
    response = alice_client.get(url)
    assert response.context["page"]["title"] == "slack"
    assert [ranking["title"] for ranking in response.context["rankings"]] == ["Models", "Members"]
    assert labels(response) == ["gpt-4o"]
    assert labels(response, 1) == ["Alice", "Bob"]
    told = asked(acme_api, integration="slack", group_by="model")
    assert response.context["rankings"][0]["rows"][0]["cells"][5]["text"] == _duration(
        told["data"][0]["latency_p95_ms"]
    )
    latency = response.context["charts"][1]
    assert latency["json"]["unit"] == "milliseconds"
    day = next(row for row in latency["table"]["rows"] if row["cells"][0] != "—")
    assert day["cells"][1] == _duration(told["totals"]["latency_p95_ms"])
    assert day["cells"][3] == "4.8%"


def test_the_day_that_is_not_over_is_joined_to_nothing(alice_client: Client, acme: Organization, usage: None) -> None:
    write(acme.pk, [make_event("today", now(), usage=USAGE, integration="slack", duration_ms=400)])
    stack, latency = (chart["json"] for chart in shown(alice_client).context["charts"])
    assert stack["running"] == {"at": len(stack["labels"]) - 1, "key": "Today so far"}
    line, ring = (next(s for s in latency["series"] if s["role"] == role) for role in ("line", "partial"))
    assert (line["data"][-1], ring["data"][-1]) == (None, pytest.approx(400, rel=0.06))
    assert set(ring["data"][:-1]) == {None}
    assert [s["key"] for s in latency["series"] if s["role"] == "partial"] == ["Today so far", "", ""]
    over = f"range=custom&from={now() - dt.timedelta(days=5):%Y-%m-%d}&to={now() - dt.timedelta(days=1):%Y-%m-%d}"
    stack, latency = (chart["json"] for chart in shown(alice_client, over).context["charts"])
    assert "running" not in stack
    assert {s["role"] for s in latency["series"]} == {"line"}


def test_the_files(alice_client: Client, acme_api: Client, usage: None) -> None:
    rows = list(csv.DictReader(io.StringIO(alice_client.get(f"{URL}list.csv?range=30d").content.decode())))
    assert [(row["integration"], row["requests"]) for row in rows] == [("slack", "21"), ("zendesk", "3"), ("", "1")]
    told = asked(acme_api, group_by="integration")["data"][0]
    assert rows[0]["latency_p95_ms"] == str(told["latency_p95_ms"])
    days = list(csv.DictReader(io.StringIO(alice_client.get(f"{URL}latency.csv?range=30d").content.decode())))
    assert sum(int(row["requests"]) for row in days) == 25


def test_where_connecting_begins(alice_client: Client, bob_client: Client, usage: None) -> None:
    assert [link["label"] for link in shown(alice_client).context["links"]] == ["Connect", "API keys", "Upstreams"]
    assert "Upstreams" not in [link["label"] for link in shown(bob_client).context["links"]]


def test_members_see_their_own(bob_client: Client, usage: None) -> None:
    response = shown(bob_client)
    assert labels(response) == ["slack"]
    assert response.context["rankings"][0]["rows"][0]["cells"][0]["text"] == "10"
    alone = bob_client.get(response.context["rankings"][0]["rows"][0]["url"])
    assert [ranking["title"] for ranking in alone.context["rankings"]] == ["Models"]


def test_refusals_and_nothing(alice_client: Client, charlie_client: Client, acme: Organization) -> None:
    page = shown(alice_client).content.decode()
    assert "No usage in this range" in page
    assert "/o/acme/connect/" in page
    for path in ("", "list.csv", "latency.csv"):
        assert charlie_client.get(f"{URL}{path}").status_code == 404
    write(acme.pk, [make_event("1", now())])
    for query in ("sort=color", "measure=input_cost"):
        assert alice_client.get(f"{URL}?{query}").status_code == 422


def test_queries_do_not_grow_with_rows(
    alice_client: Client, acme: Organization, usage: None, django_assert_max_num_queries: Any
) -> None:
    counts = []
    shown(alice_client)
    for number in range(2):
        for query in ("range=30d", "range=30d&integration=slack"):
            with django_assert_max_num_queries(120) as captured:
                shown(alice_client, query)
            counts.append(len(captured))
        write(
            acme.pk,
            [
                make_event(
                    f"{number}-{n}", now() - dt.timedelta(days=n % 9), f"m{n}", integration=f"s{n}", duration_ms=n
                )
                for n in range(20)
            ]
            + [make_event(f"s{number}-{n}", now(), f"m{n}", integration="slack", duration_ms=n) for n in range(20)],
        )
    assert counts[:2] == counts[2:]


def test_a_file_is_not_sorted_by_what_no_table_has(alice_client: Client, usage: None) -> None:
    for path in ("integrations/", "integrations/list.csv"):
        assert alice_client.get(f"/o/acme/{path}?range=7d&sort=zz").status_code == 422
