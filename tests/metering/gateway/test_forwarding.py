"""What goes to the upstream, what comes back, and what the ledger has of it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from accounts.models import Organization, Scope
from tests.cast import Key
from tests.metering.door import INPUT_NANOS, OUTPUT_NANOS
from tests.metering.gateway.conftest import Edge
from tests.metering.gateway.upstream import (
    ANSWER,
    BREAK,
    Script,
    Upstream,
    completion,
    message,
    whole,
)

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


# ── Whole answers ──


def test_a_chat_passes_byte_for_byte_and_is_metered(edge: Edge, provider: Upstream, prices: None) -> None:
    body = b'{ "model": "gpt-4o", "messages": [{"role":"user","content":"Gr\\u00fc\xc3\x9fe"}], "x": 1.50 }'
    answer = json.dumps(completion(), indent=1).encode()
    provider.says(CHAT, Script([answer], headers={"x-request-id": "req_up", "openai-processing-ms": "12"}))
    response = edge.client.post(CHAT, content=body, headers={"content-type": "application/json", "openai-beta": "x=1"})
    assert response.status_code == 200
    assert response.content == answer
    assert response.headers["openai-processing-ms"] == "12"
    assert response.headers["x-request-id"] == "req_up"
    (asked,) = provider.asked
    assert asked.body == body
    assert asked.headers["Authorization"] == "Bearer sk-upstream"
    assert asked.headers["openai-beta"] == "x=1"
    assert edge.secret not in str(asked.headers)
    event = edge.event()
    assert event["event_id"] == response.headers["x-tokenledger-event"]
    assert (event["model"], event["provider"], event["endpoint"], event["status"]) == ("gpt-4o", "openai", CHAT, "ok")
    assert (event["input"], event["cache_read"], event["output"]) == (8, 4, 7)
    assert event["cost_nanos"] == 12 * INPUT_NANOS + 7 * OUTPUT_NANOS
    assert not event["is_estimated"]
    assert event["raw_usage"] == completion()["usage"]
    assert event["detail"] == {
        "upstream": "scripted", "streamed": False, "response_id": "chatcmpl-test",
        "response_model": "gpt-4o-2024-08-06", "finish_reason": "stop",
    }  # fmt: skip
    assert ANSWER not in str(event)


def test_an_anthropic_message(edge: Edge, provider: Upstream) -> None:
    provider.says(MESSAGES, whole(message()))
    response = edge.client.post(
        MESSAGES,
        json={"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]},
        headers={"authorization": "", "x-api-key": edge.secret, "anthropic-version": "2023-06-01"},
    )
    assert response.json() == message()
    (asked,) = provider.asked
    assert asked.headers["x-api-key"] == "sk-upstream"
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in {name.lower() for name in asked.headers}
    event = edge.event()
    assert (event["provider"], event["input"], event["cache_read"], event["output"]) == ("anthropic", 15, 5, 9)


@pytest.mark.parametrize(
    ("path", "body", "answer", "expected"),
    [
        ("/v1/completions", {"prompt": "a"}, {"choices": [{"text": "b"}],
         "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}, {"input": 1, "output": 2}),
        ("/v1/responses", {"input": "a"}, {"id": "resp_1", "status": "completed", "usage": {
            "input_tokens": 10, "input_tokens_details": {"cached_tokens": 3}, "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 14}},
         {"input": 7, "cache_read": 3, "output": 3}),
        ("/v1/embeddings", {"input": "a"}, {"data": [], "usage": {"prompt_tokens": 6, "total_tokens": 6}},
         {"input": 6, "output": 0}),
        ("/v1/images/generations", {"prompt": "a"}, {"data": [{"url": "x"}, {"url": "y"}]}, {"images": 2}),
    ],
)  # fmt: skip
def test_other_endpoints(
    edge: Edge, provider: Upstream, path: str, body: dict[str, Any], answer: Any, expected: dict[str, int]
) -> None:
    provider.says(path, whole(answer))
    assert edge.post(path, {"model": "m"} | body).json() == answer
    event = edge.event()
    assert {name: event[name] for name in expected} == expected
    assert event["endpoint"] == path
    assert not event["is_estimated"]


def test_a_transcription(edge: Edge, provider: Upstream) -> None:
    provider.says("/v1/audio/transcriptions", whole({"text": "hello", "usage": {"type": "duration", "seconds": 12.5}}))
    response = edge.client.post(
        "/v1/audio/transcriptions", data={"model": "whisper-1"}, files={"file": ("talk.mp3", b"\x00\xff" * 9_000)}
    )
    assert response.json()["text"] == "hello"
    assert b"\x00\xff" * 9_000 in provider.asked[0].body
    assert provider.asked[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    event = edge.event()
    assert (event["model"], event["media_ms"]) == ("whisper-1", 12_500)
    assert event["detail"]["files"] == [{"id": "talk.mp3", "name": "talk.mp3", "size_bytes": 18_000}]


def test_counting_tokens_costs_nothing_and_is_no_event(edge: Edge, provider: Upstream) -> None:
    provider.says("/v1/messages/count_tokens", whole({"input_tokens": 14}))
    provider.says(MESSAGES, whole(message()))
    body = {"model": "claude-sonnet-4-5", "messages": []}
    response = edge.post("/v1/messages/count_tokens", body)
    assert response.json() == {"input_tokens": 14}
    assert "x-tokenledger-event" not in response.headers
    edge.post(MESSAGES, body)
    assert edge.event()["endpoint"] == MESSAGES


def test_an_answer_without_usage_is_an_estimate(edge: Edge, provider: Upstream) -> None:
    answer = completion()
    del answer["usage"]
    provider.says(CHAT, whole(answer))
    edge.chat("How many tokens is this?")
    event = edge.event()
    assert event["is_estimated"]
    assert 5 <= event["input"] <= 25
    assert 5 <= event["output"] <= 25


def test_labels_of_headers_and_body(edge: Edge, provider: Upstream, acme: Organization) -> None:
    provider.says(CHAT, whole(completion()))
    response = edge.client.post(
        CHAT,
        json={"model": "gpt-4o", "messages": [], "user": "u_77", "metadata": {"env": "prod"}},
        headers={
            "x-tokenledger-chat": "c1", "x-tokenledger-message": "m1", "x-tokenledger-feature": "chat",
            "x-tokenledger-tool": "search", "x-tokenledger-integration": "slack",
            "x-tokenledger-user": "bob@acme.test", "x-tokenledger-tags": "team=core",
        },
    )  # fmt: skip
    assert response.status_code == 200
    event = edge.event()
    assert (event["chat"], event["message"], event["feature"], event["tool"]) == ("c1", "m1", "chat", "search")
    assert (event["integration"], event["user"], event["end_user"]) == ("slack", "bob@acme.test", "u_77")
    assert event["tags"] == {"env": "prod", "team": "core"}
    assert not any(name.lower().startswith("x-tokenledger") for name in provider.asked[0].headers)


def test_a_compressed_answer_is_unpacked(edge: Edge, provider: Upstream) -> None:
    packed = gzip.compress(json.dumps(completion()).encode())
    provider.says(CHAT, Script([packed], headers={"content-encoding": "gzip"}))
    assert edge.chat().json() == completion()
    assert provider.asked[0].headers["Accept-Encoding"] == "identity"
    assert edge.event()["output"] == 7


# ── Refusals ──


def test_a_refusal_with_a_status_of_success_is_an_error_at_no_cost(edge: Edge, provider: Upstream) -> None:
    answer = {"error": {"message": "no capacity", "code": "capacity"}}
    provider.says(CHAT, whole(answer))
    assert edge.chat().json() == answer
    event = edge.event()
    assert (event["status"], event["cost_nanos"], event["detail"]["error_code"]) == ("error", 0, "capacity")


def test_an_answer_that_breaks_off_is_one_event(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, Script([b'{"id":', BREAK], headers={"content-length": "500"}, content_type="application/json"))
    response = edge.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_disconnected")
    assert edge.event()["status"] == "error"


# ── Headers and bodies ──


def test_headers_pass_as_often_and_in_the_bytes_they_come(edge: Edge, provider: Upstream) -> None:
    provider.says(MESSAGES, whole(message(), **{"x-note": "“Grüße”"}))
    response = edge.client.post(
        MESSAGES,
        content=json.dumps({"model": "claude-test", "messages": []}),
        headers=[
            ("content-type", "application/json"), ("anthropic-beta", "a=1"), ("anthropic-beta", "b=2"),
            ("connection", "keep-alive, x-hop"), ("x-hop", "1"), ("openai-organization", "org-other"),
            ("x-forwarded-for", "10.0.0.1"),
        ],
    )  # fmt: skip
    assert response.json() == message()
    assert dict(response.headers.raw)[b"x-note"] == "“Grüße”".encode()
    (asked,) = provider.asked
    names = {name.lower() for name in asked.headers}
    assert asked.all["anthropic-beta"] == ["a=1", "b=2"]
    assert names.isdisjoint({"x-hop", "openai-organization", "x-forwarded-for"})


def test_large_requests_pass(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, whole(completion()))
    text = "word " * 800_000
    assert edge.chat(text).status_code == 200
    assert provider.asked[0].document["messages"][0]["content"] == text
    assert edge.event()["output"] == 7


def test_an_upstreams_refusal_passes_and_costs_nothing(edge: Edge, provider: Upstream) -> None:
    error = {"error": {"message": "max_tokens is too large", "type": "invalid_request_error", "code": "bad_max"}}
    provider.says(CHAT, whole(error, 400, **{"x-request-id": "req_9"}))
    response = edge.chat()
    assert (response.status_code, response.json()) == (400, error)
    event = edge.event()
    assert (event["status"], event["cost_nanos"], event["detail"]["error_code"]) == ("error", 0, "bad_max")


def test_rate_limits_of_an_upstream_are_told_apart(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, whole({"error": {"type": "tokens"}}, 429, **{"retry-after": "7"}))
    response = edge.chat()
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert edge.event()["status"] == "rate_limited"


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("", 401, "missing_api_key"), ("tl_wrong", 401, "invalid_api_key"), ("usage", 403, "missing_scope")],
)
def test_keys_without_the_right(edge: Edge, provider: Upstream, new_key: Any, key: str, status: int, code: str) -> None:
    secret = new_key(Scope.USAGE_WRITE).secret if key == "usage" else key
    headers = {"authorization": f"Bearer {secret}"} if secret else {"authorization": ""}
    response = edge.client.post(CHAT, json={"model": "gpt-4o"}, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert provider.asked == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"messages": []}, 400, "missing_field"),
        ({"model": "gpt-4o", "user": "x" * 300}, 422, "invalid_parameter"),
    ],
)
def test_requests_that_are_wrong(edge: Edge, provider: Upstream, body: Any, status: int, code: str) -> None:
    response = edge.post(CHAT, body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.json()["error"]["request_id"] == response.headers["x-request-id"]
    assert provider.asked == []


def test_a_project_that_is_none_is_refused_before_anything_is_spent(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, whole(completion()))
    response = edge.post(CHAT, {"model": "gpt-4o"}, x_tokenledger_project="nowhere")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "unknown_project")
    assert provider.asked == []


def test_another_organizations_upstreams_are_not_used(
    edge: Edge, provider: Upstream, globex_key: Key, acme: Organization
) -> None:
    headers = {"authorization": f"Bearer {globex_key.secret}"}
    response = edge.client.post(CHAT, json={"model": "gpt-4o", "messages": []}, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert edge.client.get("/v1/models", headers=headers).json() == {"object": "list", "data": []}
    assert provider.asked == []
