"""The roll-up of rates: usage by whatever decides what a call is charged, by day, and by where calls come from.

What decides a rate are expressions over one event row; rows which share all of them were charged at the same rates.
docs/algorithms/cost-analysis.md says how many events a row has.
"""

from __future__ import annotations

from collections.abc import Sequence

from metering.events import PROMPT_BUCKETS

# Where list prices begin another rate for longer prompts. A price with other limits is read from events.
LENGTHS = (32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288)

# What a call used, as bits, as far as a price list may lack a rate for it. The bits of pictures and recordings are set
# where nothing else of the call can be charged: beside tokens they cost nothing without a rate of their own.
KIND_BITS: dict[str, str] = {
    "input": "input > 0 OR cache_read > 0 OR cache_write_5m > 0 OR cache_write_1h > 0 OR image_input > 0",
    "output": "output > 0 OR reasoning > 0",
    "audio_input": "audio_input > 0",
    "audio_output": "audio_output > 0",
    "image_output": "image_output > 0",
    "web_searches": "web_searches > 0",
    "images": "images > 0 AND output = 0 AND reasoning = 0 AND audio_output = 0 AND image_output = 0",
    "seconds": (
        "media_ms > 0 AND input = 0 AND cache_read = 0 AND cache_write_5m = 0 AND cache_write_1h = 0"
        " AND audio_input = 0 AND image_input = 0 AND output = 0 AND reasoning = 0 AND audio_output = 0"
        " AND image_output = 0"
    ),
}
KINDS_SQL = " + ".join(f"(({condition})::int << {place})" for place, condition in enumerate(KIND_BITS.values()))
TIER_SQL = "nullif(service_tier, '')"
_PROMPT = " + ".join(f"{bucket}::bigint" for bucket in PROMPT_BUCKETS)


def above_sql(lengths: Sequence[int]) -> str:
    """The largest of `lengths` that the prompt is longer than, or 0."""
    cases = " ".join(f"WHEN {_PROMPT} > {int(length)} THEN {int(length)}" for length in sorted(lengths, reverse=True))
    return f"(CASE {cases} ELSE 0 END)" if cases else "0"


# Dimensions the roll-up keeps apart. Members, features and the like are not: a row would hold hardly two events.
RATE_DIMENSIONS = ("project", "team", "department", "api_key", "model", "provider")
_PLACES = tuple(f"{name}_id" for name in RATE_DIMENSIONS)
RATE_KEYS = ("day", *_PLACES, "price_version_id", "tier", "above_tokens", "kinds")
KEYS_SQL = ", ".join(
    ("day", *_PLACES, "price_version_id", "coalesce(service_tier, '')", above_sql(LENGTHS), f"({KINDS_SQL})::smallint")
)
# After a correction, or a new price, a row may be left with nothing in it.
DROP_EMPTY_RATES = """
DELETE FROM metering_usage_rate r USING (SELECT DISTINCT organization_id, day FROM pg_temp.staging WHERE sign < 0) s
WHERE r.organization_id = s.organization_id AND r.day = s.day AND r.requests = 0
"""
