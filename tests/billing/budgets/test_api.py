"""/v1/budgets and its suggestions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization, Project, Team, User
from billing.budgets.reach import Reach
from billing.budgets.records import create_budget
from billing.models import Budget
from core.tenancy import organization_scope
from metering.events import Usage
from tests.billing.plans import BY
from tests.metering.query.usage import make_event, write

pytestmark = pytest.mark.django_db


def make_budget(organization: Organization, team: int) -> Budget:
    return create_budget(organization, {"scope": "team", "ref": team, "amount": 10**10}, Reach.whole(), by=BY)


def test_a_budget_from_its_making_to_its_end(acme_api: Client, search: Team, alice: User) -> None:
    made = acme_api.post(
        "/v1/budgets",
        {"scope": "team", "of": "search", "amount_usd": "450", "owner": alice.email, "is_hard": True},
        content_type="application/json",
    )
    assert made.status_code == 201
    told = made.json()
    assert (told["of"], told["label"], told["amount_usd"], told["owner"]) == ("search", "Search", "450", alice.email)
    assert told["thresholds"][0] == {"percent": 75, "name": "warning"}
    assert told["actual"]["used_percent"] == 0.0
    address = f"/v1/budgets/{told['id']}"
    assert acme_api.get("/v1/budgets").json()["data"] == [acme_api.get(address).json()]
    changed = acme_api.patch(
        address,
        {"amount_tokens": 5_000, "thresholds": [{"percent": 50, "name": "half"}]},
        content_type="application/json",
    ).json()
    assert (changed["amount_usd"], changed["amount_tokens"]) == (None, 5_000)
    assert changed["thresholds"] == [{"percent": 50, "name": "half"}]
    assert acme_api.delete(address).status_code == 204
    assert acme_api.get(address).status_code == 404
    assert acme_api.get("/v1/budgets").json() == {"data": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scope": "organization"},
        {"scope": "team", "amount_usd": "1"},
        {"scope": "team", "of": "nobody", "amount_usd": "1"},
        {"scope": "organization", "amount_usd": "1", "amount_tokens": 1},
        {"scope": "organization", "amount_usd": "-1"},
        {"scope": "organization", "amount_usd": "0.0000000001"},
        {"scope": "organization", "amount_tokens": 2**63},
        {"scope": "organization", "amount_usd": "1", "thresholds": [{"percent": "x", "name": "y"}]},
        {"scope": "organization", "amount_usd": "1", "owner": "nobody@acme.test"},
        {"scope": "organization", "amount_usd": "1", "period": "custom"},
        {"scope": "organization", "amount_usd": "1", "model": "a\0b"},
        {"scope": "organization", "amount_usd": "1", "of": "search"},
        {"scope": "team", "amount_usd": "1", "of": "a\0b"},
    ],
)
def test_nonsense(acme_api: Client, body: dict[str, Any]) -> None:
    answer = acme_api.post("/v1/budgets", body, content_type="application/json")
    assert answer.status_code == 422, answer.content
    assert answer.json()["error"]["param"]


def test_the_culprit_is_named_as_it_was_sent(acme_api: Client) -> None:
    body = {"scope": "organization", "amount_usd": "1"}
    made = acme_api.post("/v1/budgets", body, content_type="application/json").json()["id"]
    for fields, param in (
        ({"amount_usd": "0"}, "amount_usd"),
        ({"amount_usd": None, "amount_tokens": -1}, "amount_tokens"),
        ({"ammount_usd": "5"}, "ammount_usd"),
        ({"of": "search"}, "of"),
    ):
        for answer in (
            acme_api.post("/v1/budgets", {**body, **fields}, content_type="application/json"),
            acme_api.patch(f"/v1/budgets/{made}", fields, content_type="application/json"),
        ):
            assert answer.status_code == 422, answer.content
            assert answer.json()["error"]["param"] == param


def test_suggestions(acme_api: Client) -> None:
    assert acme_api.get("/v1/budgets/suggestions").json() == {"data": []}
    assert acme_api.get("/v1/budgets/suggestions", {"scope": "planet"}).status_code == 422


def test_the_figures_are_the_query_apis(acme: Organization, acme_api: Client, website: Project, search: Team) -> None:
    write(acme.pk, [make_event("a", dt.datetime.now(dt.UTC), usage=Usage(input=123, output=7), project="website")])
    make_budget(acme, search.pk)
    told = acme_api.get("/v1/budgets").json()["data"][0]["actual"]
    asked = {"from": told["starts_on"], "team": "search", "interval": "none"}
    totals = acme_api.get("/v1/usage/query", asked).json()["totals"]
    assert (told["tokens"], told["cost_usd"]) == (totals["total_tokens"], totals["cost_usd"])


def test_of_something_deleted(acme: Organization, acme_api: Client) -> None:
    with organization_scope(acme.pk):
        team = Team.objects.create(organization=acme, name="Gone", slug="gone")
        one = make_budget(acme, team.pk)
        team.delete()
    told = acme_api.get(f"/v1/budgets/{one.pk}").json()
    assert told["label"] is None
