"""Features and tools: the figures of the API by both, over time and as tables."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, User
from core.money import usd_text
from metering.events import Usage
from tests.metering.query.usage import make_event, write

URL = "/o/acme/usage/features"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(hours=1)
    made = [
        ("1", "chat", "web_search", 1_000, alice),
        ("2", "chat", None, 400, alice),
        ("3", "agents", "web_search", 300, bob),
        ("4", None, None, 200, bob),
    ]
    write(
        acme.pk,
        [
            make_event(name, at, usage=Usage(input=tokens), feature=feature, tool=tool, user=user.email)
            for name, feature, tool, tokens, user in made
        ],
    )
    write(acme.pk, [make_event("5", at, "odd-model", feature="analysis", status="error", user=alice.email)])


def shown(client: Client, query: str = "range=30d") -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == 200
    return response


def labels(response: Any, section: int = 0) -> list[str]:
    return [row["label"] for row in response.context["sections"][section]["ranking"]["rows"]]


def test_features_and_tools_have_the_figures_of_the_api(alice_client: Client, acme_api: Client, usage: None) -> None:
    response = shown(alice_client)
    assert labels(response) == ["chat", "agents", "No feature", "analysis"]
    assert labels(response, 1) == ["web_search", "No tool"]
    assert [(one["label"], one["count"]) for one in response.context["named"]] == [("Features", 3), ("Tools", 1)]
    assert [str(one["share"]) for one in response.context["named"]] == ["4/5", "2/5"]
    for section, name in zip(response.context["sections"], ("feature", "tool"), strict=True):
        told = acme_api.get("/v1/usage/query", {"interval": "none", "group_by": name}).json()
        for row, expected in zip(section["ranking"]["rows"], told["data"], strict=True):
            texts = [cell["text"] for cell in row["cells"]]
            assert texts[0] == f"{expected['requests']:,}"
            assert texts[1] == f"{expected['total_tokens']:,}"
            assert (texts[2] == "unpriced") == (expected["cost_usd"] is None)
        totals = response.context["summary"]
        assert usd_text(totals[1]["value"]) == told["totals"]["cost_usd"]
    assert "analysis" in response.content.decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name", ["agents", "analysis", "chat", "No feature"]),
        ("sort=-requests", ["chat", "agents", "No feature", "analysis"]),
        ("sort=-errors", ["analysis", "chat", "agents", "No feature"]),
        ("sort=cost_usd", ["analysis", "No feature", "agents", "chat"]),
        ("measure=requests", ["chat", "agents", "analysis", "No feature"]),
        ("tool=web_search", ["chat", "agents"]),
        ("feature=none", ["No feature"]),
    ],
)
def test_sorting_and_filters(alice_client: Client, usage: None, query: str, expected: list[str]) -> None:
    found = labels(shown(alice_client, f"range=30d&{query}"))
    assert found == expected or (query == "measure=requests" and set(found) == set(expected))


def test_a_row_leads_to_it_alone_and_each_table_to_its_file(alice_client: Client, usage: None) -> None:
    section = shown(alice_client).context["sections"][1]
    url = section["ranking"]["rows"][0]["url"]
    assert "tool=web_search" in url
    assert labels(alice_client.get(url)) == ["chat", "agents"]
    for address in (section["ranking"]["csv_url"], section["chart"]["csv_url"]):
        text = b"".join(alice_client.get(address).streaming_content).decode()  # type: ignore[attr-defined]
        assert "web_search" in text


def test_members_see_their_own(bob_client: Client, usage: None) -> None:
    assert labels(shown(bob_client)) == ["agents", "No feature"]


def test_refusals_and_nothing(alice_client: Client, charlie_client: Client, acme: Organization) -> None:
    assert "No usage in this range" in shown(alice_client).content.decode()
    assert charlie_client.get(URL).status_code == 404
    write(acme.pk, [make_event("1", now())])
    for query in ("sort=color", "measure=color"):
        response = alice_client.get(f"{URL}?{query}")
        assert response.status_code == 422
        assert "This view does not exist" in response.content.decode()


def test_queries_do_not_grow_with_rows(
    alice_client: Client, acme: Organization, usage: None, django_assert_max_num_queries: Any
) -> None:
    counts = []
    shown(alice_client)
    for number in range(2):
        with django_assert_max_num_queries(80) as captured:
            shown(alice_client)
        counts.append(len(captured))
        write(acme.pk, [make_event(f"{number}-{n}", now(), feature=f"f{n}", tool=f"t{n}") for n in range(30)])
    assert counts[0] == counts[1]
