from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from metering.events import Usage
from metering.pricing.book import Alias, PriceBook
from metering.pricing.plan import Version
from metering.pricing.rate import Pricing, Rating
from tests.metering.pricing.prices import ACME, BEGINNING, GLOBEX, NOON, book, listed_name, per_million, rate, version

USAGE = Usage(input=1_000_000, output=1_000_000)
MICROSECOND = dt.timedelta(microseconds=1)
CUT = dt.datetime(2025, 6, 10, tzinfo=dt.UTC)
PRICES = per_million(input=2.5, cache_read=1.25, output=10)


def rated(
    prices: PriceBook,
    model: str = "gpt-4o",
    *,
    provider: str | None = "openai",
    organization_id: int = ACME,
    at: dt.datetime = NOON,
    usage: Usage | None = USAGE,
    tier: str | None = None,
    is_error: bool = False,
    duration_ms: int | None = None,
) -> Rating:
    return prices.rate(
        organization_id,
        provider=provider,
        model=model,
        occurred_at=at,
        usage=usage,
        service_tier=tier,
        is_error=is_error,
        duration_ms=duration_ms,
    )


def usd(rating: Rating) -> float | None:
    return None if rating.cost_nanos is None else rating.cost_nanos / 10**9


# ── The three states ──


def test_a_listed_model_is_priced_at_its_rates() -> None:
    rating = rated(book(version(7, PRICES)), usage=Usage(input=1000, cache_read=200, output=100))
    assert rating == Rating(Pricing.PRICED, 3_750_000, 2_750_000, 1_000_000, 7, "exact")
    assert rating.unit_cost_nanos == 0


def test_an_unknown_model_is_unpriced_and_never_free() -> None:
    rating = rated(book(version(7, PRICES)), "gpt-4o-my-finetune")
    assert rating == Rating(Pricing.UNPRICED, None, None, None, None, "no price for openai/gpt-4o-my-finetune")
    assert rating.unit_cost_nanos is None


def test_a_free_model_is_free_by_a_version() -> None:
    assert rated(book(version(7, is_free=True))) == Rating(Pricing.FREE, 0, 0, 0, 7, "exact")


def test_unknown_usage_is_unpriced_and_an_error_without_usage_costs_nothing() -> None:
    prices = book(version(7, PRICES))
    assert rated(prices, usage=None) == Rating(Pricing.UNPRICED, None, None, None, None, "usage unknown")
    assert rated(prices, usage=None, is_error=True) == Rating(Pricing.FREE, 0, 0, 0, None, "no usage")
    assert rated(prices, usage=Usage(), is_error=True).rule == "no usage"
    assert rated(prices, "no such model", usage=None, is_error=True).pricing == Pricing.FREE


def test_an_error_that_used_tokens_is_charged() -> None:
    assert usd(rated(book(version(7, PRICES)), is_error=True)) == 12.5


def test_a_call_with_a_part_that_has_no_rate_is_unpriced_as_a_whole() -> None:
    rating = rated(book(version(7, PRICES)), usage=Usage(input=1000, audio_input=1))
    assert (rating.pricing, rating.cost_nanos, rating.rule) == (Pricing.UNPRICED, None, "no rate for audio_input")


def test_a_version_without_rates_prices_nothing() -> None:
    assert rated(book(version(7))).rule == "no rate for input"


# ── When ──


def test_periods_are_half_open_to_the_microsecond() -> None:
    prices = book(
        version(1, per_million(input=10, output=40), valid_from=BEGINNING, valid_to=CUT),
        version(2, per_million(input=2, output=8), valid_from=CUT),
    )
    assert usd(rated(prices, at=CUT - MICROSECOND)) == 50
    assert usd(rated(prices, at=CUT)) == 10
    assert rated(prices, at=BEGINNING - MICROSECOND).rule == "no price at that time"
    assert usd(rated(prices, at=BEGINNING)) == 50


def test_the_hour_is_compared_as_an_instant_whatever_its_zone() -> None:
    prices = book(
        version(1, per_million(input=10, output=40), valid_to=CUT),
        version(2, per_million(input=2, output=8), valid_from=CUT),
    )
    tokyo = dt.timezone(dt.timedelta(hours=9))
    assert usd(rated(prices, at=dt.datetime(2025, 6, 10, 8, 59, 59, tzinfo=tokyo))) == 50
    assert usd(rated(prices, at=dt.datetime(2025, 6, 10, 9, tzinfo=tokyo))) == 10


def test_a_version_that_was_taken_back_prices_nothing_but_is_kept() -> None:
    prices = book(version(1, PRICES, valid_to=BEGINNING))
    assert rated(prices).pricing == Pricing.UNPRICED
    kept = prices.version(1)
    assert kept is not None
    assert kept.rates == PRICES


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("16:29:59.999999", 2.2),
        ("16:30", 1.1),
        ("23:59", 1.1),
        ("00:00", 1.1),
        ("00:29:59.999999", 1.1),
        ("00:30", 2.2),
    ],
)
def test_a_daily_window_across_midnight(time: str, expected: float) -> None:
    night = (dt.time(16, 30), dt.time(0, 30))
    prices = book(
        version(
            1, (*per_million(input=1.1, output=1.1), *(rate(b, 550_000_000, window=night) for b in ("input", "output")))
        )
    )
    at = dt.datetime.combine(NOON.date(), dt.time.fromisoformat(time), tzinfo=dt.UTC)
    assert usd(rated(prices, at=at)) == expected


def test_a_window_prices_only_its_own_buckets() -> None:
    morning = (dt.time(1), dt.time(4))
    prices = book(version(1, (*per_million(input=1, output=4), rate("input", 2 * 10**9, window=morning))))
    assert usd(rated(prices, at=NOON.replace(hour=2))) == 6
    assert usd(rated(prices, at=NOON.replace(hour=4))) == 5


# ── How much, in which tier ──


@pytest.mark.parametrize(("prompt", "expected"), [(200_000, 0.2), (200_001, 0.400002)])
def test_a_long_prompt_is_charged_entirely_at_the_long_rate(prompt: int, expected: float) -> None:
    prices = book(version(1, (*per_million(input=1, output=4), rate("input", 2 * 10**9, above=200_000))))
    assert usd(rated(prices, usage=Usage(input=prompt))) == expected
    assert usd(rated(prices, usage=Usage(input=prompt - 1000, cache_read=1000))) == expected


def test_the_output_of_a_long_prompt_has_the_long_rate_too() -> None:
    prices = book(version(1, (*per_million(input=1, output=4), rate("output", 6 * 10**9, above=200_000))))
    assert usd(rated(prices, usage=Usage(input=1_000_000, output=1_000_000))) == 7
    assert usd(rated(prices, usage=Usage(input=1000, output=1_000_000))) == 4.001


def test_tiers_have_their_own_rates_and_keep_the_standard_ones_of_other_buckets() -> None:
    prices = book(
        version(1, (*PRICES, rate("input", 1_250_000_000, tier="batch"), rate("output", 5 * 10**9, tier="batch")))
    )
    assert usd(rated(prices, tier="batch")) == 6.25
    assert usd(rated(prices, tier="Batch")) == 6.25
    assert usd(rated(prices, usage=Usage(cache_read=1_000_000), tier="batch")) == 1.25


@pytest.mark.parametrize("tier", [None, "", "standard", "default", "auto", "STANDARD", "on_demand"])
def test_names_of_the_standard_tier(tier: str | None) -> None:
    assert usd(rated(book(version(1, PRICES)), tier=tier)) == 12.5


def test_a_tier_without_rates_is_unpriced() -> None:
    rating = rated(book(version(1, PRICES)), tier="flex")
    assert (rating.pricing, rating.rule) == (Pricing.UNPRICED, "no flex rates for gpt-4o")


# ── Whose ──


def own(version_id: int, price: float, **fields: Any) -> Version:
    rates = per_million(input=price, output=price)
    return version(version_id, rates, **{"organization_id": ACME, "kind": "override", **fields})


def test_an_organizations_price_beats_the_list_and_is_nobody_elses() -> None:
    prices = book(version(1, PRICES), own(2, 1))
    assert (usd(rated(prices)), rated(prices).rule, rated(prices).price_version_id) == (2, "override", 2)
    assert rated(prices, organization_id=GLOBEX).price_version_id == 1


def test_outside_of_its_period_the_list_price_holds() -> None:
    prices = book(version(1, PRICES), own(2, 1, valid_from=CUT, valid_to=NOON))
    assert rated(prices, at=CUT).price_version_id == 2
    assert rated(prices, at=CUT - MICROSECOND).price_version_id == 1
    assert rated(prices, at=NOON).price_version_id == 1


def test_an_override_of_the_model_holds_for_its_dated_names_and_the_dated_one_only_for_itself() -> None:
    name = listed_name("openai", "gpt-4o-2024-08-06", "gpt-4o")
    everything = book(version(1, PRICES), own(2, 1), names=(name,))
    assert rated(everything, "gpt-4o-2024-08-06").price_version_id == 2
    dated = book(version(1, PRICES), own(2, 1, model="gpt-4o-2024-08-06"), names=(name,))
    assert rated(dated, "gpt-4o-2024-08-06").price_version_id == 2
    assert rated(dated, "gpt-4o").price_version_id == 1


def test_a_custom_model_with_and_without_a_provider() -> None:
    prices = book(
        own(1, 1, provider="", model="llama-acme", kind="custom"),
        own(2, 2, provider="vllm", model="llama-acme", kind="custom"),
    )
    assert (rated(prices, "Llama-Acme", provider=None).rule, usd(rated(prices, "llama-acme", provider=None))) == (
        "custom",
        2,
    )
    assert usd(rated(prices, "llama-acme", provider="vllm")) == 4
    assert rated(prices, "llama-acme", provider="vllm", organization_id=GLOBEX).pricing == Pricing.UNPRICED


def test_an_organizations_name_of_a_deployment() -> None:
    alias = Alias(ACME, "azure", "prod-chat", "openai", "gpt-4o")
    prices = book(version(1, PRICES), names=(alias,))
    assert rated(prices, "prod-chat", provider="azure_openai").rule == "own alias of gpt-4o; exact"
    assert rated(prices, "prod-chat", provider="openai").pricing == Pricing.UNPRICED
    assert rated(prices, "prod-chat", provider="azure", organization_id=GLOBEX).pricing == Pricing.UNPRICED


def test_made_up_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.pricing.book._MAX_RESOLVED", 10)
    prices = book(version(1, PRICES))
    for number in range(100):
        rated(prices, f"model-{number}")
    assert len(prices._resolved) <= 10
    assert usd(rated(prices)) == 12.5


def test_effective_prices_show_the_organizations_own_first() -> None:
    prices = book(version(1, PRICES), own(2, 1), version(3, PRICES, model="gpt-4.1", valid_to=CUT))
    assert [v.id for v in prices.effective(ACME, NOON)] == [2]
    assert [v.id for v in prices.effective(GLOBEX, NOON)] == [1]
    assert [v.id for v in prices.effective(GLOBEX, CUT - MICROSECOND)] == [3, 1]
