"""The models page: how much hangs on which model, and what its tokens cost."""

from __future__ import annotations

import datetime as dt
import json
import re
from fractions import Fraction
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from metering.events import Usage
from metering.query.metrics import Figures
from reports.model_analytics import concentration, cost_of_thousand, tokens_per_dollar
from tests.metering.query.usage import make_event, write

URL = "/o/acme/models"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    events = [make_event(f"a{n}", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email) for n in range(3)]
    events += [make_event(f"b{n}", at, "claude", Usage(input=2000, output=50), user=bob.email) for n in range(2)]
    events += [make_event("c", at, "claude", Usage(input=10, output=5), user=alice.email, status="error")]
    events += [make_event("odd", at, "odd-model", Usage(input=7, output=0), user=alice.email)]
    events += [make_event("free", at, "free-model", Usage(input=8, output=0), user=alice.email)]
    write(acme.pk, events)


def shown(client: Client, query: str = "range=7d", status: int = 200) -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def test_concentration_is_the_top_share_and_the_sum_of_squared_shares() -> None:
    found = concentration([60, 20, 20])
    assert found
    assert (found.top, found.index) == (Fraction(3, 5), Fraction(44, 100))
    assert concentration([5] * 4).equals == 4  # type: ignore[union-attr]
    assert concentration([7]).index == 1  # type: ignore[union-attr]
    assert concentration([]) is None
    assert concentration([0, 0]) is None


def test_a_failed_call_gives_an_unpriced_model_no_price() -> None:
    failed_too = Figures(requests=2, errors=1, input=7, unpriced_requests=1, unpriced_tokens=7, free_requests=1)
    assert not failed_too.is_cost_known
    assert Figures(requests=1, errors=1, free_requests=1).cost_nanos == 0
    in_part = Figures(requests=2, input=9, unpriced_requests=1, unpriced_tokens=7, known_cost_nanos=3)
    assert in_part.cost_nanos == 3


def test_what_tokens_cost_is_of_the_tokens_that_have_a_price() -> None:
    figures = Figures(requests=3, input=3000, unpriced_requests=1, unpriced_tokens=1000, known_cost_nanos=5_000_001)
    assert cost_of_thousand(figures) == 2_500_000
    assert tokens_per_dollar(figures) == Fraction(2000 * 10**9, 5_000_001)
    unpriced = Figures(requests=1, input=10, unpriced_requests=1, unpriced_tokens=10)
    assert (cost_of_thousand(unpriced), tokens_per_dollar(unpriced)) == (None, None)
    free = Figures(requests=1, input=10, free_requests=1, free_tokens=10)
    assert (cost_of_thousand(free), tokens_per_dollar(free)) == (0, None)
    # Paid for by the hour: no token was bought for these dollars.
    hourly = Figures(requests=1, known_cost_nanos=6_000_000)
    assert (cost_of_thousand(hourly), tokens_per_dollar(hourly)) == (None, None)


@pytest.mark.parametrize("measure", ["cost", "tokens", "requests"])
def test_the_list_is_the_apis(alice_client: Client, acme_api: Client, usage: None, measure: str) -> None:
    metric = {"cost": "cost_usd", "tokens": "total_tokens", "requests": "requests"}[measure]
    first = (now() - dt.timedelta(days=2)).date()
    api = acme_api.get(
        f"/v1/usage/query?from={first}&to={first + dt.timedelta(days=4)}"
        f"&interval=none&group_by=model&order_by=-{metric}"
    ).json()
    context = shown(alice_client, f"range=7d&measure={measure}").context
    rows = context["ranking"]["rows"]
    assert [(row["label"], row["tokens"], row["requests"]) for row in rows] == [
        (row["group"]["model"], row["total_tokens"], row["requests"]) for row in api["data"]
    ]
    for row, same in zip(rows, api["data"], strict=True):
        expected = None if same["cost_usd"] is None else round(float(same["cost_usd"]) * 10**9)
        assert row["cost_nanos"] == expected
    total = context["cards"]["total"]["value"]
    assert total == (round(float(api["totals"]["cost_usd"]) * 10**9) if measure == "cost" else api["totals"][metric])


def test_cards_say_what_hangs_on_the_top_model(alice_client: Client, usage: None) -> None:
    cards = shown(alice_client, "range=7d&measure=tokens").context["cards"]
    values = [4115, 3300, 8, 7]
    assert cards["concentration"]["top"] == Fraction(4115, sum(values))
    assert cards["concentration"]["index"] == f"{sum(v * v for v in values) / sum(values) ** 2:.2f}"
    assert (cards["top"]["label"], cards["top"]["text"]) == ("claude", "4,115")
    assert cards["average"]["value"] == round(Fraction(sum(values), 4))


def test_unpriced_models_are_left_out_of_averages_and_never_free(alice_client: Client, usage: None) -> None:
    context = shown(alice_client).context
    rows = {row["label"]: row for row in context["ranking"]["rows"]}
    assert context["cards"]["unpriced"] == 1
    assert (rows["odd-model"]["cost_nanos"], rows["odd-model"]["thousand"]) == (None, "—")
    assert rows["odd-model"]["share"] is None
    assert (rows["free-model"]["cost_nanos"], rows["free-model"]["per_dollar"]) == (0, None)
    assert rows["claude"]["errors"] == Fraction(1, 3)


def test_the_area_draws_the_very_figures_of_its_table(alice_client: Client, usage: None) -> None:
    response = shown(alice_client, "range=7d&measure=tokens")
    found = re.search(r'id="models-over-time" type="application/json">(.*?)</script>', response.content.decode())
    assert found
    spec = json.loads(found[1])
    assert spec["kind"] == "area"
    running = next(series for series in spec["series"] if series.get("role") == "partial")
    # Today is not over: it is a ring, and no part of an area ends in it.
    assert running["texts"][-1] == "7,430"
    assert all(series["data"][-1] is None for series in spec["series"] if "role" not in series)
    assert response.context["chart"]["table"]["totals"][-1] == "7,430"


def test_a_row_filters(alice_client: Client, usage: None) -> None:
    row = next(row for row in shown(alice_client).context["ranking"]["rows"] if row["label"] == "gpt-4o")
    context = alice_client.get(row["url"]).context
    assert [row["label"] for row in context["ranking"]["rows"]] == ["gpt-4o"]
    assert context["notices"] == []


def test_a_single_model_is_said(alice_client: Client, acme: Organization) -> None:
    write(acme.pk, [make_event("only", now() - dt.timedelta(seconds=30))])
    response = shown(alice_client)
    assert "All of this usage is gpt-4o." in response.content.decode()
    assert "HHI 1.00 of 1: as concentrated as 1.0 equal model" in " ".join(response.content.decode().split())


def test_a_member_sees_their_own_models(bob_client: Client, usage: None) -> None:
    assert [row["label"] for row in shown(bob_client).context["ranking"]["rows"]] == ["claude"]


def test_strangers_find_nothing_and_empty_and_wrong_views_say_so(
    alice_client: Client, charlie_client: Client, usage: None
) -> None:
    assert charlie_client.get(URL).status_code == 404
    assert "No usage in this range" in shown(alice_client, "range=yesterday").content.decode()
    assert "There is no range" in shown(alice_client, "range=fortnight", status=422).content.decode()


def test_queries_do_not_grow_with_models(alice_client: Client, acme: Organization, usage: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client)
        return len(captured)

    shown(alice_client)
    few = count()
    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event(f"e{n}", at, f"model-{n}") for n in range(60)])
    assert count() == few
