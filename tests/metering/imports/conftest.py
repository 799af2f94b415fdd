"""Prices for imported calls: gpt-4o costs $2.50 and $10.00 a million tokens, cached $1.25; other models have none."""

from __future__ import annotations

import pytest

from core.tenancy import unscoped
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind


@pytest.fixture
def prices(db: None) -> None:
    with unscoped("list prices are everybody's"):
        version = PriceVersion.objects.create(
            kind=PriceKind.LIST, provider="openai", model="gpt-4o", valid_from="2020-01-01T00:00:00Z", source="test"
        )
        for bucket, femtos in (("input", 2_500_000_000), ("cache_read", 1_250_000_000), ("output", 10_000_000_000)):
            PriceRate.objects.create(version=version, bucket=bucket, femtos_per_unit=femtos)
