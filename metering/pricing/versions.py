"""Versions of the price book by their ids, for the few that a page or an answer speaks of."""

from __future__ import annotations

from collections.abc import Iterable

from metering.models import PriceRate, PriceVersion
from metering.pricing.plan import Version
from metering.pricing.rate import Rate

_RATE = ("bucket", "service_tier", "above_tokens", "starts_at", "ends_at", "femtos_per_unit", "note")
_VERSION = ("id", "organization_id", "kind", "provider", "model", "valid_from", "valid_to", "is_free", "source")


def load_versions(ids: Iterable[int]) -> dict[int, Version]:
    """Those of `ids` that are the open scope's to see, with their rates, also when they are over. Two queries."""
    wanted = sorted(set(ids))
    rates: dict[int, list[Rate]] = {}
    for version_id, *values in PriceRate.published.filter(version_id__in=wanted).values_list("version_id", *_RATE):
        rates.setdefault(version_id, []).append(Rate(*values))
    rows = PriceVersion.published.filter(pk__in=wanted).values_list(*_VERSION)
    return {row[0]: Version(*row, tuple(rates.get(row[0], ()))) for row in rows}  # type: ignore[call-arg]
