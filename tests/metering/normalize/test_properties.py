"""What holds for every object: the sum is the provider's total, and nothing but UsageError is raised."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.events import BUCKETS, MAX_COUNT, UNITS, Usage
from metering.normalize import ALIASES, PROVIDERS, UsageError, extract, fold_stream, normalize
from metering.normalize.bedrock import MARKS as BEDROCK_FIELDS
from metering.normalize.gemini import MARKS as GEMINI_FIELDS
from metering.normalize.gemini import SNAKE
from metering.normalize.locate import PATHS
from metering.normalize.openai import ANTHROPIC_MARKS, CACHE_BESIDE, CHAT, RESPONSES
from metering.normalize.own import NAMES

tokens = st.integers(0, 10**8)

FIELDS = sorted(
    {
        *CHAT, *RESPONSES, *ANTHROPIC_MARKS, *CACHE_BESIDE, *GEMINI_FIELDS, *SNAKE, *BEDROCK_FIELDS, *NAMES,
        *(name for path in PATHS for name in path),
        "total_tokens", "cached_tokens", "audio_tokens", "image_tokens", "video_tokens", "reasoning_tokens", "type",
        "input_token_details", "output_token_details", "cached_tokens_details", "cache_creation_tokens",
        "cache_creation_token_details", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "thinking_tokens",
        "web_search_requests", "billed_units", "tokens", "search_units", "results", "tokenCount", "input_token_count",
        "generated_token_count", "predict_time", "prompt_eval_count", "eval_count", "cacheDetails", "ttl", "modality",
        "prompt_cache_miss_tokens", "num_sources_used", "server_side_tool_usage_details", "cost_details",
        "citation_tokens", "num_search_queries", "prompt_audio_seconds", "pages_processed", "service_tier", "choices",
        "data", "url", "amazon-bedrock-invocationMetrics", "x-amzn-bedrock-input-token-count", "status",
        "candidates", "incomplete_details",
    }
)  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 500)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["AUDIO", "IMAGE", "TEXT", "duration", "compaction", "message_delta", "1h", "7"])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=14,
)
objects = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=8)
providers = st.none() | st.sampled_from([*PROVIDERS, *ALIASES, "someone"])


def _is_sound(usage: Usage) -> bool:
    return all(type(getattr(usage, name)) is int and 0 <= getattr(usage, name) <= MAX_COUNT for name in BUCKETS + UNITS)


@given(tokens, tokens, tokens, tokens, tokens, tokens, tokens, st.booleans())
def test_openai_sum_is_the_total(
    text: int, cached: int, written: int, audio: int, output: int, reasoning: int, spoken: int, is_chat: bool
) -> None:
    prompt, completion = text + cached + written + audio, output + reasoning + spoken
    names = CHAT if is_chat else RESPONSES
    raw = {
        names[0]: prompt,
        names[1]: completion,
        "total_tokens": prompt + completion,
        names[2]: {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio},
        names[3]: {"reasoning_tokens": reasoning, "audio_tokens": spoken},
    }
    for provider in ("openai", "azure", None):
        normalized = normalize(raw, provider=provider)
        assert normalized.notes == ()
        assert normalized.usage == Usage(
            input=text,
            cache_read=cached,
            cache_write_5m=written,
            audio_input=audio,
            output=output,
            reasoning=reasoning,
            audio_output=spoken,
        )
        assert normalized.usage.total_tokens == raw["total_tokens"]


@given(tokens, tokens, tokens, tokens, tokens, tokens, st.integers(0, 50))
def test_anthropic_buckets_are_what_it_says(
    fresh: int, cached: int, short: int, hour: int, output: int, thinking: int, searches: int
) -> None:
    raw = {
        "input_tokens": fresh,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": short + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output + thinking,
        "output_tokens_details": {"thinking_tokens": thinking},
        "server_tool_use": {"web_search_requests": searches},
    }
    for provider in ("anthropic", "bedrock", None):
        normalized = normalize(raw, provider=provider)
        assert normalized.notes == ()
        assert normalized.usage == Usage(
            input=fresh,
            cache_read=cached,
            cache_write_5m=short,
            cache_write_1h=hour,
            output=output,
            reasoning=thinking,
            web_searches=searches,
        )


@given(st.lists(tokens, min_size=9, max_size=9))
def test_gemini_sum_is_the_total(parts: list[int]) -> None:
    text, audio, image, cached_text, cached_audio, candidates, picture, thoughts, tool_use = parts
    prompt = text + audio + image + cached_text + cached_audio
    raw = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": cached_text + cached_audio,
        "candidatesTokenCount": candidates + picture,
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tool_use,
        "totalTokenCount": prompt + candidates + picture + thoughts + tool_use,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": text + cached_text},
            {"modality": "AUDIO", "tokenCount": audio + cached_audio},
            {"modality": "IMAGE", "tokenCount": image},
        ],
        "cacheTokensDetails": [
            {"modality": "TEXT", "tokenCount": cached_text},
            {"modality": "AUDIO", "tokenCount": cached_audio},
        ],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": picture}],
    }
    normalized = normalize(raw, provider="google")
    assert normalized.notes == ()
    assert normalized.usage == Usage(
        input=text + tool_use,
        cache_read=cached_text + cached_audio,
        audio_input=audio,
        image_input=image,
        output=candidates,
        image_output=picture,
        reasoning=thoughts,
    )
    assert normalized.usage.total_tokens == raw["totalTokenCount"]


@given(tokens, tokens, tokens, tokens, tokens, tokens, tokens, tokens)
def test_no_detail_can_change_an_openai_sum(
    prompt: int, completion: int, cached: int, written: int, audio: int, image: int, reasoning: int, spoken: int
) -> None:
    usage = normalize(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_write_tokens": written,
                "audio_tokens": audio,
                "image_tokens": image,
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
        },
        provider="openai",
    ).usage
    assert usage is not None
    assert _is_sound(usage)
    assert (usage.prompt_tokens, usage.completion_tokens) == (prompt, completion)


bad = (
    st.integers(max_value=-1)
    | st.integers(min_value=MAX_COUNT + 1)
    | st.floats(allow_nan=True).filter(lambda value: math.isnan(value) or not value.is_integer() or value < 0)
    | st.booleans()
    | st.text(max_size=3)
)


@given(bad, st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens"]))
def test_a_bad_openai_count_is_refused(value: Any, name: str) -> None:
    _assert_refused({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, name: value}, "openai", name)


@given(
    bad,
    st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
)
def test_a_bad_anthropic_count_is_refused(value: Any, name: str) -> None:
    _assert_refused({"input_tokens": 1, "output_tokens": 1, name: value}, "anthropic", name)


@given(bad, st.sampled_from(["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"]))
def test_a_bad_gemini_count_is_refused(value: Any, name: str) -> None:
    _assert_refused({"promptTokenCount": 1, "totalTokenCount": 1, name: value}, "google", name)


def _assert_refused(raw: dict[str, Any], provider: str, name: str) -> None:
    for named in (provider, None):
        with pytest.raises(UsageError) as caught:
            normalize(raw, provider=named)
        assert caught.value.code in {"invalid_usage", "negative_tokens", "too_large"}
        assert caught.value.param == f"usage.{name}"


@settings(max_examples=400)
@given(objects | anything, providers, st.sampled_from([None, "/v1/images/generations", "/v1/audio/speech", "x"]))
def test_arbitrary_json_is_counted_or_refused(raw: Any, provider: str | None, endpoint: str | None) -> None:
    refused: UsageError | None = None
    usage: Usage | None = None
    try:
        usage = normalize(raw, provider=provider, endpoint=endpoint).usage
    except UsageError as error:
        refused = error
    if refused is None:
        assert usage is None or _is_sound(usage)
    else:
        assert refused.code in {"invalid_usage", "negative_tokens", "too_large", "unrecognized_usage"}
        assert refused.param.startswith("usage")


@settings(max_examples=200)
@given(st.lists(objects | anything, max_size=4))
def test_arbitrary_bodies_and_streams_are_read_or_unknown(chunks: list[Any]) -> None:
    folded = fold_stream(chunks)
    for raw in [folded, *(extract(chunk).raw_usage for chunk in chunks if isinstance(chunk, dict))]:
        try:
            normalize(raw)
        except UsageError:
            continue
