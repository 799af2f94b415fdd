"""The cost of what was counted."""

from __future__ import annotations

import datetime as dt

from metering.estimate.count import Count
from metering.estimate.quote import default_output, quote
from metering.pricing.book import PriceBook
from metering.pricing.plan import Version
from metering.pricing.rate import Rate

AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
BEGINNING = dt.datetime(2018, 1, 1, tzinfo=dt.UTC)
MIDNIGHT = dt.time(0)
COUNT = Count(1_000, "o200k_base", is_exact=True)


def listed(version_id: int, provider: str, model: str, nanos: int) -> Version:
    rates = (
        Rate("input", "", 0, MIDNIGHT, MIDNIGHT, nanos * 10**6),
        Rate("output", "", 0, MIDNIGHT, MIDNIGHT, 4 * nanos * 10**6),
    )
    return Version(version_id, None, "list", provider, model, BEGINNING, None, False, "test", rates)


BOOK = PriceBook(
    [
        listed(1, "openai", "gpt-4o", 2_500),
        listed(2, "anthropic", "claude-sonnet-4-5", 3_000),
        listed(3, "google", "claude-sonnet-4-5", 3_300),
        listed(4, "groq", "llama-3.3-70b", 600),
    ]
)


def test_the_cost_is_split() -> None:
    found = quote(BOOK, 1, COUNT, 100, AT, model="gpt-4o")
    assert (found.input_cost_nanos, found.output_cost_nanos, found.cost_nanos) == (2_500_000, 1_000_000, 3_500_000)
    assert found.tokens == 1_100


def test_what_several_sell_costs_what_its_maker_asks() -> None:
    assert quote(BOOK, 1, COUNT, 0, AT, model="claude-sonnet-4-5").cost_nanos == 3_000_000
    assert quote(BOOK, 1, COUNT, 0, AT, model="claude-sonnet-4-5", provider="google").cost_nanos == 3_300_000


def test_unpriced_is_not_zero() -> None:
    found = quote(BOOK, 1, COUNT, 100, AT, model="llama-3.3-70b")
    assert found.cost_nanos is found.input_cost_nanos is found.output_cost_nanos is None
    assert quote(BOOK, 1, COUNT, 100, AT, model="groq/llama-3.3-70b").cost_nanos == 840_000


def test_embeddings_put_nothing_out() -> None:
    assert default_output("text-embedding-3-small") == default_output("cohere/embed-v4.0") == 0
    assert default_output("gpt-4o") == 4_096
