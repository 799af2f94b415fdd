"""The usage of a stream, from chunks as each provider sends them."""

from __future__ import annotations

from typing import Any

import pytest

from metering.events import Usage
from metering.normalize import fold_stream, normalize

WHOLE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def _claude(start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "message_start", "message": {"id": "msg_1", "usage": start}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}},
        *({"type": "message_delta", "delta": {}, "usage": delta} for delta in deltas),
        {"type": "message_stop"},
    ]


@pytest.mark.parametrize(
    ("chunks", "usage"),
    [
        pytest.param(
            [{"choices": [{}], "usage": None}, {"choices": [{}]}, {"choices": [], "usage": WHOLE}],
            Usage(input=9, output=4),
            id="openai, in the last chunk",
        ),
        pytest.param(
            [{"usage": {"prompt_tokens": 9, "completion_tokens": n, "total_tokens": 9 + n}} for n in (1, 2, 4)],
            Usage(input=9, output=4),
            id="cumulative in every chunk",
        ),
        pytest.param(
            [{"usage": WHOLE}, {"choices": [], "usage": None}], Usage(input=9, output=4), id="null replaces nothing"
        ),
        pytest.param(
            [{"choices": [{"delta": {}}]}, {"choices": [{"usage": WHOLE}]}], Usage(input=9, output=4), id="moonshot"
        ),
        pytest.param([{"x_groq": {"id": "r"}}, {"x_groq": {"usage": WHOLE}}], Usage(input=9, output=4), id="groq"),
        pytest.param(
            [
                {"type": "response.created", "response": {"usage": None}},
                {"type": "response.output_text.delta", "delta": "x"},
                {
                    "type": "response.completed",
                    "response": {"usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}},
                },
            ],
            Usage(input=9, output=4),
            id="responses",
        ),
        pytest.param(
            _claude(
                {"input_tokens": 4, "cache_read_input_tokens": 100, "output_tokens": 1, "service_tier": "standard"},
                {"output_tokens": 20},
                {"output_tokens": 55},
            ),
            Usage(input=4, cache_read=100, output=55),
            id="anthropic, the delta has only the output",
        ),
        pytest.param(
            _claude(
                {"input_tokens": 690, "cache_read_input_tokens": 0, "output_tokens": 8, "server_tool_use": None},
                {
                    "input_tokens": 3042,
                    "cache_read_input_tokens": None,
                    "output_tokens": 354,
                    "server_tool_use": {"web_search_requests": 1},
                },
            ),
            Usage(input=3042, output=354, web_searches=1),
            id="anthropic, the prompt grew with the tools",
        ),
        pytest.param(
            _claude(
                {
                    "input_tokens": 4,
                    "cache_creation_input_tokens": 100,
                    "cache_creation": {"ephemeral_1h_input_tokens": 100, "ephemeral_5m_input_tokens": 0},
                    "output_tokens": 1,
                },
                {"cache_creation_input_tokens": 100, "output_tokens": 9},
            ),
            Usage(input=4, cache_write_1h=100, output=9),
            id="anthropic, the split by lifetime is kept",
        ),
        pytest.param(
            _claude(
                {
                    "input_tokens": 4,
                    "cache_creation_input_tokens": 100,
                    "cache_creation": {"ephemeral_1h_input_tokens": 100, "ephemeral_5m_input_tokens": 0},
                    "output_tokens": 1,
                },
                {"cache_creation_input_tokens": 40, "output_tokens": 9},
            ),
            Usage(input=4, cache_write_5m=40, output=9),
            id="anthropic, a split of another count is dropped",
        ),
        pytest.param(
            [
                *_claude({"input_tokens": 4, "output_tokens": 1}, {"output_tokens": 9}),
                {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 10}},
            ],
            Usage(input=4, output=9),
            id="claude on bedrock, the model's own count first",
        ),
        pytest.param(
            [
                {"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}},
                {"usageMetadata": {"trafficType": "ON_DEMAND"}},
                {"usageMetadata": {"candidatesTokenCount": 4, "totalTokenCount": 13}},
            ],
            Usage(input=9, output=4),
            id="gemini, in pieces",
        ),
        pytest.param(
            [
                {"type": "message-start"},
                {"type": "message-end", "delta": {"usage": {"billed_units": {"input_tokens": 9}}}},
            ],
            Usage(input=9),
            id="cohere v2",
        ),
        pytest.param(
            [
                {
                    "event_type": "stream-end",
                    "response": {"meta": {"billed_units": {"input_tokens": 9, "output_tokens": 4}}},
                }
            ],
            Usage(input=9, output=4),
            id="cohere v1",
        ),
        pytest.param(
            [
                {"contentBlockDelta": {}},
                {"metadata": {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}}},
            ],
            Usage(input=9, output=4),
            id="bedrock converse",
        ),
        pytest.param(
            [
                {"generation": "a", "prompt_token_count": 9, "generation_token_count": 1},
                {"generation": "b", "prompt_token_count": None, "generation_token_count": 4},
            ],
            Usage(input=9, output=4),
            id="llama",
        ),
        pytest.param(
            [{"outputText": "x"}, {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 4}}],
            Usage(input=9, output=4),
            id="only the platform counted",
        ),
        pytest.param(
            [{"message": {"content": "a"}, "done": False}, {"done": True, "prompt_eval_count": 9, "eval_count": 4}],
            Usage(input=9, output=4),
            id="ollama",
        ),
    ],
)
def test_fold(chunks: list[dict[str, Any]], usage: Usage) -> None:
    normalized = normalize(fold_stream(iter(chunks)))
    assert normalized.usage == usage
    assert normalized.notes == ()


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [{"choices": [{}]}, {"choices": [{}]}],
        [{"usage": None}, {"usage": None}],
        [{"usage": {"prompt_tokens": None, "completion_tokens": None}}],
        ["not a chunk", None, 5],
    ],
)
def test_nothing_said_is_unknown(chunks: list[Any]) -> None:
    assert fold_stream(chunks) is None


def test_chunks_are_not_changed() -> None:
    start = {"input_tokens": 4, "output_tokens": 1}
    chunks = _claude(start, {"output_tokens": 9})
    assert fold_stream(chunks, provider="anthropic") == {"input_tokens": 4, "output_tokens": 9}
    assert start == {"input_tokens": 4, "output_tokens": 1}
