"""Which tax applies: who sells, who buys, where both are, and on which day.

Services delivered electronically, after Directive 2006/112/EC (articles 44, 58, 59c, 196) and its British counterpart;
elsewhere what the operator entered. docs/algorithms/tax.md has the table with examples.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec

from billing.tax.amounts import Tax, TaxCategory
from billing.tax.rates import EU, RATES, standard_rate, taxed_as, territory_of

_ZERO = Decimal(0)
REVERSE_CHARGE = "Reverse charge: the recipient is liable for the tax (article 196 of Directive 2006/112/EC)."
OUTSIDE = (
    "Outside the scope of the seller's value added tax: the place of supply is where the recipient is established."
)
NOT_REGISTERED = "The seller is not registered for tax in this place."


class Seller(msgspec.Struct, frozen=True):
    """`uses_one_stop_shop`: pays foreign consumers' tax in their countries, by the Union's or the non-Union scheme."""

    country: str
    is_registered: bool
    uses_one_stop_shop: bool = False


class Buyer(msgspec.Struct, frozen=True):
    """`is_confirmed_business`: its tax number was found in the register. `exemption`: the words of its certificate."""

    country: str
    postal_code: str = ""
    region: str = ""
    is_confirmed_business: bool = False
    exemption: str = ""


class EnteredRate(msgspec.Struct, frozen=True):
    """A rate the operator entered for a country, or for a region of it; `until` is the first day without it."""

    country: str
    region: str
    name: str
    percent: Decimal
    since: dt.date
    until: dt.date | None = None

    def holds(self, buyer: Buyer, day: dt.date) -> bool:
        is_here = self.country == buyer.country and self.region in ("", buyer.region)
        return is_here and self.since <= day and (self.until is None or day < self.until)


class Treatment(msgspec.Struct, frozen=True):
    """`label` stands beside the amount, `note` (may be empty) on the document: why no tax, or whose."""

    tax: Tax
    label: str
    note: str = ""


def treatment(seller: Seller, buyer: Buyer, day: dt.date, entered: tuple[EnteredRate, ...] = ()) -> Treatment:
    """How a sale on `day` is taxed. A rate entered for a region goes before its country's, both before the table."""
    if buyer.exemption:
        return Treatment(Tax(TaxCategory.EXEMPT, _ZERO), "Tax exempt", buyer.exemption)
    here = [rate for rate in entered if rate.holds(buyer, day)]
    if here:
        chosen = max(here, key=lambda rate: (bool(rate.region), rate.since))
        return Treatment(Tax(TaxCategory.STANDARD, chosen.percent), f"{chosen.name} {_percent(chosen.percent)}")
    if not seller.is_registered:
        return _outside(NOT_REGISTERED)
    country, postal_code = taxed_as(buyer.country, buyer.postal_code)
    if country not in RATES:
        return _outside(OUTSIDE)
    if country == taxed_as(seller.country, "")[0]:
        return _value_added_tax(country, postal_code, day)
    if not _is_reached(country, postal_code):
        return _outside(OUTSIDE)
    if buyer.is_confirmed_business:
        return _to_business(country)
    return _to_consumer(seller, country, postal_code, day)


def _to_business(country: str) -> Treatment:
    """The place of supply is the buyer's. Within reach of the Union's directive the buyer accounts for the tax."""
    if country in EU:
        return Treatment(Tax(TaxCategory.REVERSE_CHARGE, _ZERO), "Reverse charge", REVERSE_CHARGE)
    return _outside(OUTSIDE)


def _to_consumer(seller: Seller, country: str, postal_code: str, day: dt.date) -> Treatment:
    if country in EU and seller.uses_one_stop_shop:
        return _value_added_tax(country, postal_code, day)
    if country in EU and seller.country in EU:
        # Below the threshold of article 59c the seller's own rate applies to consumers of other member states.
        return _value_added_tax(seller.country, "", day)
    return _outside(OUTSIDE)


def _value_added_tax(country: str, postal_code: str, day: dt.date) -> Treatment:
    percent = standard_rate(country, day, postal_code)
    if percent is None:
        return _outside(OUTSIDE)
    return Treatment(Tax(TaxCategory.STANDARD, percent), f"VAT {country} {_percent(percent)}")


def _outside(note: str) -> Treatment:
    return Treatment(Tax(TaxCategory.OUTSIDE_SCOPE, _ZERO), "No tax", note)


def _is_reached(country: str, postal_code: str) -> bool:
    territory = territory_of(country, postal_code)
    return territory is None or territory.percent is not None


def _percent(percent: Decimal) -> str:
    return f"{percent.normalize():f}%"
