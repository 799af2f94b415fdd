"""The installation's price book: what is unpriced anywhere, and a price for all."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import unscoped
from metering.models import PriceVersion
from metering.pricing.book import PriceBook
from metering.pricing.sync import sync_prices
from metering.pricing.used import price_of
from tests.reports.priced import set_prices

pytestmark = pytest.mark.django_db
PRICES, SET = "/operator/prices/", "/operator/prices/set/"


def form(**values: Any) -> dict[str, Any]:
    start = (now() - dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    return {"model": "odd-one", "how": "tokens", "valid_from": start, "rate_input": "1", "rate_output": "2", **values}


@pytest.mark.parametrize("person", ["alice", "fiona", "charlie"])
def test_nobody_else_learns_that_it_exists(person: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    assert {client.get(one).status_code for one in (PRICES, SET, f"{PRICES}model/?model=gpt-4o")} == {404}
    assert client.post(SET, form()).status_code == client.post(f"{PRICES}sync/").status_code == 404


def test_what_is_used_and_unpriced_anywhere(olga_client: Client, usage: None) -> None:
    (row,) = olga_client.get(PRICES).context["unpriced"]
    assert (row["model"], row["provider"], row["organizations"]) == ("odd-one", None, 1)
    assert row["figures"].unpriced_requests == 1


def test_a_price_for_all_holds_everywhere_whichever_provider(
    olga_client: Client, acme: Organization, globex: Organization
) -> None:
    assert olga_client.post(SET, form()).status_code == 302
    book = PriceBook.load()
    for organization in (acme, globex):
        for provider in (None, "own", "openai"):
            version, rule = price_of(book, organization.pk, provider, "odd-one", now())
            assert version is not None
            assert (version.source, rule) == ("operator olga@operator.test", "of any provider")


def test_with_a_provider_it_is_that_ones(olga_client: Client, acme: Organization) -> None:
    olga_client.post(SET, form(provider="own"))
    book = PriceBook.load()
    assert price_of(book, acme.pk, "own", "odd-one", now())[0] is not None
    assert price_of(book, acme.pk, "other", "odd-one", now())[0] is None


def test_a_second_price_ends_the_first_and_both_stay(olga_client: Client) -> None:
    olga_client.post(SET, form())
    later = (now() - dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    olga_client.post(SET, form(valid_from=later, rate_input="3"))
    rows = olga_client.get(f"{PRICES}model/", {"model": "odd-one", "provider": ""}).context["rows"]
    assert [row["version"].valid_to is None for row in rows] == [True, False]
    assert rows[0]["rates"][0].usd == "3"


def test_the_catalogues_prices_are_not_overwritten(olga_client: Client) -> None:
    set_prices()
    response = olga_client.post(SET, form(model="gpt-4o", provider="openai"))
    assert response.status_code == 422
    assert b"The catalogue keeps the price of this model" in response.content
    assert olga_client.get(f"{PRICES}model/", {"model": "gpt-4o", "provider": "openai"}).context["set_url"] is None


def test_no_price_is_refused(olga_client: Client) -> None:
    response = olga_client.post(SET, form(rate_input="", rate_output=""))
    assert response.status_code == 422
    with unscoped("test"):
        assert not PriceVersion.objects.exists()


def test_an_organizations_own_price_is_untouched(olga_client: Client, alice_client: Client, acme: Organization) -> None:
    alice_client.post("/o/acme/settings/prices/set/", form(rate_input="7"))
    olga_client.post(SET, form())
    version, rule = price_of(PriceBook.load(), acme.pk, None, "odd-one", now())
    assert version is not None
    assert (version.kind, version.valid_to, rule) == ("custom", None, "custom")


def test_list_prices_are_searched(olga_client: Client) -> None:
    set_prices()
    assert [row["version"].model for row in olga_client.get(PRICES, {"q": "GPT"}).context["rows"]] == ["gpt-4o"]
    assert b"No list price matches" in olga_client.get(PRICES, {"q": "nothing"}).content
    assert olga_client.get(f"{PRICES}model/", {"model": "nothing"}).status_code == 404


def test_a_sync_keeps_the_operators_prices(olga_client: Client, acme: Organization) -> None:
    olga_client.post(SET, form())
    sync_prices([])
    assert price_of(PriceBook.load(), acme.pk, None, "odd-one", now())[0] is not None


@pytest.mark.parametrize("page", ["99999", "0", "-1", "x"])
def test_a_page_there_is_not_is_refused(olga_client: Client, page: str) -> None:
    assert olga_client.get("/operator/prices/", {"page": page}).status_code == 422


def test_an_undated_price_is_said_to_be_always(olga_client: Client) -> None:
    set_prices()
    olga_client.post(SET, form())
    rows = {row["version"].model: row for row in olga_client.get(PRICES).context["rows"]}
    assert (rows["gpt-4o"]["is_from_the_beginning"], rows["odd-one"]["is_from_the_beginning"]) == (True, False)
    assert "always" in olga_client.get(f"{PRICES}model/", {"model": "gpt-4o", "provider": "openai"}).content.decode()
