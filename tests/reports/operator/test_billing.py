"""The operator says who bills, and enters tax rates; what a seller cannot be is refused in words."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization
from billing.invoices.lines import NoSellerError, parties_of
from billing.models import EnteredTaxRate, Seller
from core.tenancy import organization_scope

pytestmark = pytest.mark.django_db
PAGE, ADD = "/operator/billing/", "/operator/billing/rates/new/"
DAY = dt.date(2026, 11, 22)


def seller(**values: Any) -> dict[str, Any]:
    told = {
        "name": "Lumen Cloud GmbH", "street": "Hafenstraße 12", "postal_code": "20457", "city": "Hamburg",
        "country": "DE", "email": "billing@lumen.test", "tax_number": "de 136 695 976", "is_registered": "on",
        "payment_days": "30", **values,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def rate(**values: Any) -> dict[str, Any]:
    return {"country": "NO", "region": "", "name": "MVA", "percent": "25", "since": "2026-01-01", **values}


def label_in(organization: Organization, country: str, on: dt.date = DAY) -> str:
    with organization_scope(organization.pk):
        organization.country = country
        return parties_of(organization, on).treatment.label


@pytest.mark.parametrize("person", ["alice", "fiona", "charlie"])
def test_nobody_else_learns_that_it_exists(person: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    assert client.get(PAGE).status_code == client.post(PAGE, seller()).status_code == 404
    assert client.post(ADD, rate()).status_code == 404
    assert not Seller.objects.exists()
    assert not EnteredTaxRate.objects.exists()


def test_until_somebody_bills_nothing_is_billed(olga_client: Client, acme: Organization) -> None:
    assert b"Nobody bills for this installation yet" in olga_client.get(PAGE).content
    with pytest.raises(NoSellerError):
        label_in(acme, "DE")
    assert olga_client.post(PAGE, seller()).status_code == 302
    assert label_in(acme, "DE") == "VAT DE 19%"
    row = Seller.objects.get()
    assert (row.tax_number, row.payment_days, row.prices_include_tax) == ("DE136695976", 30, False)
    assert b"Lumen Cloud GmbH bills" in olga_client.get(PAGE).content


def test_it_is_one_row_however_often_it_is_saved(olga_client: Client) -> None:
    olga_client.post(PAGE, seller())
    olga_client.post(PAGE, seller(name="Another GmbH", prices_include_tax="on", is_registered=None, tax_number=""))
    row = Seller.objects.get()
    assert (row.pk, row.name, row.is_registered, row.prices_include_tax) == (1, "Another GmbH", False, True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tax_number": "DE136695975"}, "is not a VAT number of DE"),
        ({"tax_number": ""}, "state the number of who is registered"),
        ({"country": "FR"}, "is not a VAT number of FR"),
        ({"country": "XX"}, "Select a valid choice"),
        ({"name": ""}, "This field is required"),
        ({"payment_days": "-1"}, "greater than or equal to 0"),
        ({"is_registered": None, "uses_one_stop_shop": "on"}, "Only who is registered"),
    ],
)
def test_what_a_seller_cannot_be(olga_client: Client, values: dict[str, Any], words: str) -> None:
    answer = olga_client.post(PAGE, seller(**values))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Seller.objects.exists()


@pytest.mark.parametrize(
    ("country", "number", "kept"),
    [("US", "12-3456789", "12-3456789"), ("GB", "980 7806 84", "GB980780684"), ("MC", "40303265045", "FR40303265045")],
)
def test_numbers_by_country(olga_client: Client, country: str, number: str, kept: str) -> None:
    assert olga_client.post(PAGE, seller(country=country, tax_number=number)).status_code == 302
    assert Seller.objects.get().tax_number == kept


def test_a_rate_from_its_first_day_to_its_last(olga_client: Client, acme: Organization) -> None:
    olga_client.post(PAGE, seller())
    assert olga_client.post(ADD, rate(percent="8.125", region="osl")).status_code == 302
    assert olga_client.post(ADD, rate()).status_code == 302
    row = EnteredTaxRate.objects.get(region="")
    assert label_in(acme, "NO") == "MVA 25%"
    assert label_in(acme, "NO", dt.date(2025, 12, 31)) == "No tax"
    end = f"{PAGE}rates/{row.pk}/end/"
    page = olga_client.get(PAGE).content.decode()
    assert end in page
    assert "8.125%" in page
    assert "OSL" in page
    assert olga_client.post(end, {"until": "2026-01-01"}).status_code == 422, "it would never have held"
    assert olga_client.post(end, {"until": "2026-11-22"}).status_code == 302
    assert label_in(acme, "NO", dt.date(2026, 11, 21)) == "MVA 25%"
    assert label_in(acme, "NO") == "No tax"
    again = olga_client.post(end, {"until": "2026-12-01"})
    assert again.status_code == 422
    assert "has an end already" in again.content.decode()
    assert end not in olga_client.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"percent": "1.2345"}, "no more than 3 decimal places"),
        ({"percent": "100"}, "less than or equal to 99.999"),
        ({"percent": "-1"}, "greater than or equal to 0"),
        ({"percent": "NaN"}, "Enter a number"),
        ({"country": ""}, "This field is required"),
        ({"since": "soon"}, "Enter a valid date"),
    ],
)
def test_what_is_no_rate(olga_client: Client, values: dict[str, Any], words: str) -> None:
    answer = olga_client.post(ADD, rate(**values))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not EnteredTaxRate.objects.exists()


def test_two_rates_of_one_place_do_not_begin_together(olga_client: Client) -> None:
    olga_client.post(ADD, rate())
    answer = olga_client.post(ADD, rate(percent="26"))
    assert "begins on that day already" in answer.content.decode()
    assert olga_client.post(ADD, rate(percent="26", since="2027-01-01")).status_code == 302
    assert olga_client.get(f"{PAGE}rates/{2**31 - 1}/end/").status_code == 404
