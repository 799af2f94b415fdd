"""/v1/credits and its entries."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization
from billing.credits import wallets
from tests.billing.plans import BY, on, subscribed

pytestmark = pytest.mark.django_db


def test_from_nothing_to_a_rule(acme: Organization, acme_api: Client) -> None:
    assert acme_api.get("/v1/credits").json() == {
        "credits_remaining": 0, "available_usd": "0", "balance_usd": "0", "unsettled_usd": "0", "low_below_usd": None,
        "is_low": False, "auto_top_up": None, "grants": [],
    }  # fmt: skip
    subscribed(acme, "prepaid", on("2026-11-02"))
    wallets.purchase(acme, 12_500_000_000, "pay_1", by=BY, note="Card 4242")
    body = {"low_below_usd": "20", "auto_top_up": {"below_usd": "10.5", "amount_usd": "100"}}
    told = acme_api.patch("/v1/credits", body, content_type="application/json").json()
    assert told["credits_remaining"] == 125_000
    assert told["low_below_usd"] == "20"
    assert told["is_low"]
    assert told["auto_top_up"] == {"below_usd": "10.5", "amount_usd": "100"}
    assert told["grants"] == [{"kind": "purchase", "left_usd": "12.5", "expires_at": None, "note": "Card 4242"}]
    told = acme_api.patch("/v1/credits", {"auto_top_up": None}, content_type="application/json").json()
    assert (told["low_below_usd"], told["auto_top_up"]) == ("20", None)
    page = acme_api.get("/v1/credits/entries", {"kind": "purchase", "limit": 1}).json()
    assert [(one["number"], one["amount_usd"], one["balance_usd"]) for one in page["data"]] == [(1, "12.5", "12.5")]
    assert acme_api.get("/v1/credits/entries", {"kind": "expiry"}).json()["data"] == []


@pytest.mark.parametrize("body", [{"low_below_usd": "-1"}, {"low_below_usd": "x"}, {"auto_top_up": {"below_usd": "1"}}])
def test_nonsense(acme_api: Client, body: dict[str, Any]) -> None:
    answer = acme_api.patch("/v1/credits", body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["error"]["param"]
