"""Finding usage, identity and outcome in a whole response body."""

from __future__ import annotations

from typing import Any

import pytest

from metering.normalize import Extract, extract

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            {
                "id": "chatcmpl-1",
                "model": "gpt-x",
                "choices": [{"finish_reason": "stop"}],
                "usage": USAGE,
                "service_tier": "default",
            },
            Extract(
                response_id="chatcmpl-1", model="gpt-x", raw_usage=USAGE, service_tier="default", finish_reason="stop"
            ),
            id="openai chat",
        ),
        pytest.param(
            {"id": "resp_1", "model": "gpt-x", "status": "completed", "usage": {"input_tokens": 1}},
            Extract(response_id="resp_1", model="gpt-x", raw_usage={"input_tokens": 1}, finish_reason="completed"),
            id="openai responses",
        ),
        pytest.param(
            {"id": "resp_1", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Extract(response_id="resp_1", finish_reason="max_output_tokens"),
            id="openai responses, cut",
        ),
        pytest.param(
            {"id": "resp_1", "status": "queued", "usage": None, "service_tier": "auto"},
            Extract(response_id="resp_1", service_tier="auto"),
            id="openai responses, not yet",
        ),
        pytest.param(
            {"type": "response.completed", "response": {"id": "resp_1", "model": "m", "usage": {"input_tokens": 1}}},
            Extract(response_id="resp_1", model="m", raw_usage={"input_tokens": 1}),
            id="openai event",
        ),
        pytest.param(
            {"created": 1, "data": [{"url": "https://x.test/1"}, {"b64_json": "aaaa"}]},
            Extract(raw_usage={"images": 2}),
            id="images charged by the image",
        ),
        pytest.param({"data": [{"id": "m", "object": "model"}]}, Extract(), id="a list of models"),
        pytest.param(
            {
                "id": "msg_1",
                "model": "claude",
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 1, "service_tier": "priority"},
            },
            Extract(
                response_id="msg_1",
                model="claude",
                raw_usage={"input_tokens": 1, "service_tier": "priority"},
                service_tier="priority",
                finish_reason="end_turn",
            ),
            id="anthropic",
        ),
        pytest.param(
            {
                "responseId": "r1",
                "modelVersion": "gemini-x",
                "candidates": [{"finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 1},
            },
            Extract(response_id="r1", model="gemini-x", raw_usage={"promptTokenCount": 1}, finish_reason="STOP"),
            id="gemini",
        ),
        pytest.param(
            {"output": {}, "stopReason": "end_turn", "usage": {"inputTokens": 1}, "serviceTier": {"type": "flex"}},
            Extract(raw_usage={"inputTokens": 1}, service_tier="flex", finish_reason="end_turn"),
            id="bedrock converse",
        ),
        pytest.param(
            {
                "inputTextTokenCount": 5,
                "results": [{"tokenCount": 9, "outputText": "secret", "completionReason": "FINISH"}],
            },
            Extract(raw_usage={"inputTextTokenCount": 5, "results": [{"tokenCount": 9}]}, finish_reason="FINISH"),
            id="titan, without its text",
        ),
        pytest.param(
            {"generation": "text", "prompt_token_count": 5, "generation_token_count": 9, "stop_reason": "length"},
            Extract(raw_usage={"prompt_token_count": 5, "generation_token_count": 9}, finish_reason="length"),
            id="llama",
        ),
        pytest.param(
            {"generation_id": "g1", "meta": {"billed_units": {"input_tokens": 7}}, "finish_reason": "COMPLETE"},
            Extract(response_id="g1", raw_usage={"billed_units": {"input_tokens": 7}}, finish_reason="COMPLETE"),
            id="cohere v1",
        ),
        pytest.param(
            {"id": "t", "meta": {"api_version": {"version": "1"}}}, Extract(response_id="t"), id="cohere, none"
        ),
        pytest.param(
            {
                "model": "llama",
                "done": True,
                "done_reason": "stop",
                "prompt_eval_count": 4,
                "eval_count": 8,
                "context": [1],
            },
            Extract(model="llama", raw_usage={"prompt_eval_count": 4, "eval_count": 8}, finish_reason="stop"),
            id="ollama",
        ),
        pytest.param(
            {
                "model_id": "granite",
                "results": [
                    {"generated_text": "t", "input_token_count": 7, "generated_token_count": 2, "stop_reason": "eos"}
                ],
            },
            Extract(
                model="granite",
                raw_usage={"results": [{"input_token_count": 7, "generated_token_count": 2}]},
                finish_reason="eos",
            ),
            id="watsonx",
        ),
        pytest.param(
            {"id": "p1", "status": "succeeded", "metrics": {"input_token_count": 1, "predict_time": 2.5}},
            Extract(
                response_id="p1", raw_usage={"input_token_count": 1, "predict_time": 2.5}, finish_reason="succeeded"
            ),
            id="replicate",
        ),
        pytest.param(
            {"pages": [], "usage_info": {"pages_processed": 3}}, Extract(raw_usage={"pages_processed": 3}), id="ocr"
        ),
        pytest.param({"error": {"message": "no"}}, Extract(), id="an error"),
        pytest.param({"input_tokens": 16, "object": "response.input_tokens"}, Extract(), id="a count, not a call"),
        pytest.param({"usage": {"prompt_tokens": None}}, Extract(), id="nulls are nothing"),
    ],
)
def test_extract(body: dict[str, Any], expected: Extract) -> None:
    assert extract(body) == expected
    assert extract(body, provider="openai") == expected
