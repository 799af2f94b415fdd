"""What decides the rate of a call, as groups of a query: price version, tier, length of the prompt, time of the day.

They are groups for the product's own questions (metering/query/costs.py), not dimensions of the public API. The
roll-up of rates keeps all but the time apart (metering/store/rates.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from metering.store.rates import KIND_BITS, KINDS_SQL, TIER_SQL, above_sql

PRICE, TIER, ABOVE, KINDS, TIME = "rate.price", "rate.tier", "rate.above", "rate.kinds", "rate.time"
RATE_PARTS = (PRICE, TIER, ABOVE, KINDS, TIME)
# The columns of the roll-up of rates.
ROLLED_UP = {PRICE: "price_version_id", TIER: "nullif(tier, '')", ABOVE: "above_tokens", KINDS: "kinds::int"}
BIT = {name: 1 << place for place, name in enumerate(KIND_BITS)}
# Any of these is an answer: tokens, a picture, the words of a recording.
ANSWERS = BIT["output"] | BIT["audio_output"] | BIT["image_output"] | BIT["images"] | BIT["seconds"]


def part_of_event(name: str, lengths: Sequence[int], times: Sequence[int]) -> str:
    """One of RATE_PARTS as an expression over an event row."""
    if name == PRICE:
        return "price_version_id"
    if name == TIER:
        return TIER_SQL
    if name == ABOVE:
        return above_sql(lengths)
    return f"({KINDS_SQL})" if name == KINDS else _time_sql(times)


def _time_sql(times: Sequence[int]) -> str:
    """The last of `times` (seconds of the day, UTC) that the call is not before; the day goes round."""
    second = "extract(epoch FROM (occurred_at AT TIME ZONE 'UTC')::time)"
    cases = " ".join(f"WHEN {second} >= {int(time)} THEN {int(time)}" for time in sorted(times, reverse=True))
    return f"(CASE {cases} ELSE {int(max(times, default=0))} END)" if cases else "0"
