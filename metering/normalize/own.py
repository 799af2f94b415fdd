"""Tokenledger's own bucket names, for clients that have already split what they counted.

Shape: the names of `Usage`, with `seconds` (fractional or not) in place of `media_ms`; both are
read. Buckets are disjoint by definition, so nothing is subtracted. A name that is not a bucket is
named in a note: it is usually a misspelled one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.events import BUCKETS, Normalized, Usage
from metering.normalize.counts import count, milliseconds
from metering.normalize.errors import UsageError

COUNTS = (*BUCKETS, "web_searches", "images", "media_ms")
NAMES = frozenset((*COUNTS, "seconds"))


def matches(raw: Mapping[str, Any]) -> bool:
    # OpenAI's transcription says {"type": "duration", "seconds": 12.4}; no bucket is called type.
    return not NAMES.isdisjoint(raw) and "type" not in raw


def normalize(raw: Mapping[str, Any], _endpoint: str | None = None) -> Normalized:
    counts = {}
    for name in COUNTS:
        number = count(raw.get(name), f"usage.{name}")
        if number is not None:
            counts[name] = number
    if raw.get("seconds") is not None:
        if "media_ms" in counts:
            raise UsageError("invalid_usage", "usage.seconds and usage.media_ms exclude each other", "usage.seconds")
        counts["media_ms"] = milliseconds(raw["seconds"], "usage.seconds")
    unknown = sorted(str(name) for name in raw if name not in NAMES)
    notes = tuple(f"usage.{name} is not a bucket; it is not counted" for name in unknown)
    return Normalized(usage=Usage(**counts) if counts else None, notes=notes)
