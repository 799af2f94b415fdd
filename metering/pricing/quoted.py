"""Rates as people read them: dollars for a million tokens, for a search, for an hour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from core import figures as words
from metering.pricing.forms import LABELS
from metering.pricing.rate import Rate
from metering.pricing.receipt import quoted_rate

COLUMNS = ("input", "cache_read", "output")


class RateLine(msgspec.Struct, frozen=True):
    label: str
    usd: str
    per: str
    condition: str
    note: str


def rate_lines(rates: Iterable[Any]) -> list[RateLine]:
    """Rates in words, the ordinary ones first; takes rows and snapshots alike."""
    ordered = sorted(rates, key=lambda item: (item.service_tier, item.above_tokens, list(LABELS).index(item.bucket)))
    return [
        RateLine(LABELS[item.bucket], *quoted_rate(item.bucket, item.femtos_per_unit), _condition(item), item.note)
        for item in ordered
    ]


def column_texts(rates: Iterable[Any]) -> list[str]:
    """The ordinary rates of COLUMNS by the million tokens; "—" for one there is not."""
    found: dict[str, Rate] = {}
    for item in rates:
        if not item.service_tier and not item.above_tokens and item.starts_at == item.ends_at:
            found[item.bucket] = item
    return [
        f"${quoted_rate(bucket, found[bucket].femtos_per_unit)[0]}" if bucket in found else "—" for bucket in COLUMNS
    ]


def _condition(item: Any) -> str:
    parts = [item.service_tier] if item.service_tier else []
    if item.above_tokens:
        parts.append(f"prompts above {words.count(item.above_tokens)} tokens")
    if item.starts_at != item.ends_at:
        parts.append(f"{item.starts_at:%H:%M} to {item.ends_at:%H:%M} UTC")
    return ", ".join(parts)
