"""/v1/insights: lists, evidence to its end, and what is done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization
from core.tenancy import organization_scope
from tests.cast import make_key
from tests.reports.advice.making import make_insight

pytestmark = pytest.mark.django_db
URL = "/v1/insights"


def test_lists_go_by_the_newest_and_take_filters(acme: Organization, acme_api: Client) -> None:
    with organization_scope(acme.pk):
        made = [make_insight(acme, f"Number {number}") for number in range(3)]
    first = acme_api.get(URL, {"limit": 2}).json()
    assert [one["title"] for one in first["data"]] == ["Number 2", "Number 1"]
    rest = acme_api.get(URL, {"limit": 2, "cursor": first["next_cursor"]}).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([made[0].pk], False)
    acme_api.post(f"{URL}/{made[1].pk}/dismiss", {"reason": "No."}, "application/json")
    assert [one["id"] for one in acme_api.get(URL, {"state": "dismissed"}).json()["data"]] == [made[1].pk]
    assert acme_api.get(URL, {"kind": "batch_tier"}).json()["data"] == []
    for name in ("state", "kind"):
        error = acme_api.get(URL, {name: "odd"})
        assert (error.status_code, error.json()["error"]["param"]) == (422, name)


def test_evidence_sums_to_what_is_stated(acme: Organization, acme_api: Client) -> None:
    with organization_scope(acme.pk):
        insight = make_insight(acme, pieces=7)
    stated = acme_api.get(f"{URL}/{insight.pk}").json()
    assert stated["savings"] == {
        "low_usd": "0", "likely_usd": "0.000014", "high_usd": "0.0000175", "share": 0.2,
    }  # fmt: skip
    pieces: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next_cursor": None, "has_more": True}
    while page["has_more"]:
        given = {"limit": 3} | ({"cursor": page["next_cursor"]} if page["next_cursor"] else {})
        page = acme_api.get(f"{URL}/{insight.pk}/evidence", given).json()
        pieces += page["data"]
    assert [one["id"] for one in pieces] == [f"Something-{number}" for number in range(7)]
    for name, of in (("cost_usd", stated["evidence"]), ("would_cost_usd", stated["evidence"])):
        assert sum(Decimal(one[name]) for one in pieces) == Decimal(of[name])
    assert sum(Decimal(one["saved_usd"]) for one in pieces) == Decimal(stated["savings"]["likely_usd"])
    assert acme_api.get(f"{URL}/{insight.pk}/evidence", {"cursor": "WyJ4Il0"}).status_code in (400, 422)


def test_acts_answer_with_what_became_of_it(acme: Organization, acme_api: Client) -> None:
    with organization_scope(acme.pk):
        insight = make_insight(acme)
    done = acme_api.post(f"{URL}/{insight.pk}/done").json()
    assert (done["state"], done["settled_by"][:4]) == ("done", "key ")
    assert (done["realized"]["before_units"], done["realized"]["realized_usd"]) == (0, None)
    again = acme_api.post(f"{URL}/{insight.pk}/dismiss", {"reason": ""}, "application/json")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "insight_not_open")
    assert acme_api.post(f"{URL}/{insight.pk}/reopen").json()["realized"] is None
    long = acme_api.post(f"{URL}/{insight.pk}/dismiss", {"reason": "x" * 501}, "application/json")
    assert long.status_code == 422


def test_keys_see_what_their_scopes_are_for(acme: Organization) -> None:
    with organization_scope(acme.pk):
        for kind in ("model_switch", "plan_fit", "idle_keys"):
            make_insight(acme, kind, kind=kind)

    def kinds(*scopes: str) -> set[str]:
        found = make_key(acme, list(scopes)).client.get(URL).json()["data"]
        return {one["kind"] for one in found}

    assert kinds("usage:read") == {"model_switch"}
    assert kinds("usage:read", "billing:read") == {"model_switch", "plan_fit"}
    assert kinds("admin") == {"model_switch", "plan_fit", "idle_keys"}


def test_another_organizations_are_not_there(acme: Organization, globex: Organization, globex_api: Client) -> None:
    with organization_scope(acme.pk):
        insight = make_insight(acme)
    assert globex_api.get(URL).json()["data"] == []
    for path in ("", "/evidence"):
        assert globex_api.get(f"{URL}/{insight.pk}{path}").status_code == 404
    assert globex_api.post(f"{URL}/{insight.pk}/done").status_code == 404
