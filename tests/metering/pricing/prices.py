"""Small price books for the tests of this folder, made without a database."""

from __future__ import annotations

import datetime as dt

from metering.pricing.book import Alias, PriceBook
from metering.pricing.catalogue import listed_models
from metering.pricing.plan import Version
from metering.pricing.rate import Rate

MIDNIGHT = dt.time(0)
BEGINNING = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
ACME, GLOBEX = 1, 2


def rate(
    bucket: str,
    femtos: int,
    *,
    tier: str = "",
    above: int = 0,
    window: tuple[dt.time, dt.time] = (MIDNIGHT, MIDNIGHT),
    note: str = "",
) -> Rate:
    return Rate(bucket, tier, above, *window, femtos, note)


def per_million(**usd: str | float) -> tuple[Rate, ...]:
    """Standard rates in dollars per million tokens, of at most three decimals."""
    return tuple(rate(bucket, round(float(value) * 1000) * 10**6) for bucket, value in usd.items())


def version(
    version_id: int,
    rates: tuple[Rate, ...] = (),
    *,
    provider: str = "openai",
    model: str = "gpt-4o",
    organization_id: int | None = None,
    kind: str = "list",
    valid_from: dt.datetime = BEGINNING,
    valid_to: dt.datetime | None = None,
    is_free: bool = False,
) -> Version:
    return Version(version_id, organization_id, kind, provider, model, valid_from, valid_to, is_free, "test", rates)


def book(*versions: Version, names: tuple[Alias, ...] = ()) -> PriceBook:
    return PriceBook(versions, names)


def listed_name(provider: str, name: str, model: str) -> Alias:
    return Alias(None, provider, name, provider, model)


def catalogue_book() -> PriceBook:
    """The installed catalogue as a fresh database would hold it."""
    listed = listed_models()
    spans = [(model, *span) for model in listed for span in model.spans]
    versions = [
        Version(number, None, "list", model.provider, model.model, start, end, content.is_free, "test", content.rates)
        for number, (model, start, end, content) in enumerate(spans, start=1)
    ]
    names = [listed_name(m.provider, name, m.model) for m in listed for name in m.names if name != m.model]
    return PriceBook(versions, names)
