"""The costs page: line by line, to the last digit the API's, and what is not known said."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from reports.costs import exact_money, exact_time
from tests.metering.query import priced_usage
from tests.metering.query.usage import make_event
from tests.reports.priced import set_prices, write_priced

URL = "/o/acme/costs/"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    set_prices()
    at = now() - dt.timedelta(seconds=30)
    write_priced(
        acme.pk,
        [
            make_event("a", at, "gpt-4o", Usage(input=3, cache_read=8, output=2), provider="openai", user=alice.email),
            make_event("b", at, "gpt-4o", Usage(input=1), provider="openai", user=bob.email, is_estimated=True),
            make_event("odd", at, "odd-model", Usage(input=7), user=alice.email),
            make_event("failed", at, "gpt-4o", None, provider="openai", status="error"),
        ],
    )


def shown(client: Client, query: str = "range=7d", status: int = 200) -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def test_lines_are_the_apis(alice_client: Client, acme_api: Client, usage: None) -> None:
    first = (now() - dt.timedelta(days=3)).date()
    api = acme_api.get(f"/v1/usage/costs?from={first}&to={first + dt.timedelta(days=5)}").json()
    context = shown(alice_client).context
    lines = [(model["label"], line["count"], line["state"]) for model in context["models"] for line in model["lines"]]
    assert lines == [(row["model"], row["count"], row["state"]) for row in api["data"]]
    amounts = [line["amount"] for model in context["models"] for line in model["lines"]]
    assert amounts == ["$0.000010000000004", "$0.00001", "$0.00002", None]
    assert [row["amount_usd"] for row in api["data"]] == ["0.000010000000004", "0.00001", "0.00002", None]
    assert context["sums"] == {
        "lines": "$0.000040000000004",
        "rounding": "−$0.000000000000004",
        "total": "$0.00004",
        "is_known": True,
    }
    assert api["total_cost_usd"] == "0.00004"


def test_kinds_and_states_are_said(alice_client: Client, usage: None) -> None:
    response = shown(alice_client)
    context, text = response.context, " ".join(response.content.decode().split())
    assert [(kind["label"], kind["amount"]) for kind in context["kinds"]] == [
        ("Input", "$0.000020000000004"),
        ("Output", "$0.00002"),
        ("Tools and units", "$0.00"),
    ]
    assert "1 estimated" in text
    assert "Unpriced" in text
    assert context["cards"][-1]["label"] == "This month so far"
    assert [card["label"] for card in shown(alice_client, "range=month").context["cards"]][-1] == "Tools and units"


def test_times_and_sums_of_models_are_exact(alice_client: Client, acme: Organization) -> None:
    """Count × rate is the amount, and the lines of a model sum to what stands above them."""
    priced_usage.set_prices()
    at = now() - dt.timedelta(seconds=30)
    usage = Usage(media_ms=4_160_900, input=7)
    priced_usage.write_rated(acme.pk, [make_event("speech", at, "by-piece", usage, provider="openai")])
    response = shown(alice_client)
    (model,) = response.context["models"]
    lines = {line["label"]: line for line in model["lines"]}
    hours = next(line for line in lines.values() if line["unit"] == "hour")
    assert hours["count_text"] == "1:09:20.9"
    assert "1:09:20.9" in response.content.decode()
    amounts = [Decimal(line["amount"].removeprefix("$")) for line in lines.values()]
    assert Decimal(model["amount"].removeprefix("$")) == sum(amounts)
    assert model["amount"] in response.content.decode()


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0:00:00"), (1, "0:00:00.001"), (60_500, "0:01:00.5"), (3_600_000_000, "1,000:00:00")],
)
def test_times_in_full(milliseconds: int, text: str) -> None:
    assert exact_time(milliseconds) == text


def test_the_file_sums_to_the_total(alice_client: Client, usage: None) -> None:
    text = alice_client.get("/o/acme/costs/lines.csv?range=7d").content.decode()
    header, *rows = [line.split(",") for line in text.splitlines()]
    assert header[-1] == "amount_usd"
    assert [row[-1] for row in rows] == ["0.000010000000004", "0.00001", "0.00002", "", "-0.000000000000004"]
    assert rows[-1][3] == "rounding"


def test_only_unpriced_usage_costs_nobody_knows_what(alice_client: Client, acme: Organization) -> None:
    write_priced(acme.pk, [make_event("odd", now() - dt.timedelta(seconds=30), "odd-model", Usage(input=7))])
    context = shown(alice_client).context
    assert not context["sums"]["is_known"]
    assert context["models"][0]["cost_nanos"] is None


def test_a_member_sees_their_own_lines(bob_client: Client, usage: None) -> None:
    context = shown(bob_client).context
    assert [(model["label"], model["requests"]) for model in context["models"]] == [("gpt-4o", 1)]


def test_filters_are_links_and_calls_are_one_click_away(alice_client: Client, usage: None) -> None:
    model = shown(alice_client).context["models"][0]
    assert [one["label"] for one in alice_client.get(model["url"]).context["models"]] == ["gpt-4o"]
    assert alice_client.get(model["calls_url"]).status_code == 200


def test_strangers_find_nothing_and_empty_and_wrong_views_say_so(
    alice_client: Client, charlie_client: Client, usage: None
) -> None:
    assert charlie_client.get(URL).status_code == 404
    assert charlie_client.get("/o/acme/costs/lines.csv").status_code == 404
    assert "No usage in this range" in shown(alice_client, "range=yesterday").content.decode()
    assert "There is no range" in shown(alice_client, "range=fortnight", status=422).content.decode()


@pytest.mark.parametrize(
    ("femtos", "text"), [(0, "$0.00"), (-4, "−$0.000000000000004"), (1_234_567 * 10**15 + 5 * 10**14, "$1,234,567.50")]
)
def test_amounts_have_every_digit(femtos: int, text: str) -> None:
    assert exact_money(femtos) == text


def test_queries_do_not_grow_with_models(alice_client: Client, acme: Organization, usage: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client)
        return len(captured)

    shown(alice_client)
    few = count()
    at = now() - dt.timedelta(seconds=30)
    write_priced(acme.pk, [make_event(f"e{n}", at, f"model-{n}", Usage(input=1)) for n in range(60)])
    assert count() == few
