"""Which tokenizer a model has."""

from __future__ import annotations

import pytest

from metering.estimate.tokenizers import maker_of, tokenizer_of


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("gpt-5.6-sol", "o200k_base"),
        ("o1", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("o4-mini-2025-04-16", "o200k_base"),
        ("gpt-oss-120b", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("OpenAI/GPT-4o", "o200k_base"),
        ("openai.gpt-oss-120b-1:0", "o200k_base"),
        ("ft:gpt-4o-mini:acme::7p4lURel", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo:acme::id", "cl100k_base"),
        ("davinci-002", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
    ],
)
def test_models_of_openai_are_exact(model: str, vocabulary: str) -> None:
    tokenizer = tokenizer_of(model)
    assert (tokenizer.vocabulary, tokenizer.is_exact, tokenizer.percent) == (vocabulary, True, 100)
    assert tokenizer.name == vocabulary


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-sonnet-4-5", "claude"),
        ("claude-3-5-haiku-latest", "claude"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude"),
        ("anthropic/claude-opus-4.6", "claude"),
        ("claude-opus-4-7", "claude-5"),
        ("claude-opus-4.8", "claude-5"),
        ("claude-sonnet-5", "claude-5"),
        ("models/gemini-2.5-pro", "gemini"),
        ("publishers/google/models/gemini-3-flash-preview", "gemini"),
        ("mistral-large-latest", "mistral"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistral"),
        ("codestral-2508", "mistral"),
        ("deepseek-chat", "deepseek"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama"),
        ("qwen/qwen3-32b", "qwen"),
        ("command-r-plus", "cohere"),
        ("us.amazon.nova-micro-v1:0", "nova"),
        ("z-ai/glm-4.6", "glm"),
        ("grok-4", "grok"),
        ("palmyra-x4", "other"),
        ("", "other"),
    ],
)
def test_other_families_are_approximations(model: str, family: str) -> None:
    tokenizer = tokenizer_of(model)
    assert (tokenizer.family, tokenizer.is_exact, tokenizer.is_frame_exact) == (family, False, False)
    assert family in tokenizer.name


def test_the_provider_decides_where_the_name_says_nothing() -> None:
    assert tokenizer_of("my-deployment", "azure").family == "openai"
    assert not tokenizer_of("my-deployment", "azure").is_exact
    assert tokenizer_of("next-model", "anthropic").family == "claude-5"
    assert tokenizer_of("next-model", "vertex_ai").family == "gemini"
    assert tokenizer_of("gpt-4o", "anthropic").family == "gpt-4o"


def test_what_only_resembles_a_model_of_openai_is_not_exact() -> None:
    assert not tokenizer_of("my-gpt-4o-clone").is_exact
    assert not tokenizer_of("gpt-4all").is_exact


def test_scaling_rounds_up() -> None:
    tokenizer = tokenizer_of("claude-sonnet-4-5")
    assert tokenizer.percent == 114
    assert tokenizer.scaled(1) == 2
    assert tokenizer.scaled(100) == 114
    assert tokenizer.scaled(0) == 0


def test_makers() -> None:
    assert maker_of("claude-sonnet-4-5") == "anthropic"
    assert maker_of("gpt-4o-mini") == "openai"
    assert maker_of("llama-3.3-70b") is None
    assert maker_of("gpt-oss-120b") is None
