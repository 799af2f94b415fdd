"""Who owes which tax: each row of the table in docs/algorithms/tax.md, and what lies beside it."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest

from billing.tax.amounts import TaxCategory
from billing.tax.rates import EU, RATES, RateUnknownError, standard_rate
from billing.tax.treatment import Buyer, EnteredRate, Seller, treatment

DAY = dt.date(2026, 11, 22)
GERMAN = Seller("DE", is_registered=True, uses_one_stop_shop=True)
SMALL_GERMAN = Seller("DE", is_registered=True)
BRITISH = Seller("GB", is_registered=True)
AMERICAN = Seller("US", is_registered=False)
NEW_YORK = EnteredRate("US", "NY", "NY sales tax", Decimal("8.875"), dt.date(2025, 1, 1))

S, AE, E, O = (  # noqa: E741
    TaxCategory.STANDARD,
    TaxCategory.REVERSE_CHARGE,
    TaxCategory.EXEMPT,
    TaxCategory.OUTSIDE_SCOPE,
)


@pytest.mark.parametrize(
    ("seller", "buyer", "category", "percent"),
    [
        (GERMAN, Buyer("DE"), S, "19"),
        (GERMAN, Buyer("DE", is_confirmed_business=True), S, "19"),
        (GERMAN, Buyer("FR", is_confirmed_business=True), AE, "0"),
        (GERMAN, Buyer("FR"), S, "20"),
        (GERMAN, Buyer("FI"), S, "25.5"),
        (SMALL_GERMAN, Buyer("FR"), S, "19"),
        (GERMAN, Buyer("MC"), S, "20"),
        (GERMAN, Buyer("RE"), S, "8.5"),
        (GERMAN, Buyer("PT", "9000-039"), S, "22"),
        (GERMAN, Buyer("PT", "1000-001"), S, "23"),
        (GERMAN, Buyer("ES", "35001"), O, "0"),
        (GERMAN, Buyer("ES", "35001", is_confirmed_business=True), O, "0"),
        (GERMAN, Buyer("DE", "27498"), O, "0"),
        (GERMAN, Buyer("US"), O, "0"),
        (GERMAN, Buyer("CH", is_confirmed_business=True), O, "0"),
        (GERMAN, Buyer("GB"), O, "0"),
        (BRITISH, Buyer("GB"), S, "20"),
        (BRITISH, Buyer("IM"), S, "20"),
        (BRITISH, Buyer("DE", is_confirmed_business=True), AE, "0"),
        (BRITISH, Buyer("DE"), O, "0"),
        (Seller("GB", is_registered=True, uses_one_stop_shop=True), Buyer("DE"), S, "19"),
        (AMERICAN, Buyer("DE"), O, "0"),
        (GERMAN, Buyer("DE", exemption="Certificate 17"), E, "0"),
    ],
)
def test_treatments(seller: Seller, buyer: Buyer, category: TaxCategory, percent: str) -> None:
    found = treatment(seller, buyer, DAY)
    assert (found.tax.category, found.tax.percent) == (category, Decimal(percent))
    assert bool(found.note) == (category is not S), "what is not taxed says why"


@pytest.mark.parametrize(
    ("buyer", "day", "label"),
    [
        (Buyer("US", region="NY"), DAY, "NY sales tax 8.875%"),
        (Buyer("US", region="OR"), DAY, "No tax"),
        (Buyer("US", region="NY"), dt.date(2024, 12, 31), "No tax"),
    ],
)
def test_rates_of_the_operator(buyer: Buyer, day: dt.date, label: str) -> None:
    assert treatment(AMERICAN, buyer, day, (NEW_YORK,)).label == label


def test_a_region_goes_before_its_country_and_ends_on_its_day() -> None:
    country = EnteredRate("CA", "", "GST", Decimal(5), dt.date(2020, 1, 1))
    region = EnteredRate("CA", "ON", "HST", Decimal(13), dt.date(2020, 1, 1), dt.date(2026, 1, 1))
    ontario = Buyer("CA", region="ON")
    assert treatment(AMERICAN, ontario, dt.date(2025, 12, 31), (country, region)).label == "HST 13%"
    assert treatment(AMERICAN, ontario, dt.date(2026, 1, 1), (country, region)).label == "GST 5%"


@pytest.mark.parametrize(
    ("country", "day", "percent"),
    [
        ("DE", "2020-06-30", "19"),
        ("DE", "2020-07-01", "16"),
        ("DE", "2020-12-31", "16"),
        ("DE", "2021-01-01", "19"),
        ("EE", "2025-06-30", "22"),
        ("EE", "2025-07-01", "24"),
        ("RO", "2025-08-01", "21"),
    ],
)
def test_a_rate_holds_from_its_day(country: str, day: str, percent: str) -> None:
    assert standard_rate(country, dt.date.fromisoformat(day)) == Decimal(percent)


@pytest.mark.parametrize(("country", "day"), [("US", DAY), ("DE", dt.date(2014, 12, 31))])
def test_unknown_rates_are_said_to_be(country: str, day: dt.date) -> None:
    with pytest.raises(RateUnknownError):
        standard_rate(country, day)


def test_every_member_state_has_a_rate() -> None:
    assert len(EU) == 27
    assert all(standard_rate(country, DAY) for country in RATES)


RECORDED = Path(__file__).resolve().parents[4] / "shared/data/vat/vat-rates.json"


@pytest.mark.skipif(not RECORDED.exists(), reason="the published rates are not beside the repository")
def test_the_table_is_the_published_one() -> None:
    published = json.loads(RECORDED.read_text())["items"]
    assert set(published) == set(RATES)
    for country, periods in published.items():
        for period in periods:
            if period["effective_from"] >= "2015":
                day = dt.date.fromisoformat(period["effective_from"])
                assert standard_rate(country, day) == Decimal(str(period["rates"]["standard"])), (country, day)
