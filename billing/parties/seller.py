"""Who bills for this installation, and the rates of taxes that the product has no table of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction

from billing.models import EnteredTaxRate, Seller
from billing.parties.numbers import has_value_added_tax, tax_number_of
from core.errors import ApiError

logger = structlog.get_logger(__name__)


def set_seller(values: Mapping[str, Any], *, by: str) -> Seller:
    """Every field of the one row, for the invoices to come; those stated keep their copy. Raises ApiError 422.

    `by` is the operator's e-mail address, for the log of the installation.
    """
    number = tax_number_of(values["tax_number"], values["country"])
    if values["is_registered"] and not number and has_value_added_tax(values["country"]):
        raise _refused("tax_number", "Invoices with value added tax state the number of who is registered for it.")
    if values["uses_one_stop_shop"] and not values["is_registered"]:
        raise _refused("uses_one_stop_shop", "Only who is registered for tax uses the one-stop shop.")
    seller, _ = Seller.objects.update_or_create(pk=1, defaults={**values, "tax_number": number})
    logger.info("billing.seller_set", by=by, country=seller.country, tax_number=seller.tax_number)
    return seller


def add_rate(country: str, region: str, name: str, percent: Decimal, since: dt.date, *, by: str) -> EnteredTaxRate:
    """A later rate of the same place goes before an earlier one. Raises ApiError 422 for two that begin together."""
    same_place = EnteredTaxRate.objects.filter(country=country, region=region, since=since)
    if same_place.exists():
        raise _refused("since", "A rate of this place begins on that day already.")
    rate: EnteredTaxRate = EnteredTaxRate.objects.create(
        country=country, region=region, name=name, percent=percent, since=since
    )
    logger.info("billing.tax_rate_added", by=by, rate=str(rate), country=country, region=region, since=str(since))
    return rate


def end_rate(rate_id: int, until: dt.date, *, by: str) -> EnteredTaxRate:
    """`until` is the first day without it. Raises ApiError 422 for one before it began, 409 for a rate that ended."""
    with transaction.atomic():
        rate: EnteredTaxRate = EnteredTaxRate.objects.select_for_update().get(pk=rate_id)
        if rate.until is not None:
            raise ApiError(409, "already_ended", f"This rate has an end already: {rate.until:%-d %B %Y}.")
        if until <= rate.since:
            raise _refused("until", f"The rate begins on {rate.since:%-d %B %Y}: the first day without it is later.")
        rate.until = until
        rate.save(update_fields=["until"])
    logger.info("billing.tax_rate_ended", by=by, rate=str(rate), country=rate.country, until=str(until))
    return rate


def _refused(param: str, message: str) -> ApiError:
    return ApiError(422, "invalid_parameter", message, param=param)
