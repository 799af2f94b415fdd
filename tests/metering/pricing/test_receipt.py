from __future__ import annotations

import datetime as dt
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from metering.events import BUCKETS, Usage
from metering.pricing.rate import Pricing
from metering.pricing.receipt import RatedCall, Receipt, exact_usd
from tests.metering.pricing.prices import ACME, BEGINNING, NOON, PriceBook, book, per_million, rate, version

RATES = (
    *per_million(input=2.5, cache_read=1.25, output=10, audio_input=40),
    *(rate("input", 5 * 10**9, above=1000), rate("web_searches", 10**13), rate("media_hours", 111 * 10**12)),
    *(rate("input", 10**9, tier="batch", note="half"), rate("output", 7, window=(dt.time(11), dt.time(13)))),
)


def receipt_of(prices: PriceBook, usage: Usage, tier: str = "", at: dt.datetime = NOON) -> tuple[RatedCall, Receipt]:
    rating = prices.rate(ACME, provider="openai", model="gpt-4o", occurred_at=at, usage=usage, service_tier=tier)
    call = RatedCall(
        occurred_at=at,
        usage=usage,
        pricing=rating.pricing,
        cost_nanos=rating.cost_nanos,
        price_version_id=rating.price_version_id,
        rule=rating.rule,
        service_tier=tier,
    )
    return call, prices.receipt(call)


COUNTS = st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    **dict.fromkeys((b for b in BUCKETS if b not in ("audio_output", "image_output")), COUNTS),
    web_searches=st.integers(0, 20),
    media_ms=COUNTS,
)


@given(USAGES, st.sampled_from(["", "batch"]), st.sampled_from([10, 12, 13]))
def test_the_receipt_recomputes_to_the_rated_cost(usage: Usage, tier: str, hour: int) -> None:
    call, receipt = receipt_of(book(version(1, RATES)), usage, tier, NOON.replace(hour=hour))
    assert receipt.is_reproduced
    assert receipt.total_nanos == call.cost_nanos
    assert round(sum(Fraction(line.amount_femtos, 10**6) for line in receipt.lines)) == call.cost_nanos
    for line in receipt.lines:
        unit = {"million tokens": 10**6, "search": 1, "hour": 3_600_000}[line.rate_unit]
        assert abs(Fraction(line.usd_per_unit) * line.count / unit - Fraction(line.amount_usd)) <= Fraction(
            1, 2 * 10**15
        )


def test_lines_say_what_was_charged_as_what() -> None:
    _, receipt = receipt_of(book(version(3, RATES)), Usage(input=100, reasoning=10, web_searches=2), "batch")
    assert [
        (line.bucket, line.count, line.usd_per_unit, line.rate_unit, line.charged_as) for line in receipt.lines
    ] == [
        ("input", 100, "1", "million tokens", "input"),
        ("reasoning", 10, "0.000000007", "million tokens", "output"),
        ("web_searches", 2, "0.01", "search", "web_searches"),
    ]
    assert receipt.lines[0].note == "half"
    assert (receipt.total_usd, receipt.exact_usd) == ("0.0201", "0.02010000000007")
    assert receipt.version is not None
    assert (receipt.version.id, receipt.version.source, receipt.version.valid_from) == (3, "test", BEGINNING)


def test_a_receipt_is_of_the_version_that_rated_even_when_another_holds_now() -> None:
    call, before = receipt_of(book(version(1, per_million(input=2))), Usage(input=1_000_000))
    later = book(version(1, per_million(input=2), valid_to=BEGINNING), version(2, per_million(input=9)))
    assert later.receipt(call) == msgspec.structs.replace(
        before, version=msgspec.structs.replace(before.version, valid_to=BEGINNING)
    )


def test_a_stored_cost_that_the_version_does_not_give_is_noticed() -> None:
    prices = book(version(1, RATES))
    call, _ = receipt_of(prices, Usage(input=100))
    assert not prices.receipt(msgspec.structs.replace(call, cost_nanos=1)).is_reproduced
    assert not prices.receipt(msgspec.structs.replace(call, price_version_id=99)).is_reproduced


def test_unpriced_and_free_calls_have_receipts_without_lines() -> None:
    _, unpriced = receipt_of(book(), Usage(input=100))
    assert (unpriced.pricing, unpriced.lines, unpriced.total_usd) == (Pricing.UNPRICED, (), None)
    assert unpriced.rule == "no price for openai/gpt-4o"
    assert unpriced.is_reproduced
    _, free = receipt_of(book(version(1, is_free=True)), Usage(input=100))
    assert (free.lines, free.total_usd, free.is_reproduced) == ((), "0", True)


def test_exact_dollars() -> None:
    assert [exact_usd(f) for f in (0, 1, 10**15, -(25 * 10**14), 10**16)] == [
        "0",
        "0.000000000000001",
        "1",
        "-2.5",
        "10",
    ]
