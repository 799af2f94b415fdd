"""Calls at list prices, for pages with receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from core.tenancy import organization_scope, unscoped
from metering.directory import Directory
from metering.events import UsageEvent
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from metering.pipeline import Sender, record
from metering.pricing.book import PriceBook
from metering.store.base import Outcome


def set_prices() -> None:
    """gpt-4o at $2.500000001, $1.25 and $10.00 a million tokens; other models have no price."""
    with unscoped("list prices are everybody's"):
        version = PriceVersion.objects.create(
            kind=PriceKind.LIST,
            provider="openai",
            model="gpt-4o",
            valid_from="2020-01-01T00:00:00Z",
            source="test list",
        )
        for bucket, femtos in (("input", 2_500_000_001), ("cache_read", 1_250_000_000), ("output", 10_000_000_000)):
            PriceRate.objects.create(version=version, bucket=bucket, femtos_per_unit=femtos)


def write_priced(organization_id: int, events: Sequence[UsageEvent]) -> None:
    with organization_scope(organization_id):
        directory = Directory.load(organization_id)
        rated = record(directory, PriceBook.load(), Sender(), events, dt.datetime.now(dt.UTC))
    assert {one.outcome for one in rated} <= {Outcome.CREATED}
