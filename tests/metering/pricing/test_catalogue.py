"""What the installed catalogue becomes. Figures are of dated prices, which do not change with its next release."""

from __future__ import annotations

import datetime as dt

import pytest

from metering.events import Usage
from metering.pricing.aliases import RESELLERS
from metering.pricing.book import PriceBook
from metering.pricing.catalogue import BEGINNING, ListedModel, listed_models, supplemented
from metering.pricing.rate import Pricing, Rate, Rating
from tests.metering.pricing.prices import ACME, catalogue_book

MILLION = Usage(input=1_000_000, output=1_000_000)


@pytest.fixture(scope="module")
def listed() -> list[ListedModel]:
    return listed_models()


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return catalogue_book()


def on(prices: PriceBook, provider: str | None, model: str, at: str, usage: Usage = MILLION, tier: str = "") -> Rating:
    moment = dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC)
    return prices.rate(ACME, provider=provider, model=model, occurred_at=moment, usage=usage, service_tier=tier)


def usd(rating: Rating) -> float | None:
    return None if rating.cost_nanos is None else rating.cost_nanos / 10**9


def test_timelines_are_contiguous_from_the_beginning_on(listed: list[ListedModel]) -> None:
    assert len(listed) > 2000
    for model in listed:
        assert model.spans[0][0] == BEGINNING
        assert model.spans[-1][1] is None
        for (_, end, before), (start, _, after) in zip(model.spans, model.spans[1:], strict=False):
            assert end == start
            assert before.figures != after.figures


def test_names_are_of_one_model_of_a_provider(listed: list[ListedModel]) -> None:
    names = [(model.provider, name) for model in listed for name in model.names]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for _, name in names)


def test_no_version_has_two_rates_for_the_same_conditions(listed: list[ListedModel]) -> None:
    for model in listed:
        for _, _, content in model.spans:
            keys = [(r.bucket, r.service_tier, r.above_tokens, r.starts_at) for r in content.rates]
            assert len(keys) == len(set(keys)), (model.provider, model.model)
            assert all(len(rate.note) <= 120 and len(rate.service_tier) <= 20 for rate in content.rates)
        assert len(model.source) <= 80


def test_resellers_are_the_catalogues() -> None:
    from genai_prices.data import providers

    fallbacks = {p.id: tuple(p.fallback_model_providers) for p in providers if p.fallback_model_providers}
    assert fallbacks == RESELLERS


def test_o3_was_cut_on_2025_06_10(prices: PriceBook) -> None:
    assert usd(on(prices, "openai", "o3", "2025-06-09T23:59:59.999999")) == 50
    assert usd(on(prices, "openai", "o3-2025-04-16", "2025-06-10T00:00:00")) == 10


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2025-01-15T12:00", 0.42),
        ("2025-02-20T20:00", 1.37),
        ("2025-05-01T16:29:59.999999", 1.37),
        ("2025-05-01T16:30", 0.685),
        ("2025-05-02T00:29", 0.685),
        ("2025-05-02T00:30", 1.37),
        ("2025-09-10T20:00", 2.24),
        ("2025-10-01T20:00", 0.70),
    ],
)
def test_deepseek_by_date_and_hour(prices: PriceBook, at: str, expected: float) -> None:
    assert usd(on(prices, "deepseek", "deepseek-chat", at)) == expected


def test_deepseeks_peak_hours_belong_to_the_price_they_stand_behind(prices: PriceBook) -> None:
    assert usd(on(prices, "deepseek", "deepseek-v4-flash", "2026-08-20T02:00")) == 0.88
    assert usd(on(prices, "deepseek", "deepseek-v4-flash", "2026-09-12T02:00")) == 1.5
    assert usd(on(prices, "deepseek", "deepseek-v4-flash", "2026-09-12T04:00")) == 0.75


def test_a_snapshot_with_its_own_price_keeps_it(prices: PriceBook) -> None:
    assert usd(on(prices, "openai", "gpt-4o-2024-05-13", "2024-06-01")) == 20
    assert usd(on(prices, "openai", "gpt-4o-2024-08-06", "2024-09-01")) == 12.5


def test_one_hour_caches_of_claude_cost_twice_the_input_wherever_it_is_sold(prices: PriceBook) -> None:
    usage = Usage(cache_write_1h=1_000_000)
    assert usd(on(prices, "anthropic", "claude-sonnet-4-5", "2026-05-01", usage)) == 12  # above 200,000 tokens
    assert usd(on(prices, "anthropic", "claude-sonnet-4-0", "2026-05-01", usage)) == 6
    rating = on(prices, "openrouter", "anthropic/claude-sonnet-4", "2026-05-01", usage)
    assert rating.rule == "exact"
    assert usd(rating) in (6, 12)


def test_batches_are_half_price_also_before_the_catalogue_checked(prices: PriceBook) -> None:
    assert usd(on(prices, "openai", "gpt-4o", "2025-01-01", tier="batch")) == 6.25
    assert usd(on(prices, "openai", "o3", "2025-05-01", tier="batch")) == 25
    small = Usage(input=100_000, output=100_000)
    assert usd(on(prices, "anthropic", "claude-sonnet-4-5", "2025-12-01", small, "batch")) == 0.9


def test_gemini_charges_audio_like_text_unless_it_lists_it(prices: PriceBook) -> None:
    usage = Usage(audio_input=100_000)
    assert usd(on(prices, "google", "gemini-2.5-pro", "2026-05-01", usage)) == 0.125
    assert usd(on(prices, "google", "gemini-2.5-flash", "2026-05-01", usage)) == 0.1


def test_long_prompts(prices: PriceBook) -> None:
    assert usd(on(prices, "google", "gemini-2.5-pro", "2026-05-01", Usage(input=200_000))) == 0.25
    assert usd(on(prices, "google", "gemini-2.5-pro", "2026-05-01", Usage(input=200_001))) == 0.5000025


def test_an_empty_price_is_free_only_where_somebody_says_so(prices: PriceBook) -> None:
    assert on(prices, "openrouter", "deepseek/deepseek-r1:free", "2026-05-01").pricing == Pricing.FREE
    assert on(prices, "openai", "omni-moderation-latest", "2026-05-01").pricing == Pricing.FREE
    assert on(prices, "cerebras", "qwen-3-coder-480b", "2026-05-01").pricing == Pricing.UNPRICED
    assert on(prices, "openrouter", "google/lyria-3-pro-preview", "2026-05-01").pricing == Pricing.UNPRICED


def test_transcription_by_the_hour(prices: PriceBook) -> None:
    rating = on(prices, "groq", "whisper-large-v3", "2026-05-01", Usage(media_ms=3_600_000))
    assert usd(rating) == 0.111


def test_supplements_take_the_place_of_the_catalogues_entry() -> None:
    stale = ListedModel(
        "mistral", "mistral-large", frozenset({"mistral-large", "mistral-large-latest"}), (), "catalogue"
    )
    result = supplemented([stale])
    assert [model.names for model in result if model.model == "mistral-large"] == [frozenset({"mistral-large"})]
    assert sum(model.model == "mistral-large-latest" for model in result) == 1
    assert all(isinstance(rate, Rate) for model in result for _, _, prices in model.spans for rate in prices.rates)
