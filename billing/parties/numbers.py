"""The form a tax number must have, by where whose number it is."""

from __future__ import annotations

from billing.tax.rates import EU, RATES, taxed_as
from billing.tax.vat_numbers import normalized, prefix_of
from core.errors import ApiError


def has_value_added_tax(country: str) -> bool:
    """Of the kind this product knows numbers of: the Union's and the United Kingdom's."""
    return taxed_as(country, "")[0] in RATES


def tax_number_of(number: str, country: str) -> str:
    """As it is kept: a VAT number in its full form ("DE136695976"), others as typed. Raises ApiError 422."""
    if not number or not has_value_added_tax(country):
        return number
    try:
        return normalized(number, taxed_as(country, "")[0])
    except ValueError as wrong:
        raise ApiError(422, "invalid_parameter", f"{wrong}.", param="tax_number") from wrong


def is_of(number: str, country: str) -> bool:
    """Whether the number is one of that country: who moves has another. Others than VAT numbers do not tell."""
    return not has_value_added_tax(country) or number.startswith(prefix_of(taxed_as(country, "")[0]))


def is_registered_in_union(country: str) -> bool:
    """Whether the Commission's register has the numbers of that country."""
    return taxed_as(country, "")[0] in EU
