from __future__ import annotations

import pytest

from metering.events import Usage
from metering.pricing.aliases import canonical_provider, names, provider_in_name
from tests.metering.pricing.prices import ACME, NOON, PriceBook, Version, book, listed_name, per_million, version

PRICES = per_million(input=1, output=1)
SONNET = "regional.anthropic.claude-sonnet-4-5-20250929-v1:0"
GLOBAL_SONNET = "global.anthropic.claude-sonnet-4-5-20250929-v1:0"


def price_book() -> PriceBook:
    listed: list[Version] = [
        version(number, PRICES, provider=provider, model=model)
        for number, (provider, model) in enumerate(
            [
                ("openai", "gpt-4o"),
                ("openai", "gpt-4o-2024-05-13"),
                ("openai", "ft:gpt-4o-mini"),
                ("openai", "gpt-3.5-turbo"),
                ("openrouter", "openai/gpt-4o"),
                ("anthropic", "claude-sonnet-4-5"),
                ("google", "gemini-2.5-pro"),
                ("google", "claude-haiku-4-5"),
                ("aws", "amazon.nova-lite-v1:0"),
                ("aws", SONNET),
                ("aws", GLOBAL_SONNET),
                ("groq", "llama-3.3-70b-versatile"),
                ("deepseek", "deepseek-chat"),
            ],
            start=1,
        )
    ]
    return book(
        *listed,
        names=(
            listed_name("openai", "gpt-4o-2024-08-06", "gpt-4o"),
            listed_name("aws", "amazon.nova-lite", "amazon.nova-lite-v1:0"),
            listed_name("aws", "us.anthropic.claude-sonnet-4-5-20250929", SONNET),
            listed_name("aws", "anthropic.claude-sonnet-4-5-20250929", SONNET),
            listed_name("aws", "global.anthropic.claude-sonnet-4-5-20250929", GLOBAL_SONNET),
        ),
    )


@pytest.mark.parametrize(
    ("provider", "model", "listed", "rule"),
    [
        ("openai", "gpt-4o", ("openai", "gpt-4o"), "exact"),
        ("OpenAI", " GPT-4o ", ("openai", "gpt-4o"), "exact"),
        (None, "gpt-4o", ("openai", "gpt-4o"), "exact"),
        (None, "openai/gpt-4o", ("openai", "gpt-4o"), "exact"),
        ("openai", "openai/gpt-4o", ("openai", "gpt-4o"), "alias: gpt-4o (without path)"),
        ("openrouter", "openai/gpt-4o", ("openrouter", "openai/gpt-4o"), "exact"),
        (None, "openrouter/openai/gpt-4o", ("openrouter", "openai/gpt-4o"), "exact"),
        ("openai", "gpt-4o-2024-08-06", ("openai", "gpt-4o"), "alias: gpt-4o (listed name)"),
        ("openai", "gpt-4o-20240806", ("openai", "gpt-4o"), "alias: gpt-4o (other spelling of the date)"),
        ("openai", "gpt-4o-2024-05-13", ("openai", "gpt-4o-2024-05-13"), "exact"),
        ("openai", "gpt-4o-2026-02-28", ("openai", "gpt-4o"), "alias: gpt-4o (dated release)"),
        ("openai", "gpt-4o-latest", ("openai", "gpt-4o"), "alias: gpt-4o (latest release)"),
        (
            "openai",
            "ft:gpt-4o-mini-2024-07-18:acme::a1b2",
            ("openai", "ft:gpt-4o-mini"),
            "alias: ft:gpt-4o-mini (dated release)",
        ),
        ("azure_openai", "gpt-4o", ("openai", "gpt-4o"), "alias: openai/gpt-4o (resold)"),
        ("azure", "azure/gpt-4o", ("openai", "gpt-4o"), "alias: openai/gpt-4o (resold)"),
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            ("anthropic", "claude-sonnet-4-5"),
            "alias: claude-sonnet-4-5 (dated release)",
        ),
        (
            "vertex_ai",
            "claude-haiku-4-5@20251001",
            ("google", "claude-haiku-4-5"),
            "alias: claude-haiku-4-5 (dated release)",
        ),
        (
            "vertex_ai",
            "claude-sonnet-4-5@20250929",
            ("anthropic", "claude-sonnet-4-5"),
            "alias: anthropic/claude-sonnet-4-5 (resold)",
        ),
        ("gemini", "models/gemini-2.5-pro", ("google", "gemini-2.5-pro"), "alias: gemini-2.5-pro (without path)"),
        (
            None,
            "projects/p1/locations/europe-west4/publishers/google/models/gemini-2.5-pro-002",
            ("google", "gemini-2.5-pro"),
            "alias: gemini-2.5-pro (numbered revision)",
        ),
        (
            "bedrock",
            "us.amazon.nova-lite-v1:0",
            ("aws", "amazon.nova-lite-v1:0"),
            "alias: amazon.nova-lite-v1:0 (without geography)",
        ),
        (None, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", ("aws", SONNET), f"alias: {SONNET} (without revision)"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ("aws", SONNET),
            f"alias: {SONNET} (without revision)",
        ),
        (
            "bedrock",
            "bedrock/eu-west-1/anthropic.claude-sonnet-4-5-20250929-v1:0",
            ("aws", SONNET),
            f"alias: {SONNET} (without revision)",
        ),
        (
            "aws",
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ("aws", GLOBAL_SONNET),
            "exact",
        ),
    ],
)
def test_names_that_calls_carry(provider: str | None, model: str, listed: tuple[str, str], rule: str) -> None:
    resolved = price_book().resolve(ACME, provider, model)
    assert resolved.listed == listed
    rating = price_book().rate(ACME, provider=provider, model=model, occurred_at=NOON, usage=Usage(input=1))
    assert rating.rule == rule[:80]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-my-finetune"),
        ("openai", "gpt-4o-2024-13-45"),
        ("openai", "gpt-4o-2024-08-06-acme"),
        ("openai", "my-gpt-4o"),
        ("openai", "gpt-4"),
        ("openai", "ft:gpt-4o:acme::a1b2"),
        ("azure", "our-gpt-4o"),
        ("azure", "prod"),
        ("acme-gateway", "gpt-4o"),
        ("ollama", "gpt-4o"),
        ("anthropic", "gpt-4o"),
        (None, "llama-3.3-70b-versatile"),
        (None, "groq-like/llama-3.3-70b-versatile"),
        ("aws", "us.anthropic.claude-sonnet-4-5-20250929-acme-v1:0"),
        ("aws", "global.amazon.nova-lite-v1:0"),
        ("google", "models/gemini-2.5-pro/tuned"),
        ("openai", ""),
        ("openai", "/"),
    ],
)
def test_what_only_resembles_a_model_is_not_it(provider: str | None, model: str) -> None:
    resolved = price_book().resolve(ACME, provider, model)
    assert resolved.listed is None
    assert resolved.reason.startswith("no price for")


def test_a_name_two_makers_use_is_ambiguous() -> None:
    prices = book(
        version(1, PRICES, provider="mistral", model="nova"), version(2, PRICES, provider="cohere", model="nova")
    )
    assert prices.resolve(ACME, None, "nova").reason == "ambiguous: mistral, cohere"
    assert prices.resolve(ACME, "cohere", "nova").listed == ("cohere", "nova")


def test_hosted_open_models_need_their_host() -> None:
    assert price_book().resolve(ACME, "groq", "llama-3.3-70b-versatile").listed is not None
    assert provider_in_name("groq/llama-3.3-70b-versatile") == ("groq", "llama-3.3-70b-versatile")


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("Azure_OpenAI", "azure"),
        ("gcp.vertex_ai", "google"),
        ("aws.bedrock", "aws"),
        ("xai", "x-ai"),
        ("vllm", "vllm"),
        (None, ""),
    ],
)
def test_providers_by_their_other_names(given: str | None, known: str) -> None:
    assert canonical_provider(given) == known


def test_every_spelling_comes_once_and_the_given_one_first() -> None:
    spellings = [name for name, _ in names("aws", "us.anthropic.claude-3-5-sonnet-20241022-v2:0")]
    assert spellings[0] == "us.anthropic.claude-3-5-sonnet-20241022-v2:0"
    assert spellings[-1] == "claude-3-5-sonnet-20241022"
    assert len(spellings) == len(set(spellings))
