"""Token usage, efficiency and patterns as pages: the API's figures, their own links, whoever looks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from tests.metering.query.usage import make_event, write

PAGES = ("tokens", "efficiency", "patterns")


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    events = [
        make_event(
            f"a{n}", at, "gpt-4o", Usage(input=800, cache_read=200, output=100, reasoning=10), user=alice.email,
            endpoint="/v1/chat/completions", feature="chat",
        )
        for n in range(3)
    ]  # fmt: skip
    events.append(make_event("b", at, "claude", Usage(input=50), user=bob.email, endpoint="/v1/messages"))
    events.append(make_event("c", at, "claude", Usage(input=50, output=60), user=bob.email, status="error"))
    write(acme.pk, events)


def shown(client: Client, page: str, query: str = "range=7d", status: int = 200) -> Any:
    response = client.get(f"/o/acme/usage/{page}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def first_day() -> dt.date:
    return (now() - dt.timedelta(days=3)).date()


def test_tokens_are_the_apis(alice_client: Client, acme_api: Client, usage: None) -> None:
    api = acme_api.get(
        f"/v1/usage/query?from={first_day()}&to={first_day() + dt.timedelta(days=5)}&interval=none&group_by=endpoint"
    ).json()
    context = shown(alice_client, "tokens", "range=7d&by=endpoint").context
    assert [
        (row["total"], row["prompt"], row["completion"], row["cache_read"]) for row in context["ranking"]["rows"]
    ] == [
        (row["total_tokens"], row["prompt_tokens"], row["completion_tokens"], row["cache_read"]) for row in api["data"]
    ]
    assert context["ranking"]["totals"]["total"] == api["totals"]["total_tokens"]
    kinds = {kind["label"]: kind["tokens"] for kind in context["kinds"]}
    assert kinds == {"Input": 2500, "Cache read": 600, "Output": 360, "Reasoning": 30}
    assert sum(kinds.values()) == api["totals"]["total_tokens"]


def test_cost_and_count_over_time_have_the_same_parts(alice_client: Client, usage: None) -> None:
    context = shown(alice_client, "tokens", "range=7d&measure=requests").context
    assert context["cost"]["title"] == "Cost by day and model"
    assert context["count"]["title"] == "Requests by day and model"
    assert context["count"]["table"]["totals"][-1] == "5"
    file = alice_client.get("/o/acme/usage/tokens.csv?range=7d&by=endpoint")
    lines = b"".join(file.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0].startswith("endpoint,requests,total_tokens,prompt_tokens,completion_tokens,input,cache_read")
    assert any(line.startswith("/v1/chat/completions,3,3330,3000,330,2400,600") for line in lines)


def test_efficiency_is_the_apis(alice_client: Client, acme_api: Client, usage: None) -> None:
    asked = {"from": str(first_day()), "to": str(first_day() + dt.timedelta(days=5))}
    api = acme_api.get("/v1/usage/efficiency", asked).json()
    context = shown(alice_client, "efficiency").context
    assert [(row["label"], row["requests"]) for row in context["rows"]] == [
        (row["value"], row["measured"]["requests"]) for row in api["data"]
    ]
    assert [cell["meets"] for cell in context["indicators"]] == [
        one["meets"] for one in api["totals"]["indicators"].values()
    ]
    empty = context["indicators"][2]
    assert (empty["text"], empty["word"], empty["target"]) == ("25.0%", "Above", "under 1%")
    assert context["indicators"][0]["target"] == "1.5× to 3×"


def test_an_indicator_is_chosen_by_its_link_and_rows_lead_to_calls(alice_client: Client, usage: None) -> None:
    context = shown(alice_client, "efficiency").context
    chosen = alice_client.get(context["indicators"][1]["url"]).context
    assert chosen["chart"]["title"] == "Tokens per request by day"
    assert [mark["y"] for mark in chosen["chart"]["json"]["marks"]] == [1000.0]
    assert alice_client.get(context["rows"][0]["calls_url"]).status_code == 200
    assert [row["label"] for row in alice_client.get(context["rows"][0]["url"]).context["rows"]] == ["gpt-4o"]


def test_patterns_are_the_apis(alice_client: Client, acme_api: Client, usage: None) -> None:
    asked = {"from": str(first_day()), "to": str(first_day() + dt.timedelta(days=5))}
    api = acme_api.get("/v1/usage/patterns", asked).json()
    context = shown(alice_client, "patterns").context
    assert [change["value"] for change in context["changes"]] == [int(one["value"]) for one in api["changes"]]
    assert len(context["heat"]["rows"]) == 7
    assert all(len(row["cells"]) == 24 for row in context["heat"]["rows"])
    # The table has the same cells, an hour a row.
    table = context["heat"]["table"]
    assert [row["label"] for row in table["rows"]][::23] == ["00:00", "23:00"]
    assert [list(day) for day in zip(*(row["cells"] for row in table["rows"]), strict=True)] == [
        [cell["text"] for cell in row["cells"]] for row in context["heat"]["rows"]
    ]
    (day,) = [row for row in context["busy"][2]["rows"] if row["text"] == "3,490"]
    assert alice_client.get(day["url"]).status_code == 200
    lines = alice_client.get("/o/acme/usage/patterns.csv?range=7d").content.decode().splitlines()
    assert len(lines) == 169


@pytest.mark.parametrize(
    ("page", "query"), [("tokens", "by=chat"), ("efficiency", "by=status"), ("patterns", "measure=mood")]
)
def test_what_makes_no_sense_is_refused(alice_client: Client, usage: None, page: str, query: str) -> None:
    assert "This view does not exist" in shown(alice_client, page, query, status=422).content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_a_member_sees_their_own(bob_client: Client, usage: None, page: str) -> None:
    assert shown(bob_client, page).context["proof"]["events"] == 2


@pytest.mark.parametrize("page", ["tokens", "efficiency"])
def test_a_role_without_keys_sees_no_keys(vera_client: Client, usage: None, page: str) -> None:
    assert shown(vera_client, page, "by=api_key", status=403)


@pytest.mark.parametrize("page", PAGES)
def test_strangers_find_nothing_and_an_empty_range_says_so(
    alice_client: Client, charlie_client: Client, usage: None, page: str
) -> None:
    assert charlie_client.get(f"/o/acme/usage/{page}").status_code == 404
    assert "No usage in this range" in shown(alice_client, page, "range=yesterday").content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_queries_do_not_grow_with_models(alice_client: Client, acme: Organization, usage: None, page: str) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client, page)
        return len(captured)

    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event(f"d{n}", at, f"other-{n}") for n in range(12)])
    shown(alice_client, page)
    few = count()
    write(acme.pk, [make_event(f"e{n}", at, f"model-{n}") for n in range(60)])
    assert count() == few
