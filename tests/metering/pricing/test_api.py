from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import RequestFactory

from accounts.audit import Actor
from accounts.models import Organization, Role, Scope
from metering.pricing import overrides
from metering.pricing.api import PricesView
from metering.pricing.catalogue import BEGINNING, ListedModel, Prices
from metering.pricing.sync import sync_prices
from tests.cast import Key, make_key
from tests.metering.pricing.prices import per_million, rate

ACTOR = Actor("alice@acme.test", Role.OWNER)
JUNE = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def prices(db: None) -> None:
    rates = (*per_million(input=2.5), rate("output", 10**9, tier="batch", window=(dt.time(1), dt.time(4)), note="half"))
    content = Prices(False, rates)
    sync_prices(
        [
            ListedModel("openai", model, frozenset({model}), ((BEGINNING, None, content),), "catalogue")
            for model in ("o8", "o9")
        ]
    )


def get(key: Key, **params: str) -> tuple[int, dict[str, Any]]:
    request = RequestFactory().get("/v1/prices", params, headers={"authorization": f"Bearer {key.secret}"})
    response = PricesView.as_view()(request)
    response.render()  # type: ignore[attr-defined]
    return response.status_code, json.loads(response.content)


def test_the_price_list(acme_key: Key) -> None:
    status, body = get(acme_key)
    assert status == 200
    assert [row["model"] for row in body["data"]] == ["o8", "o9"]
    assert body["data"][0]["rates"] == [
        {
            "bucket": "input",
            "usd": "2.5",
            "per": "million tokens",
            "service_tier": "standard",
            "above_tokens": 0,
            "daily_from": None,
            "daily_to": None,
            "note": "",
        },
        {
            "bucket": "output",
            "usd": "1",
            "per": "million tokens",
            "service_tier": "batch",
            "above_tokens": 0,
            "daily_from": "01:00",
            "daily_to": "04:00",
            "note": "half",
        },
    ]
    assert (body["data"][0]["valid_from"], body["data"][0]["valid_to"]) == ("2020-01-01T00:00:00Z", None)


def test_filters_and_pages(acme_key: Key) -> None:
    assert [row["model"] for row in get(acme_key, model="O9", provider="OpenAI")[1]["data"]] == ["o9"]
    assert get(acme_key, provider="anthropic")[1]["data"] == []
    first = get(acme_key, limit="1")[1]
    assert (len(first["data"]), first["has_more"]) == (1, True)
    assert [row["model"] for row in get(acme_key, limit="1", cursor=first["next_cursor"])[1]["data"]] == ["o9"]


def test_the_organizations_own_price_stands_in_the_lists_place(
    acme: Organization, acme_key: Key, globex_key: Key
) -> None:
    overrides.set_override(
        ACTOR, acme.id, provider="openai", model="o9", rates=[overrides.rate("input", Decimal(1))], valid_from=JUNE
    )
    overrides.set_custom_model(
        ACTOR, acme.id, model="llama", rates=[overrides.rate("input", Decimal(1))], valid_from=JUNE
    )
    kinds = {row["model"]: row["kind"] for row in get(acme_key)[1]["data"]}
    assert kinds == {"llama": "custom", "o8": "list", "o9": "override"}
    assert {row["kind"] for row in get(acme_key, at="2026-05-31")[1]["data"]} == {"list"}
    assert get(acme_key, at="2026-06-01T00:00:00Z", model="o9")[1]["data"][0]["kind"] == "override"
    assert {row["model"]: row["kind"] for row in get(globex_key)[1]["data"]} == {"o8": "list", "o9": "list"}


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-02-30T00:00:00Z"])
def test_a_moment_that_is_none(acme_key: Key, text: str) -> None:
    status, body = get(acme_key, at=text)
    assert (status, body["error"]["param"]) == (422, "at")


def test_a_key_without_the_scope(acme: Organization) -> None:
    assert get(make_key(acme, [Scope.USAGE_READ]))[0] == 403
