"""The comparison page: the API's figures, choices in the address, and nothing unknown told as 0."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape
from django.utils.timezone import now

from accounts.models import Organization, User
from core.figures import money
from core.money import usd_text
from metering.events import Usage
from tests.metering.query.priced_usage import set_prices, write_rated
from tests.metering.query.usage import make_event

URL = "/o/acme/costs/comparison"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    set_prices()
    at = now() - dt.timedelta(seconds=30)
    write_rated(
        acme.pk,
        [
            make_event("a", at, "plain", Usage(input=1_000, output=100), provider="openai", user=alice.email),
            make_event("v", at, "by-piece", Usage(input=10, audio_input=500), provider="openai", user=bob.email),
            make_event("odd", at, "odd-one", Usage(input=7), provider="openai"),
        ],
    )


def shown(client: Client, query: str = "with=openai/long", status: int = 200) -> Any:
    response = client.get(f"{URL}?range=7d&{query}")
    assert response.status_code == status, response.content[:500]
    return response


def test_figures_are_the_apis(alice_client: Client, acme_api: Client, usage: None) -> None:
    first = (now() - dt.timedelta(days=3)).date()
    asked = {
        "from": str(first),
        "to": str(first + dt.timedelta(days=5)),
        "with": "openai/long,openai/plain",
        "gpu_hour_usd": "3",
    }
    api = acme_api.get("/v1/usage/comparison", asked).json()
    context = shown(alice_client, "with=openai/long,openai/plain&gpu_hour_usd=3").context
    for card, same in zip(context["cards"], api["data"], strict=True):
        assert (card["label"], card["calls"], card["left_out_calls"]) == (
            same["target"], same["calls"], same["left_out_calls"],
        )  # fmt: skip
        assert (usd_text(card["cost"]), usd_text(card["now"])) == (same["would_cost_usd"], same["cost_usd"])
    assert usd_text(context["gpu"]["busy"]["cost"]) == api["gpu"]["would_cost_usd"]
    assert [row["label"] for row in context["rows"]] == [model["model"] for model in api["models"]]


def test_calls_without_a_rate_are_said(alice_client: Client, usage: None) -> None:
    response = shown(alice_client)
    (card,) = response.context["cards"]
    assert card["left_out"] == ["1 call: no rate for audio input"]
    rows = {row["label"]: row["replays"][0] for row in response.context["rows"]}
    assert (rows["by-piece"]["cost"], rows["by-piece"]["saved"]) == (None, None)
    assert rows["odd-one"]["cost"] is None
    assert "Without 1 call: no rate for audio input." in " ".join(response.content.decode().split())


def test_what_a_price_leaves_out_is_not_free(alice_client: Client, acme: Organization, usage: None) -> None:
    """A failed call costs nothing anywhere; that says nothing of what the sound would cost."""
    at = now() - dt.timedelta(seconds=30)
    write_rated(acme.pk, [make_event("failed", at, "by-piece", None, provider="openai", status="error")])
    response = shown(alice_client)
    context, text = response.context, " ".join(response.content.decode().split())
    cell = {row["label"]: row["replays"][0] for row in context["rows"]}["by-piece"]
    assert (cell["cost"], cell["saved"], cell["left_out_calls"]) == (None, None, 1)
    assert "no price for 1 call" in text
    (total,) = context["totals"]["replays"]
    assert total["now"] < context["totals"]["cost"]
    assert f"without 1 call; the others cost {escape(money(total['now'], 2))}" in text
    series = {one["label"]: one for one in context["chart"]["json"]["series"]}
    assert (series["by-piece"]["data"][1], series["by-piece"]["texts"][1]) == (None, "—")
    left_out = series["Left out, at its cost now"]
    assert left_out["slot"] == "unpriced"
    assert left_out["texts"] == ["—", money(context["totals"]["cost"] - total["now"])]
    assert context["chart"]["json"]["totals"][1].endswith(f" without calls of {left_out['texts'][1]}")


def test_what_to_compare_with_is_in_the_address(alice_client: Client, usage: None) -> None:
    context = shown(alice_client, "with=openai/long&with=openai/plain").context
    assert [target["label"] for target in context["choice"]["targets"]] == ["openai/long", "openai/plain"]
    context = alice_client.get(context["choice"]["targets"][0]["remove_url"]).context
    assert [target["label"] for target in context["choice"]["targets"]] == ["openai/plain"]
    context = alice_client.get(context["choice"]["targets"][0]["remove_url"]).context
    assert (context["choice"]["targets"], context["cards"]) == ([], [])
    # The usual ones have no price in this price list, and nobody asked for them.
    assert shown(alice_client, "").context["notices"] == []


def test_a_model_nobody_sells_is_said_beside_the_others(alice_client: Client, usage: None) -> None:
    context = shown(alice_client, "with=openai/long,nothing-like-it").context
    assert [notice["fact"] for notice in context["notices"]] == ["nothing-like-it has no price today."]
    assert len(context["cards"]) == 1


@pytest.mark.parametrize(
    "query", ["gpu_hour_usd=free", "gpus=0", "gpu_input_tokens_per_second=-1", "with=a,b,c,d,e,f,g"]
)
def test_assumptions_that_make_no_sense_are_refused(alice_client: Client, usage: None, query: str) -> None:
    assert "This view does not exist" in shown(alice_client, query, status=422).content.decode()


def test_the_file_has_every_model_and_target(alice_client: Client, usage: None) -> None:
    text = alice_client.get("/o/acme/costs/comparison.csv?range=7d&with=openai/long").content.decode()
    lines = text.splitlines()
    assert lines[0].startswith("model,provider,target,calls,cost_usd,would_cost_usd,saved_usd")
    assert len(lines) == 1 + 3 + 1 + 1
    assert lines[-1].startswith(",,GPUs,1,")


def test_a_member_compares_their_own(bob_client: Client, usage: None) -> None:
    assert [row["label"] for row in shown(bob_client).context["rows"]] == ["by-piece"]


def test_strangers_find_nothing_and_an_empty_range_says_so(
    alice_client: Client, charlie_client: Client, usage: None
) -> None:
    assert charlie_client.get(URL).status_code == 404
    assert "No usage in this range" in alice_client.get(f"{URL}?range=yesterday").content.decode()


def test_queries_do_not_grow_with_models(alice_client: Client, acme: Organization, usage: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client)
        return len(captured)

    shown(alice_client)
    few = count()
    at = now() - dt.timedelta(seconds=30)
    write_rated(acme.pk, [make_event(f"e{n}", at, f"model-{n}", Usage(input=1)) for n in range(60)])
    assert count() == few


def test_a_file_of_what_nobody_sells_is_refused(alice_client: Client, usage: None) -> None:
    assert alice_client.get("/o/acme/costs/comparison.csv?range=7d&with=openai/long,zz").status_code == 422
