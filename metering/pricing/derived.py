"""Rates that a provider's price list states in words and the catalogue does not hold as figures.

Each becomes a row of its own that says where it comes from; nothing is derived while an event is rated.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec

from metering.pricing.rate import Rate

# Providers that publish "half the price" for their batch interfaces, whatever the model.
HALF_PRICE_BATCH = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google"}


def with_derived_rates(provider: str, model: str, rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """The catalogue's rates and those its provider's words add."""
    result = set(rates)
    if "claude" in model:
        result |= _one_hour_caches(result)
    if provider == "google" and "gemini" in model:
        result |= _audio_like_text(result)
    return tuple(sorted(result))


def half_price_batch(provider: str, standard: Iterable[Rate], buckets: Iterable[str]) -> list[Rate]:
    """Batch rates at half of the standard ones, for the buckets that the provider's batch list prices today."""
    maker = HALF_PRICE_BATCH.get(provider)
    if maker is None:
        return []
    wanted = set(buckets)
    return [
        msgspec.structs.replace(
            rate,
            service_tier="batch",
            femtos_per_unit=rate.femtos_per_unit // 2,
            note=f"half the standard rate, as {maker} publishes for batches",
        )
        for rate in standard
        if rate.bucket in wanted and rate.femtos_per_unit % 2 == 0
    ]


def _one_hour_caches(rates: set[Rate]) -> set[Rate]:
    """Anthropic: "1-hour cache write tokens are 2 times the base input tokens price", wherever Claude is sold."""
    return _like_input(rates, "cache_write_1h", 2, "twice the input rate, as Anthropic publishes for one-hour caches")


def _audio_like_text(rates: set[Rate]) -> set[Rate]:
    """Google lists audio apart where it differs, else one input price for text, image, video and audio."""
    return _like_input(rates, "audio_input", 1, "the input rate: Google lists one for every kind of input")


def _like_input(rates: set[Rate], bucket: str, factor: int, note: str) -> set[Rate]:
    """`bucket` at a multiple of the input rate, in each tier that has an input rate and none of the bucket's own."""
    added: set[Rate] = set()
    by_tier = sorted(rates, key=lambda rate: rate.service_tier)
    for _, group in groupby(by_tier, key=lambda rate: rate.service_tier):
        tier = list(group)
        if any(rate.bucket == bucket for rate in tier):
            continue
        added |= {
            msgspec.structs.replace(rate, bucket=bucket, femtos_per_unit=rate.femtos_per_unit * factor, note=note)
            for rate in tier
            if rate.bucket == "input"
        }
    return added
