"""The operator's part of the price book: prices for every organization, of models that no list knows.

They are list prices like any other, so an organization's own price stands before them; their source says who set them.
A catalogue that begins to list such a model takes over from then on, as with any price that changed without a date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import connection

from core.errors import ApiError
from core.tenancy import unscoped
from metering.models import PriceKind, PriceRate, PriceVersion
from metering.pricing.aliases import canonical_provider
from metering.pricing.overrides import check_price, make_room, model_name
from metering.pricing.rate import Rate
from metering.pricing.sync import LOCK, rate_row

SOURCE = "operator"


def set_installation_price(
    by: str,
    *,
    model: str,
    rates: Sequence[Rate],
    valid_from: dt.datetime,
    provider: str = "",
    valid_to: dt.datetime | None = None,
    is_free: bool = False,
) -> PriceVersion:
    """`by` is the operator's e-mail. Without a provider it holds for the name with any.

    Raises ApiError 422 for what is no price, 409 for a model whose price the catalogue keeps.
    """
    check_price(rates, (valid_from, valid_to), is_free)
    version = PriceVersion(
        kind=PriceKind.LIST,
        provider=canonical_provider(provider),
        model=model_name(model),
        valid_from=valid_from,
        valid_to=valid_to,
        is_free=is_free,
        source=f"{SOURCE} {by}"[:80],
    )
    with unscoped("a list price is every organization's"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        same = PriceVersion.objects.filter(organization=None, provider=version.provider, model=version.model)
        if same.exclude(source__startswith=f"{SOURCE} ").exists():
            raise ApiError(
                409,
                "listed_model",
                "The catalogue keeps the price of this model. An organization may have its own instead.",
                param="model",
            )
        resumed = make_room(version)
        version.save()
        PriceRate.objects.bulk_create([rate_row(version, one) for one in rates])
        for later, later_rates in resumed:
            later.save()
            PriceRate.objects.bulk_create([rate_row(later, one) for one in later_rates])
    return version
