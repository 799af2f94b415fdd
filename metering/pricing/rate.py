"""From counts and rates to a cost: integers throughout, one rounding per figure.

Units: rates and exact amounts are femto-dollars (10⁻¹⁵), costs nano-dollars (10⁻⁹). docs/algorithms/pricing.md
has the rules and the reasons.
"""

from __future__ import annotations

import datetime as dt
from enum import IntEnum

import msgspec

from core.money import FEMTOS_PER_NANO, divide_half_even, nanos_from_femtos
from metering.events import COMPLETION_BUCKETS, PROMPT_BUCKETS, Usage

MS_PER_HOUR = 3_600_000
RULE_LENGTH = 80

# A bucket without a rate of its own is charged as another one, when every provider is known to do so.
FALLBACKS = {
    "reasoning": ("output",),
    "image_input": ("input",),
    "cache_read": ("input",),
    "cache_write_5m": ("input",),
    "cache_write_1h": ("cache_write_5m", "input"),
}
# These are what the price lists say anyway; the others are worth a word in the rule.
_SILENT_FALLBACKS = {"reasoning", "image_input"}

_TOKEN_BUCKETS = (*PROMPT_BUCKETS, *COMPLETION_BUCKETS)
_MISSING = -1


class Pricing(IntEnum):
    PRICED = 1
    FREE = 2
    UNPRICED = 3


class Rating(msgspec.Struct, frozen=True):
    """What a call costs, and why. Costs are None where the price is unknown, never 0.

    `input_cost_nanos` + `output_cost_nanos` + `unit_cost_nanos` = `cost_nanos`, exactly.
    """

    pricing: Pricing
    cost_nanos: int | None
    input_cost_nanos: int | None
    output_cost_nanos: int | None
    price_version_id: int | None
    rule: str

    @property
    def unit_cost_nanos(self) -> int | None:
        """Searches, images, requests and hours: the part of the cost that is not tokens."""
        if self.cost_nanos is None or self.input_cost_nanos is None or self.output_cost_nanos is None:
            return None
        return self.cost_nanos - self.input_cost_nanos - self.output_cost_nanos


def unpriced(reason: str) -> Rating:
    return Rating(Pricing.UNPRICED, None, None, None, None, reason[:RULE_LENGTH])


def free(rule: str, version_id: int | None = None) -> Rating:
    return Rating(Pricing.FREE, 0, 0, 0, version_id, rule[:RULE_LENGTH])


USAGE_UNKNOWN = unpriced("usage unknown")
NO_USAGE = free("no usage")


class Rate(msgspec.Struct, frozen=True, order=True):
    """One row of the price book: femto-dollars per unit of a bucket, and when they apply."""

    bucket: str
    service_tier: str
    above_tokens: int
    starts_at: dt.time
    ends_at: dt.time
    femtos_per_unit: int
    note: str = ""

    @property
    def is_all_day(self) -> bool:
        return self.starts_at == self.ends_at


class Charge(msgspec.Struct, frozen=True):
    """One line of a receipt: `count` units of `bucket` at a rate, in exact femto-dollars."""

    bucket: str
    count: int
    femtos_per_unit: int
    amount_femtos: int
    charged_as: str
    note: str


class RateVector:
    """The rates of one tier, time of day and context length, fall-backs applied. Immutable."""

    __slots__ = ("_is_by_the_hour", "_marks", "_missing", "_tokens", "_units", "above_tokens", "rates")

    def __init__(self, above_tokens: int, rates: dict[str, Rate]) -> None:
        self.above_tokens = above_tokens
        # bucket → the rate it is charged at, which may be another bucket's
        self.rates = dict(rates)
        for bucket, substitutes in FALLBACKS.items():
            if bucket not in self.rates:
                for substitute in substitutes:
                    if substitute in rates:
                        self.rates[bucket] = rates[substitute]
                        break
        # Who pays for the hours of the GPUs has paid for every token they make.
        self._is_by_the_hour = "gpu_hours" in rates
        self._tokens = tuple(
            0 if self._is_by_the_hour and bucket not in self.rates else self._femtos(bucket)
            for bucket in _TOKEN_BUCKETS
        )
        charged = ("web_searches",) if self._is_by_the_hour else (*_TOKEN_BUCKETS, "web_searches")
        self._missing = tuple(bucket for bucket in charged if bucket not in self.rates)
        self._marks = tuple(
            (bucket, f"; {bucket} at the {rate.bucket} rate")
            for bucket, rate in self.rates.items()
            if rate.bucket != bucket and bucket not in _SILENT_FALLBACKS
        )
        units = ("web_searches", "images", "requests", "media_hours", "gpu_hours")
        self._units = tuple(self._femtos(unit) for unit in units) if any(u in self.rates for u in units) else None

    def _femtos(self, bucket: str) -> int:
        rate = self.rates.get(bucket)
        return _MISSING if rate is None else rate.femtos_per_unit

    def gap(self, usage: Usage, duration_ms: int | None) -> str | None:
        """Why this usage cannot be charged completely, if so."""
        for bucket in self._missing:
            if getattr(usage, bucket):
                return f"no rate for {bucket}"
        if usage.images and "images" not in self.rates and not usage.completion_tokens:
            return "no rate for images"
        if usage.media_ms and "media_hours" not in self.rates and not usage.total_tokens:
            return "no rate for seconds"
        if self._is_by_the_hour and duration_ms is None:
            return "duration unknown"
        return None

    def known_femtos(self, usage: Usage, duration_ms: int | None) -> int:
        """The cost of those buckets that have a rate."""
        known = msgspec.structs.replace(usage, **dict.fromkeys(self._missing, 0))
        return self.prompt_femtos(known) + self.completion_femtos(known) + self.unit_femtos(known, duration_ms)

    def prompt_femtos(self, usage: Usage) -> int:
        rates = self._tokens
        return (
            usage.input * rates[0] + usage.cache_read * rates[1] + usage.cache_write_5m * rates[2]
            + usage.cache_write_1h * rates[3] + usage.audio_input * rates[4] + usage.image_input * rates[5]
        )  # fmt: skip

    def completion_femtos(self, usage: Usage) -> int:
        rates = self._tokens
        return (
            usage.output * rates[6] + usage.reasoning * rates[7]
            + usage.audio_output * rates[8] + usage.image_output * rates[9]
        )  # fmt: skip

    def unit_femtos(self, usage: Usage, duration_ms: int | None) -> int:
        if self._units is None:
            return 0
        searches, images, requests, media_hours, gpu_hours = self._units
        femtos = 0
        if searches != _MISSING:
            femtos += usage.web_searches * searches
        if images != _MISSING:
            femtos += usage.images * images
        if requests != _MISSING:
            femtos += requests
        if media_hours != _MISSING:
            femtos += _hours_femtos(usage.media_ms, media_hours)
        if gpu_hours != _MISSING and duration_ms is not None:
            femtos += _hours_femtos(duration_ms, gpu_hours)
        return femtos

    def marks(self, usage: Usage) -> str:
        """The fall-backs this usage made use of, as the end of a rule."""
        if not self._marks:
            return ""
        return "".join([text for bucket, text in self._marks if getattr(usage, bucket)])

    def charges(self, usage: Usage, duration_ms: int | None, calls: int = 1) -> list[Charge]:
        """Every charge apart; their amounts sum to what `cost` rounds. `usage` may be the sum of several calls."""
        lines = [
            self._charge(bucket, count)
            for bucket in _TOKEN_BUCKETS
            if bucket in self.rates and (count := getattr(usage, bucket))
        ]
        for unit, count in (
            ("web_searches", usage.web_searches),
            ("images", usage.images),
            ("requests", calls),
            ("media_hours", usage.media_ms),
            ("gpu_hours", duration_ms or 0),
        ):
            if count and unit in self.rates:
                lines.append(self._charge(unit, count))
        return lines

    def _charge(self, bucket: str, count: int) -> Charge:
        rate = self.rates[bucket]
        per_unit = rate.femtos_per_unit
        amount = _hours_femtos(count, per_unit) if bucket.endswith("_hours") else count * per_unit
        return Charge(bucket, count, per_unit, amount, rate.bucket, rate.note)


def _hours_femtos(milliseconds: int, femtos_per_hour: int) -> int:
    """To the nearest femto, far below the nano that an event's cost is rounded to."""
    return divide_half_even(milliseconds * femtos_per_hour, MS_PER_HOUR)


def split_cost(prompt: int, completion: int, units: int) -> tuple[int, int, int]:
    """Exact femtos of the three parts → nanos of (whole, prompt, completion).

    The whole is rounded once from the exact sum, each part once from its own; what the parts then lack or have too
    much goes to the largest of them, so that they always sum to the whole.
    """
    prompt_nanos, prompt_rest = divmod(prompt, FEMTOS_PER_NANO)
    completion_nanos, completion_rest = divmod(completion, FEMTOS_PER_NANO)
    if not (prompt_rest or completion_rest or units):
        return prompt_nanos + completion_nanos, prompt_nanos, completion_nanos  # most calls: nothing to round
    cost = nanos_from_femtos(prompt + completion + units)
    prompt_nanos, completion_nanos = nanos_from_femtos(prompt), nanos_from_femtos(completion)
    residue = cost - prompt_nanos - completion_nanos - nanos_from_femtos(units)
    # What is left of the units is what the caller gets by subtraction, residue included.
    if residue and units < max(prompt, completion):
        if prompt >= completion:
            prompt_nanos += residue
        else:
            completion_nanos += residue
    return cost, prompt_nanos, completion_nanos
