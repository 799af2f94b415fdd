"""One worked object per shape, as the tables in docs/algorithms/normalization.md have them."""

from __future__ import annotations

from typing import Any

import pytest

from metering.events import Usage
from metering.normalize import normalize

Case = tuple[str, str | None, dict[str, Any], dict[str, int], int | None]

# (what, provider, raw, buckets, the provider's own total)
EXACT: list[Case] = [
    (
        "openai chat, every detail",
        "openai",
        {
            "prompt_tokens": 1200,
            "completion_tokens": 300,
            "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 100, "image_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 128,
                "audio_tokens": 60,
                "accepted_prediction_tokens": 10,
                "rejected_prediction_tokens": 4,
            },
        },
        {"input": 76, "cache_read": 1024, "audio_input": 100, "output": 112, "reasoning": 128, "audio_output": 60},
        1500,
    ),
    (
        "openai chat, null details",
        "openai",
        {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": 10,
            "prompt_tokens_details": None,
            "completion_tokens_details": {"reasoning_tokens": None},
        },
        {"input": 7, "output": 3},
        10,
    ),
    (
        "openai chat, cache write inside the prompt",
        "openai",
        {
            "prompt_tokens": 2000,
            "completion_tokens": 5,
            "total_tokens": 2005,
            "prompt_tokens_details": {"cached_tokens": 500, "cache_write_tokens": 1400},
        },
        {"input": 100, "cache_read": 500, "cache_write_5m": 1400, "output": 5},
        2005,
    ),
    (
        "openai responses",
        "azure",
        {
            "input_tokens": 90,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens": 40,
            "output_tokens_details": {"reasoning_tokens": 32},
            "total_tokens": 130,
        },
        {"input": 26, "cache_read": 64, "output": 8, "reasoning": 32},
        130,
    ),
    ("openai embeddings", "openai", {"prompt_tokens": 8, "total_tokens": 8}, {"input": 8}, 8),
    ("voyage names only a total", "voyage", {"total_tokens": 43}, {"input": 43}, 43),
    (
        "realtime, cached audio is cached",
        "openai",
        {
            "total_tokens": 360,
            "input_tokens": 300,
            "output_tokens": 60,
            "input_token_details": {
                "text_tokens": 100,
                "audio_tokens": 180,
                "image_tokens": 20,
                "cached_tokens": 150,
                "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 80, "image_tokens": 10},
            },
            "output_token_details": {"text_tokens": 20, "audio_tokens": 40},
        },
        {
            "input": 40,
            "cache_read": 150,
            "audio_input": 100,
            "image_input": 10,
            "output": 20,
            "audio_output": 40,
        },
        360,
    ),
    (
        "images api, output without details is image",
        "openai",
        {
            "total_tokens": 4500,
            "input_tokens": 340,
            "input_tokens_details": {"text_tokens": 17, "image_tokens": 323},
            "output_tokens": 4160,
        },
        {"input": 17, "image_input": 323, "image_output": 4160},
        4500,
    ),
    (
        "transcription by tokens",
        "openai",
        {
            "type": "tokens",
            "input_tokens": 14,
            "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
            "output_tokens": 45,
            "total_tokens": 59,
        },
        {"audio_input": 14, "output": 45},
        59,
    ),
    ("transcription by duration", "openai", {"type": "duration", "seconds": 12.4}, {"media_ms": 12400}, 0),
    (
        "anthropic, all of it",
        "anthropic",
        {
            "input_tokens": 21,
            "cache_read_input_tokens": 9000,
            "cache_creation_input_tokens": 700,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
            "output_tokens": 400,
            "output_tokens_details": {"thinking_tokens": 150},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
            "service_tier": "standard",
        },
        {
            "input": 21,
            "cache_read": 9000,
            "cache_write_5m": 200,
            "cache_write_1h": 500,
            "output": 250,
            "reasoning": 150,
            "web_searches": 2,
        },
        None,
    ),
    (
        "anthropic, writes without lifetimes",
        "anthropic",
        {
            "input_tokens": 4,
            "cache_creation_input_tokens": 1165,
            "cache_read_input_tokens": None,
            "cache_creation": None,
            "output_tokens": 201,
            "server_tool_use": None,
        },
        {"input": 4, "cache_write_5m": 1165, "output": 201},
        None,
    ),
    (
        "gemini, thoughts and tool use beside, media cached in part",
        "google",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 400,
            "candidatesTokenCount": 90,
            "thoughtsTokenCount": 60,
            "toolUsePromptTokenCount": 50,
            "totalTokenCount": 1200,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 300},
                {"modality": "AUDIO", "tokenCount": 200},
                {"modality": "VIDEO", "tokenCount": 400},
                {"modality": "DOCUMENT", "tokenCount": 100},
            ],
            "cacheTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "AUDIO", "tokenCount": 50},
                {"modality": "VIDEO", "tokenCount": 250},
            ],
            "trafficType": "ON_DEMAND_FLEX",
        },
        {"input": 250, "cache_read": 400, "audio_input": 150, "image_input": 250, "output": 90, "reasoning": 60},
        1200,
    ),
    (
        "gemini, a picture comes back; modalities as numbers",
        "vertex_ai",
        {
            "promptTokenCount": 10,
            "promptTokensDetails": [{"modality": 1, "tokenCount": 10}],
            "candidatesTokenCount": 1304,
            "candidatesTokensDetails": [{"modality": 2, "tokenCount": 1290}],
            "totalTokenCount": 1314,
        },
        {"input": 10, "output": 14, "image_output": 1290},
        1314,
    ),
    (
        "gemini, the python client's names",
        "gemini",
        {
            "prompt_token_count": 30,
            "candidates_token_count": 9,
            "thoughts_token_count": 21,
            "total_token_count": 60,
            "cached_content_token_count": None,
            "prompt_tokens_details": [{"modality": "IMAGE", "token_count": 20}],
        },
        {"input": 10, "image_input": 20, "output": 9, "reasoning": 21},
        60,
    ),
    (
        "gemini live",
        "google",
        {
            "promptTokenCount": 200,
            "responseTokenCount": 50,
            "totalTokenCount": 250,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 180}, {"modality": "TEXT", "tokenCount": 20}],
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
        },
        {"input": 20, "audio_input": 180, "audio_output": 50},
        250,
    ),
    (
        "bedrock converse",
        "bedrock",
        {
            "inputTokens": 3,
            "outputTokens": 61,
            "totalTokens": 2535,
            "cacheReadInputTokens": 2074,
            "cacheReadInputTokenCount": 2074,
            "cacheWriteInputTokens": 397,
            "cacheWriteInputTokenCount": 397,
            "cacheDetails": [{"inputTokens": 297, "ttl": "5m"}, {"inputTokens": 100, "ttl": "1h"}],
            "serverToolUsage": {},
        },
        {"input": 3, "cache_read": 2074, "cache_write_5m": 297, "cache_write_1h": 100, "output": 61},
        2535,
    ),
    (
        "bedrock invocation metrics",
        "aws_bedrock",
        {
            "inputTokenCount": 28,
            "outputTokenCount": 188,
            "invocationLatency": 9289,
            "firstByteLatency": 90,
            "cacheReadInputTokenCount": 5,
        },
        {"input": 28, "cache_read": 5, "output": 188},
        None,
    ),
    (
        "bedrock headers",
        "bedrock",
        {"X-Amzn-Bedrock-Input-Token-Count": "12", "x-amzn-bedrock-output-token-count": "34", "date": "x"},
        {"input": 12, "output": 34},
        None,
    ),
    (
        "titan",
        "bedrock",
        {"inputTextTokenCount": 28.0, "results": [{"tokenCount": 60}, {"tokenCount": 40}]},
        {"input": 28, "output": 100},
        None,
    ),
    (
        "llama on bedrock",
        "bedrock",
        {"prompt_token_count": 5, "generation_token_count": 10},
        {"input": 5, "output": 10},
        None,
    ),
    (
        "mistral, cached under its own name",
        "mistral",
        {"prompt_tokens": 70, "completion_tokens": 12, "total_tokens": 82, "num_cached_tokens": 64},
        {"input": 6, "cache_read": 64, "output": 12},
        82,
    ),
    (
        "voxtral, audio is only in the total and partly cached",
        "mistral",
        {
            "prompt_audio_seconds": 5,
            "prompt_tokens": 5,
            "completion_tokens": 24,
            "total_tokens": 404,
            "prompt_tokens_details": {"cached_tokens": 368},
        },
        {"cache_read": 368, "audio_input": 12, "output": 24, "media_ms": 5000},
        404,
    ),
    (
        "cohere v2, billed units before tokens",
        "cohere",
        {
            "billed_units": {"input_tokens": 62, "output_tokens": 28},
            "tokens": {"input_tokens": 968, "output_tokens": 83},
            "cached_tokens": 900,
        },
        {"input": 62, "output": 28},
        None,
    ),
    (
        "cohere v1 embed",
        "cohere",
        {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 4, "image_tokens": 300}},
        {"input": 4, "image_input": 300},
        None,
    ),
    (
        "deepseek",
        "deepseek",
        {
            "prompt_tokens": 976,
            "prompt_cache_hit_tokens": 896,
            "prompt_cache_miss_tokens": 80,
            "completion_tokens": 61,
            "completion_tokens_details": {"reasoning_tokens": 25},
            "total_tokens": 1037,
        },
        {"input": 80, "cache_read": 896, "output": 36, "reasoning": 25},
        1037,
    ),
    (
        "grok chat, reasoning beside",
        "xai",
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "prompt_tokens_details": {"cached_tokens": 6, "text_tokens": 32},
            "completion_tokens_details": {"reasoning_tokens": 94},
        },
        {"input": 26, "cache_read": 6, "output": 9, "reasoning": 94},
        135,
    ),
    (
        "grok responses, reasoning inside, searches by call",
        "x-ai",
        {
            "input_tokens": 500,
            "output_tokens": 300,
            "output_tokens_details": {"reasoning_tokens": 200},
            "total_tokens": 800,
            "num_server_side_tools_used": 3,
            "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 1},
        },
        {"input": 500, "output": 100, "reasoning": 200, "web_searches": 3},
        800,
    ),
    (
        "groq, and its stream's wrapper",
        "groq",
        {"x_groq": {"id": "req_1", "usage": {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34}}},
        {"input": 30, "output": 4},
        34,
    ),
    (
        "ollama",
        "ollama",
        {"prompt_eval_count": 17, "eval_count": 66, "total_duration": 1},
        {"input": 17, "output": 66},
        None,
    ),
    (
        "openrouter",
        "openrouter",
        {
            "prompt_tokens": 3329,
            "completion_tokens": 53,
            "total_tokens": 3382,
            "cost": 0.002,
            "cost_details": {"upstream_inference_cost": None},
            "prompt_tokens_details": {"cached_tokens": 3211, "cache_write_tokens": 115, "video_tokens": 0},
            "server_tool_use_details": {"web_search_requests": 1},
        },
        {"input": 3, "cache_read": 3211, "cache_write_5m": 115, "output": 53, "web_searches": 1},
        3382,
    ),
    (
        "together, cached beside",
        "together_ai",
        {"prompt_tokens": 41, "completion_tokens": 15, "total_tokens": 56, "cached_tokens": 32},
        {"input": 9, "cache_read": 32, "output": 15},
        56,
    ),
    (
        "writer, singular details",
        "writer",
        {
            "prompt_tokens": 40,
            "completion_tokens": 300,
            "total_tokens": 340,
            "prompt_token_details": {"cached_tokens": 8},
            "completion_token_details": {"reasoning_tokens": 100},
        },
        {"input": 32, "cache_read": 8, "output": 200, "reasoning": 100},
        340,
    ),
    (
        "litellm's openai shape of a claude answer",
        "openai",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 10,
            "total_tokens": 1010,
            "prompt_tokens_details": {
                "cached_tokens": 600,
                "cache_creation_tokens": 300,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            },
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 600,
        },
        {"input": 100, "cache_read": 600, "cache_write_5m": 100, "cache_write_1h": 200, "output": 10},
        1010,
    ),
    (
        "watsonx",
        "watsonx",
        {"results": [{"generated_token_count": 2, "input_token_count": 7}]},
        {"input": 7, "output": 2},
        None,
    ),
    (
        "replicate",
        "replicate",
        {"input_token_count": 11, "output_token_count": 50, "predict_time": 1.5},
        {"input": 11, "output": 50},
        None,
    ),
    (
        "our own buckets",
        "anthropic",
        {
            "input": 10,
            "cache_read": 20,
            "cache_write_1h": 5,
            "output": 7,
            "reasoning": 3,
            "web_searches": 1,
            "images": 2,
            "seconds": 1.2345,
            "audio_output": None,
        },
        {
            "input": 10,
            "cache_read": 20,
            "cache_write_1h": 5,
            "output": 7,
            "reasoning": 3,
            "web_searches": 1,
            "images": 2,
            "media_ms": 1234,
        },
        45,
    ),
]

# (what, provider, raw, buckets, what a note says)
NOTED: list[tuple[str, str | None, dict[str, Any], dict[str, int], str]] = [
    (
        "a total that is not the sum",
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 12, "total_tokens": 30},
        {"input": 10, "output": 12},
        "total_tokens is 30, its parts sum to 22",
    ),
    (
        "cached beyond the prompt",
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 12}},
        {"cache_read": 10, "output": 1},
        "12 cached tokens exceed usage.prompt_tokens 10",
    ),
    (
        "cached and written together beyond the prompt",
        "openai",
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 5},
        },
        {"cache_read": 8, "cache_write_5m": 2, "output": 1},
        "together exceed",
    ),
    (
        "reasoning beyond the completion",
        "openai",
        {"prompt_tokens": 1, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}},
        {"input": 1, "reasoning": 5},
        "exceed usage.completion_tokens 5",
    ),
    (
        "no prompt",
        "openai",
        {"completion_tokens": 5, "total_tokens": 20},
        {"input": 15, "output": 5},
        "prompt_tokens is absent",
    ),
    (
        "no completion",
        "openai",
        {"prompt_tokens": 5, "total_tokens": 20},
        {"input": 5, "output": 15},
        "completion_tokens is absent",
    ),
    (
        "gemini behind its openai endpoint",
        "google",
        {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
        {"input": 35, "output": 12, "reasoning": 62},
        "62 tokens of usage.total_tokens are in no part",
    ),
    (
        "compaction is billed beside",
        "anthropic",
        {
            "input_tokens": 220,
            "output_tokens": 8,
            "iterations": [
                {
                    "type": "compaction",
                    "input_tokens": 100,
                    "output_tokens": 125,
                    "cache_read_input_tokens": 50,
                    "cache_creation_input_tokens": 30,
                    "cache_creation": {"ephemeral_1h_input_tokens": 10, "ephemeral_5m_input_tokens": 20},
                },
                {"type": "message", "input_tokens": 220, "output_tokens": 8},
            ],
        },
        {"input": 320, "cache_read": 50, "cache_write_5m": 20, "cache_write_1h": 10, "output": 133},
        "compaction is billed beside",
    ),
    (
        "an advisor is another model",
        "anthropic",
        {
            "input_tokens": 20,
            "output_tokens": 8,
            "iterations": [{"type": "advisor_message", "model": "claude-big", "input_tokens": 9, "output_tokens": 7}],
        },
        {"input": 20, "output": 8},
        "advisor_message by claude-big, 9 input and 7 output tokens",
    ),
    (
        "writes beyond their split",
        "anthropic",
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_1h_input_tokens": 40, "ephemeral_5m_input_tokens": 10},
        },
        {"input": 1, "output": 1, "cache_write_5m": 60, "cache_write_1h": 40},
        "the rest is counted as 5-minute writes",
    ),
    (
        "a split beyond the writes",
        "anthropic",
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_1h_input_tokens": 40, "ephemeral_5m_input_tokens": 10},
        },
        {"input": 1, "output": 1, "cache_write_5m": 10, "cache_write_1h": 40},
        "the split is kept",
    ),
    (
        "only the delta of an anthropic stream",
        "anthropic",
        {"output_tokens": 201},
        {"output": 201},
        "input_tokens is absent",
    ),
    (
        "gemini's total disagrees",
        "google",
        {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 9},
        {"input": 5, "output": 2},
        "totalTokenCount is 9, its parts sum to 7",
    ),
    (
        "thoughts inside the candidates, says the total",
        "google",
        {"promptTokenCount": 5, "candidatesTokenCount": 20, "thoughtsTokenCount": 15, "totalTokenCount": 25},
        {"input": 5, "output": 5, "reasoning": 15},
        "counted once",
    ),
    (
        "gemini's prompt is missing",
        "google",
        {"candidatesTokenCount": 23, "thoughtsTokenCount": 67},
        {"output": 23, "reasoning": 67},
        "promptTokenCount is absent",
    ),
    (
        "gemini's media beyond the prompt",
        "google",
        {
            "promptTokenCount": 10,
            "totalTokenCount": 10,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}, {"modality": "IMAGE", "tokenCount": 8}],
        },
        {"audio_input": 8, "image_input": 2},
        "only as many are counted",
    ),
    (
        "converse's total disagrees",
        "bedrock",
        {"inputTokens": 5, "outputTokens": 2, "totalTokens": 9},
        {"input": 5, "output": 2},
        "totalTokens is 9, its parts sum to 7",
    ),
    (
        "cohere without billed units",
        "cohere",
        {"tokens": {"input_tokens": 9, "output_tokens": 3}},
        {"input": 9, "output": 3},
        "billed_units is absent",
    ),
    (
        "deepseek's cache does not add up",
        "deepseek",
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "prompt_cache_hit_tokens": 4,
            "prompt_cache_miss_tokens": 5,
        },
        {"input": 6, "cache_read": 4, "output": 1},
        "4 cache hits and 5 misses",
    ),
    (
        "live search sources have no bucket",
        "xai",
        {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, "num_sources_used": 4},
        {"input": 10, "output": 1},
        "4 live search sources",
    ),
    (
        "perplexity deep research",
        "perplexity",
        {
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "total_tokens": 7196,
            "citation_tokens": 20016,
            "num_search_queries": 18,
            "reasoning_tokens": 73997,
        },
        {"input": 20049, "output": 7163, "reasoning": 73997, "web_searches": 18},
        "charged beside the total",
    ),
    (
        "ollama's prompt was still in memory",
        "ollama",
        {"eval_count": 58},
        {"output": 58},
        "prompt_eval_count is absent",
    ),
    ("a bucket misspelled", None, {"input": 5, "ouput": 3}, {"input": 5}, "usage.ouput is not a bucket"),
]

UNKNOWN: list[tuple[str | None, dict[str, Any] | None]] = [
    ("openai", None),
    (None, {}),
    ("openai", {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}),
    ("anthropic", {"input_tokens": None, "output_tokens": None}),
    ("google", {"trafficType": "ON_DEMAND"}),
    ("bedrock", {"inputTokens": None, "outputTokens": None}),
    ("cohere", {"billed_units": {}, "tokens": None}),
    ("cohere", {"billed_units": {"search_units": 1}}),
    ("ollama", {"eval_count": None}),
    ("replicate", {"predict_time": 3.5}),
    ("mistral", {"pages_processed": 3, "doc_size_bytes": 1}),
    ("own", {"input": None}),
    ("nobody", {"tokens_used": None}),
]


@pytest.mark.parametrize(("provider", "raw", "buckets", "total"), [pytest.param(*c[1:], id=c[0]) for c in EXACT])
def test_exact(provider: str | None, raw: dict[str, Any], buckets: dict[str, int], total: int | None) -> None:
    normalized = normalize(raw, provider=provider)
    assert normalized.usage == Usage(**buckets)
    assert normalized.notes == ()
    if total is not None:
        assert normalized.usage.total_tokens == total


@pytest.mark.parametrize(("provider", "raw", "buckets", "note"), [pytest.param(*c[1:], id=c[0]) for c in NOTED])
def test_noted(provider: str | None, raw: dict[str, Any], buckets: dict[str, int], note: str) -> None:
    normalized = normalize(raw, provider=provider)
    assert normalized.usage == Usage(**buckets)
    assert any(note in each for each in normalized.notes), normalized.notes


@pytest.mark.parametrize(("provider", "raw"), UNKNOWN)
def test_unknown_is_never_zero(provider: str | None, raw: dict[str, Any] | None) -> None:
    assert normalize(raw, provider=provider).usage is None


@pytest.mark.parametrize(
    ("provider", "raw", "tier"),
    [
        ("anthropic", {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority"}, "priority"),
        ("openai", {"prompt_tokens": 1, "completion_tokens": 1, "service_tier": "flex"}, "flex"),
        ("openai", {"prompt_tokens": 1, "completion_tokens": 1, "service_tier": 7}, None),
        ("google", {"promptTokenCount": 1, "serviceTier": "standard", "trafficType": "ON_DEMAND_FLEX"}, "standard"),
        ("google", {"promptTokenCount": 1, "trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned"),
        ("google", {"promptTokenCount": 1, "trafficType": 1}, "standard"),
        ("google", {"promptTokenCount": 1, "trafficType": []}, None),
    ],
)
def test_service_tier(provider: str, raw: dict[str, Any], tier: str | None) -> None:
    assert normalize(raw, provider=provider).service_tier == tier


@pytest.mark.parametrize(
    ("endpoint", "buckets"),
    [
        ("/v1/images/generations", {"input": 10, "image_output": 90}),
        ("/v1/audio/speech", {"input": 10, "audio_output": 90}),
        ("/v1/chat/completions", {"input": 10, "output": 90}),
        (None, {"input": 10, "output": 90}),
    ],
)
def test_the_endpoint_tells_the_modality_of_an_output_without_details(
    endpoint: str | None, buckets: dict[str, int]
) -> None:
    raw = {"input_tokens": 10, "output_tokens": 90, "total_tokens": 100}
    assert normalize(raw, provider="openai", endpoint=endpoint).usage == Usage(**buckets)


def test_grok_without_a_total_is_read_as_its_guide_says() -> None:
    raw = {"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}
    assert normalize(raw, provider="xai").usage == Usage(input=5, output=9, reasoning=4)
    assert normalize(raw, provider="openai").usage == Usage(input=5, output=5, reasoning=4)


def test_reasoning_beside_is_recognized_by_the_total_whoever_sends_it() -> None:
    raw = {
        "prompt_tokens": 5,
        "completion_tokens": 9,
        "total_tokens": 18,
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    assert normalize(raw).usage == Usage(input=5, output=9, reasoning=4)
    assert normalize(raw).notes == ()
