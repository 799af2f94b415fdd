"""What decides the rate of a call, as groups of a query: price version, tier, length of the prompt, time of the day.

They are groups for the product's own questions (metering/query/costs.py), not dimensions of the public API. Each is
an expression over one event row, so that rows which share all of them were charged at the same rates.
"""

from __future__ import annotations

from collections.abc import Sequence

from metering.events import PROMPT_BUCKETS

PRICE, TIER, ABOVE, KINDS, TIME = "rate.price", "rate.tier", "rate.above", "rate.kinds", "rate.time"
RATE_PARTS = (PRICE, TIER, ABOVE, KINDS, TIME)

# Where list prices begin another rate for longer prompts. A price with other limits is read by limits of its own.
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
BIT = {name: 1 << place for place, name in enumerate(KIND_BITS)}
# Any of these is an answer: tokens, a picture, the words of a recording.
ANSWERS = BIT["output"] | BIT["audio_output"] | BIT["image_output"] | BIT["images"] | BIT["seconds"]

_PROMPT = " + ".join(f"{bucket}::bigint" for bucket in PROMPT_BUCKETS)
KINDS_SQL = " + ".join(f"(({condition})::int << {place})" for place, condition in enumerate(KIND_BITS.values()))
TIER_SQL = "nullif(service_tier, '')"


def above_sql(lengths: Sequence[int]) -> str:
    """The largest of `lengths` that the prompt is longer than, or 0."""
    cases = " ".join(f"WHEN {_PROMPT} > {int(length)} THEN {int(length)}" for length in sorted(lengths, reverse=True))
    return f"(CASE {cases} ELSE 0 END)" if cases else "0"


def time_sql(times: Sequence[int]) -> str:
    """The last of `times` (seconds of the day, UTC) that the call is not before; the day goes round."""
    second = "extract(epoch FROM (occurred_at AT TIME ZONE 'UTC')::time)"
    cases = " ".join(f"WHEN {second} >= {int(time)} THEN {int(time)}" for time in sorted(times, reverse=True))
    return f"(CASE {cases} ELSE {int(max(times, default=0))} END)" if cases else "0"
