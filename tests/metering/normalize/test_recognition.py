"""Which normalizer reads an object: the named provider's, or the one its shape belongs to."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from metering.events import Usage
from metering.normalize import ALIASES, DIALECTS, PROVIDERS, SHAPES, UsageError, normalize

CLAUDE = {"input_tokens": 4, "cache_read_input_tokens": 100, "output_tokens": 7}
CHAT = {"prompt_tokens": 104, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 100}}
GEMINI = {"promptTokenCount": 104, "cachedContentTokenCount": 100, "candidatesTokenCount": 7}
CONVERSE = {"inputTokens": 4, "cacheReadInputTokens": 100, "outputTokens": 7}
OURS = {"input": 4, "cache_read": 100, "output": 7}
SAME = Usage(input=4, cache_read=100, output=7)


@pytest.mark.parametrize("provider", [*PROVIDERS, *ALIASES, "someone else", "", None])
@pytest.mark.parametrize(
    "raw", [CLAUDE, CHAT, GEMINI, CONVERSE, OURS], ids=["claude", "chat", "gemini", "converse", "ours"]
)
def test_every_shape_is_read_whoever_is_named(provider: str | None, raw: dict[str, Any]) -> None:
    assert normalize(raw, provider=provider).usage == SAME


@pytest.mark.parametrize("name", ["Azure", "azure-openai", "AZURE_OPENAI", "X-AI", "Vertex AI", "z.ai", " google "])
def test_provider_names_are_folded(name: str) -> None:
    raw = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert normalize(raw, provider=name).usage == Usage(input=1, output=2)


def test_an_alias_brings_its_provider_s_rules() -> None:
    raw = {"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}
    assert normalize(raw, provider="X-AI") == normalize(raw, provider="xai") != normalize(raw, provider="openai")


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
            Usage(input=5, cache_read=4, output=1),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 54, "prompt_audio_seconds": 4},
            Usage(input=3, audio_input=50, output=1, media_ms=4000),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 1, "num_search_queries": 2, "citation_tokens": 10},
            Usage(input=13, output=1, web_searches=2),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 1, "server_tool_use_details": {"web_search_requests": 2}},
            Usage(input=3, output=1, web_searches=2),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 1,
                "completion_tokens_details": {"reasoning_tokens": 8},
                "cost_in_usd_ticks": 5,
            },
            Usage(input=3, output=1, reasoning=8),
        ),
    ],
)
def test_dialects_are_recognized_without_a_name(raw: dict[str, Any], usage: Usage) -> None:
    assert normalize(raw).usage == usage


def test_a_total_does_not_hide_our_own_buckets() -> None:
    assert normalize({"input": 5, "output": 3, "total_tokens": 8}, provider="openai").usage == Usage(input=5, output=3)


@pytest.mark.parametrize(
    "body",
    [
        {"id": "x", "usage": CLAUDE},
        {"usageMetadata": GEMINI, "modelVersion": "gemini"},
        {"response": {"id": "x", "usage": CHAT}},
    ],
)
def test_a_body_around_the_usage_object_is_seen_through(body: dict[str, Any]) -> None:
    assert normalize(body).usage == SAME


@pytest.mark.parametrize(
    "raw", [{"foo": 1}, {"topicPolicyUnits": 1, "wordPolicyUnits": 0}, {"usage": {"usage": CLAUDE}}]
)
def test_an_unknown_shape_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        normalize(raw, provider="bedrock")
    assert caught.value.code == "unrecognized_usage"
    assert caught.value.param == "usage"


def test_the_tables_agree() -> None:
    assert set(ALIASES.values()) | set(SHAPES) | set(DIALECTS.values()) <= set(PROVIDERS)
    assert not set(ALIASES) & set(PROVIDERS)
    for path in PROVIDERS.values():
        module = import_module(path)
        assert callable(module.matches)
        assert callable(module.normalize)
