"""Recorded usage objects of some hundred models against the dollars another library makes of them.

The corpus lies outside of the project; without it this is skipped. docs/algorithms/pricing.md explains the classes.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from metering.events import Usage
from metering.normalize import normalize
from metering.pricing.book import PriceBook
from metering.pricing.rate import Rating
from tests.metering.pricing.prices import ACME, catalogue_book

CORPUS = Path(os.environ.get("TOKENLEDGER_USAGE_CORPUS", "/work/shared/data/provider_usage_corpus/usages.json"))
pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the usage corpus is not on this machine")

TODAY = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
EARLIER = [
    dt.datetime(year, month, 2, hour, tzinfo=dt.UTC)
    for year in (2025, 2026)
    for month in range(1, 12)
    for hour in (3, 20)
]
NANO = Decimal(1).scaleb(-9)
# Reasons for leaving unpriced what the other library prices: docs/algorithms/pricing.md, "Agreement".
ON_PURPOSE = (
    "no rate for web_searches",
    "no flex rates for gemini-3-flash-preview",
    "no price for cerebras/qwen-3-coder-480b",
    "no price for deepseek/deepseek-r1-distill-llama-70b",
)


def pairs() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any], Decimal]]:
    """(provider, model, body, the other library's counts, its dollars for tokens)"""
    for entry in json.loads(CORPUS.read_text()):
        body = entry["body"]
        model = entry.get("model") or body.get("model") or body.get("modelVersion") or ""
        for extracted in entry["extracted"]:
            for result in extracted["extractors"]:
                if "input_price" in result or "output_price" in result:
                    usd = Decimal(result.get("input_price", "0")) + Decimal(result.get("output_price", "0"))
                    yield result["provider_id"], model, body, extracted.get("usage") or {}, usd


def classify(
    book: PriceBook, provider: str, model: str, body: dict[str, Any], theirs: dict[str, Any], usd: Decimal
) -> str:
    normalized = normalize(body.get("usage") or body.get("usageMetadata") or body, provider=provider)
    usage = normalized.usage
    assert usage is not None

    def rated(at: dt.datetime) -> Rating:
        tier = normalized.service_tier or body.get("service_tier")
        return book.rate(ACME, provider=provider, model=model, occurred_at=at, usage=usage, service_tier=tier)

    def agrees(rating: Rating) -> bool:
        if rating.cost_nanos is None or rating.unit_cost_nanos is None:
            return False
        return abs((rating.cost_nanos - rating.unit_cost_nanos) * NANO - usd) <= NANO

    rating = rated(TODAY)
    if agrees(rating):
        return "equal"
    if rating.cost_nanos is None:
        return "unpriced on purpose" if rating.rule in ON_PURPOSE else f"unpriced: {rating.rule}"
    if any(agrees(rated(at)) for at in EARLIER):
        return "equal at an earlier date"
    return explained(model, usage, theirs) or f"unexplained: {provider}/{model}"


def explained(model: str, usage: Usage, theirs: dict[str, Any]) -> str | None:
    if (theirs.get("input_tokens", 0), theirs.get("output_tokens", 0)) != (
        usage.prompt_tokens,
        usage.completion_tokens,
    ):
        return "they count other tokens"
    cached = usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
    if cached and not any(name.startswith("cache_") for name in theirs):
        return "they miss the cached tokens"
    if "cache_audio_read_tokens" in theirs:
        return "cached audio has no bucket of its own"
    if usage.audio_input and model.startswith("gpt-4o-audio-preview"):
        return "their catalogue has no audio rates"
    return None


def test_every_difference_is_explained() -> None:
    book = catalogue_book()
    classes = Counter(classify(book, *pair) for pair in pairs())
    total = sum(classes.values())
    assert not [name for name in classes if name.startswith("un") and name != "unpriced on purpose"], classes
    assert classes["equal"] + classes["equal at an earlier date"] > 0.85 * total
