from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.events import BUCKETS, COMPLETION_BUCKETS, PROMPT_BUCKETS, Usage
from metering.pricing.rate import Charge, RateVector, split_cost
from tests.metering.pricing.prices import rate

FEMTOS = st.integers(0, 10**13)
COUNTS = st.integers(0, 2**31 - 1)
ALL_RATES = st.fixed_dictionaries(dict.fromkeys((*BUCKETS, "web_searches", "images", "requests"), FEMTOS))
USAGES = st.builds(Usage, **dict.fromkeys((*BUCKETS, "web_searches", "images"), COUNTS))


def vector(rates: dict[str, int]) -> RateVector:
    return RateVector(0, {bucket: rate(bucket, femtos) for bucket, femtos in rates.items()})


def cost_of(rates: RateVector, usage: Usage, duration_ms: int | None = None) -> tuple[int, int, int]:
    return split_cost(rates.prompt_femtos(usage), rates.completion_femtos(usage), rates.unit_femtos(usage, duration_ms))


@given(ALL_RATES, USAGES)
def test_cost_is_the_exact_sum_rounded_once_half_to_even(rates: dict[str, int], usage: Usage) -> None:
    exact = sum(
        Fraction(getattr(usage, bucket) * femtos, 10**6) for bucket, femtos in rates.items() if bucket != "requests"
    )
    exact += Fraction(rates["requests"], 10**6)
    cost, _, _ = cost_of(vector(rates), usage)
    assert cost == round(exact)  # Python rounds fractions half to even


@given(ALL_RATES, USAGES)
def test_parts_sum_to_the_cost_and_are_each_within_a_nano_of_their_own(rates: dict[str, int], usage: Usage) -> None:
    cost, prompt, completion = cost_of(vector(rates), usage)
    units = cost - prompt - completion
    exact = {
        "prompt": sum(getattr(usage, bucket) * rates[bucket] for bucket in PROMPT_BUCKETS),
        "completion": sum(getattr(usage, bucket) * rates[bucket] for bucket in COMPLETION_BUCKETS),
        "units": usage.web_searches * rates["web_searches"] + usage.images * rates["images"] + rates["requests"],
    }
    for part, femtos in zip((prompt, completion, units), exact.values(), strict=True):
        assert part >= 0
        assert abs(part - Fraction(femtos, 10**6)) <= Fraction(3, 2)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_small_parts_never_contradict_the_whole(prompt: int, completion: int, units: int) -> None:
    cost, prompt_cost, completion_cost = split_cost(prompt, completion, units)
    unit_cost = cost - prompt_cost - completion_cost
    assert min(prompt_cost, completion_cost, unit_cost) >= 0
    assert (unit_cost == 0) or units > 0


@given(ALL_RATES, USAGES, st.sampled_from([*BUCKETS, "web_searches", "images"]), st.integers(1, 1000))
def test_more_usage_never_costs_less(rates: dict[str, int], usage: Usage, bucket: str, more: int) -> None:
    larger = Usage(**{**{f: getattr(usage, f) for f in Usage.__struct_fields__}, bucket: getattr(usage, bucket) + more})
    assert cost_of(vector(rates), larger)[0] >= cost_of(vector(rates), usage)[0]


@given(ALL_RATES, USAGES)
def test_charges_sum_to_what_is_rounded(rates: dict[str, int], usage: Usage) -> None:
    charges = vector(rates).charges(usage, None)
    assert split_cost(sum(charge.amount_femtos for charge in charges), 0, 0)[0] == cost_of(vector(rates), usage)[0]


@pytest.mark.parametrize(
    ("femtos", "nanos"), [(500_000, 0), (500_001, 1), (1_500_000, 2), (2_500_000, 2), (499_999, 0)]
)
def test_half_a_nano_goes_to_the_even_one(femtos: int, nanos: int) -> None:
    assert split_cost(femtos, 0, 0) == (nanos, nanos, 0)


def test_two_halves_become_one_nano_of_the_larger_part() -> None:
    assert split_cost(500_000, 500_000, 0) == (1, 1, 0)
    assert split_cost(1_500_000, 1_500_000, 0) == (3, 1, 2)


def test_buckets_without_a_rate_fall_back_as_documented() -> None:
    rates = vector({"input": 10, "output": 40, "cache_write_5m": 12})
    usage = Usage(cache_read=1, cache_write_1h=1, image_input=1, reasoning=1)
    assert rates.gap(usage, None) is None
    assert rates.prompt_femtos(usage) == 10 + 12 + 10
    assert rates.completion_femtos(usage) == 40
    assert rates.marks(usage) == "; cache_read at the input rate; cache_write_1h at the cache_write_5m rate"
    assert rates.marks(Usage(input=1, reasoning=1)) == ""


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        (Usage(audio_input=1), "no rate for audio_input"),
        (Usage(audio_output=1), "no rate for audio_output"),
        (Usage(image_output=1), "no rate for image_output"),
        (Usage(web_searches=1), "no rate for web_searches"),
        (Usage(images=1, input=5), "no rate for images"),
        (Usage(media_ms=1), "no rate for seconds"),
        (Usage(images=1, output=5), None),
        (Usage(media_ms=1, input=5), None),
    ],
)
def test_what_has_no_rate_and_no_fall_back_is_a_gap(usage: Usage, reason: str | None) -> None:
    """Images and seconds beside tokens describe the tokens; alone they are what is sold."""
    assert vector({"input": 10, "output": 40}).gap(usage, None) == reason


def test_hours_are_charged_by_the_millisecond() -> None:
    whisper = vector({"media_hours": 360_000_000_000_000})  # 0.006 USD per minute
    assert cost_of(whisper, Usage(media_ms=90_000)) == (9_000_000, 0, 0)
    assert cost_of(whisper, Usage(media_ms=1)) == (100, 0, 0)
    gpu = vector({"gpu_hours": 4 * 10**15})
    assert cost_of(gpu, Usage(input=10), 1_800_000) == (2 * 10**9, 0, 0)
    assert gpu.gap(Usage(), None) == "duration unknown"
    assert gpu.charges(Usage(), 3_600_000) == [Charge("gpu_hours", 3_600_000, 4 * 10**15, 4 * 10**15, "gpu_hours", "")]
