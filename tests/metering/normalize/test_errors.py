"""Every value that cannot be a count is refused by its path."""

from __future__ import annotations

import math
from typing import Any

import pytest

from metering.events import MAX_COUNT, Usage
from metering.normalize import UsageError, normalize

BAD_COUNTS = [
    (-1, "negative_tokens"),
    (-1.0, "negative_tokens"),
    (-math.inf, "negative_tokens"),
    (MAX_COUNT + 1, "too_large"),
    (10**400, "too_large"),
    (math.inf, "too_large"),
    (1.5, "invalid_usage"),
    (math.nan, "invalid_usage"),
    (True, "invalid_usage"),
    ("5", "invalid_usage"),
    ([5], "invalid_usage"),
    ({"n": 5}, "invalid_usage"),
]

# (provider, an object with "?" where the bad value goes, its path)
PLACES: list[tuple[str, dict[str, Any], str]] = [
    ("openai", {"prompt_tokens": "?", "completion_tokens": 1}, "usage.prompt_tokens"),
    ("openai", {"prompt_tokens": 1, "completion_tokens": "?"}, "usage.completion_tokens"),
    ("openai", {"prompt_tokens": 1, "total_tokens": "?"}, "usage.total_tokens"),
    (
        "openai",
        {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": "?"}},
        "usage.prompt_tokens_details.cached_tokens",
    ),
    (
        "openai",
        {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": "?"},
        },
        "usage.output_tokens_details.reasoning_tokens",
    ),
    ("anthropic", {"input_tokens": "?", "output_tokens": 1}, "usage.input_tokens"),
    ("anthropic", {"input_tokens": 1, "cache_read_input_tokens": "?"}, "usage.cache_read_input_tokens"),
    (
        "anthropic",
        {"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": "?"}},
        "usage.cache_creation.ephemeral_1h_input_tokens",
    ),
    (
        "anthropic",
        {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": "?"}},
        "usage.server_tool_use.web_search_requests",
    ),
    (
        "anthropic",
        {"input_tokens": 1, "iterations": [{"type": "message"}, {"type": "compaction", "output_tokens": "?"}]},
        "usage.iterations[1].output_tokens",
    ),
    ("google", {"promptTokenCount": 1, "thoughtsTokenCount": "?"}, "usage.thoughtsTokenCount"),
    (
        "google",
        {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": "?"}]},
        "usage.promptTokensDetails[0].tokenCount",
    ),
    ("bedrock", {"inputTokens": 1, "outputTokens": "?"}, "usage.outputTokens"),
    ("cohere", {"billed_units": {"input_tokens": "?"}}, "usage.billed_units.input_tokens"),
    ("deepseek", {"prompt_tokens": 1, "prompt_cache_miss_tokens": "?"}, "usage.prompt_cache_miss_tokens"),
    ("xai", {"prompt_tokens": 1, "num_sources_used": "?"}, "usage.num_sources_used"),
    ("ollama", {"eval_count": "?"}, "usage.eval_count"),
    ("replicate", {"input_token_count": "?"}, "usage.input_token_count"),
    ("own", {"input": 1, "cache_write_1h": "?"}, "usage.cache_write_1h"),
]


def _put(into: Any, value: object) -> Any:
    if into == "?":
        return value
    if isinstance(into, dict):
        return {key: _put(each, value) for key, each in into.items()}
    return [_put(each, value) for each in into] if isinstance(into, list) else into


@pytest.mark.parametrize(("provider", "raw", "param"), PLACES, ids=[place[2] for place in PLACES])
@pytest.mark.parametrize(("value", "code"), BAD_COUNTS, ids=[str(value)[:12] for value, _ in BAD_COUNTS])
def test_bad_counts(provider: str, raw: dict[str, Any], param: str, value: object, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalize(_put(raw, value), provider=provider)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert param in caught.value.message


@pytest.mark.parametrize(("provider", "raw", "param"), PLACES, ids=[place[2] for place in PLACES])
def test_the_largest_count_and_a_whole_float_are_fine(provider: str, raw: dict[str, Any], param: str) -> None:
    assert normalize(_put(raw, MAX_COUNT), provider=provider) is not None
    assert normalize(_put(raw, 0.0), provider=provider) == normalize(_put(raw, 0), provider=provider)


@pytest.mark.parametrize("value", ["1", True, -0.1, math.nan, math.inf, MAX_COUNT, [1]])
def test_bad_durations(value: object) -> None:
    for raw in ({"seconds": value}, {"type": "duration", "seconds": value}):
        with pytest.raises(UsageError) as caught:
            normalize(raw)
        assert caught.value.param == "usage.seconds"


@pytest.mark.parametrize(
    ("seconds", "media_ms"), [(0, 0), (0.0004, 0), (0.0006, 1), (12.3456, 12346), (3600, 3_600_000)]
)
def test_durations_are_whole_milliseconds(seconds: float, media_ms: int) -> None:
    assert normalize({"seconds": seconds}).usage == Usage(media_ms=media_ms)


def test_two_durations_are_one_too_many() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        normalize({"seconds": 1, "media_ms": 1000})


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ({"prompt_tokens": 1, "prompt_tokens_details": [1]}, "usage.prompt_tokens_details"),
        ({"input_tokens": 1, "output_tokens": 1, "cache_creation": 5}, "usage.cache_creation"),
        ({"input_tokens": 1, "output_tokens": 1, "iterations": {"a": 1}}, "usage.iterations"),
        ({"promptTokenCount": 1, "promptTokensDetails": ["AUDIO"]}, "usage.promptTokensDetails[0]"),
        ({"promptTokenCount": 1, "promptTokensDetails": "AUDIO"}, "usage.promptTokensDetails"),
    ],
)
def test_a_section_of_the_wrong_kind(raw: dict[str, Any], param: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalize(raw)
    assert (caught.value.code, caught.value.param) == ("invalid_usage", param)


@pytest.mark.parametrize("raw", [[], "usage", 5, True])
def test_a_usage_that_is_no_object(raw: Any) -> None:
    with pytest.raises(UsageError, match="must be an object"):
        normalize(raw, provider="openai")


def test_sums_keep_the_limit_too() -> None:
    iterations = [{"type": "compaction", "input_tokens": MAX_COUNT}]
    with pytest.raises(UsageError) as caught:
        normalize({"input_tokens": 1, "output_tokens": 1, "iterations": iterations})
    assert caught.value.code == "too_large"
