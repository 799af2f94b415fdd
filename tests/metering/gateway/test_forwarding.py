"""What goes to the upstream, what comes back, and what the ledger has of it."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import threading
import time
from typing import Any

import pytest

from accounts.models import Organization, Scope
from core.tenancy import organization_scope
from metering.models import Upstream as UpstreamRow
from tests.cast import Key
from tests.metering.door import INPUT_NANOS, OUTPUT_NANOS
from tests.metering.gateway.conftest import Edge, add_upstream, stored
from tests.metering.gateway.upstream import (
    ANSWER,
    BREAK,
    Script,
    Upstream,
    chat_chunks,
    chunk,
    completion,
    events,
    message,
    message_events,
    named_events,
    stream,
    wait_for,
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


# ── Streams ──


def chat_stream(edge: Edge, **fields: Any) -> bytes:
    return edge.chat(stream=True, **fields).content


def test_a_stream_without_the_usage_that_was_not_asked_for(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())))
    got = chat_stream(edge)
    assert provider.asked[0].document["stream_options"] == {"include_usage": True}
    assert b"usage" not in got
    assert got.endswith(b"data: [DONE]\n\n")
    assert len(got.split(b"\n\n")) == len(chat_chunks()) + 1
    event = edge.event()
    assert (event["input"], event["output"], event["is_estimated"]) == (12, 7, False)
    assert event["detail"]["streamed"] is True
    assert event["detail"]["finish_reason"] == "stop"
    assert event["time_to_first_token_ms"] <= event["duration_ms"]


def test_a_stream_with_the_usage_that_was_asked_for(edge: Edge, provider: Upstream) -> None:
    said = events(*chat_chunks())
    provider.says(CHAT, stream(*said))
    assert chat_stream(edge, stream_options={"include_usage": True}) == b"".join(said)
    assert edge.event()["output"] == 7


def test_an_anthropic_stream_cut_into_single_bytes(edge: Edge, provider: Upstream) -> None:
    said = b"".join(named_events(*message_events()))
    provider.says(MESSAGES, stream(*(said[at : at + 1] for at in range(len(said)))))
    response = edge.post(MESSAGES, {"model": "claude-sonnet-4-5", "stream": True, "messages": []})
    assert response.content == said
    event = edge.event()
    assert (event["input"], event["cache_read"], event["output"]) == (15, 5, 9)
    assert event["detail"]["finish_reason"] == "end_turn"


def test_chunks_arrive_when_they_are_sent(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, stream(*events(*(chunk({"content": f"{n}"}) for n in range(5))), pause=0.2))
    body = {"model": "gpt-4o", "messages": [], "stream": True}
    with edge.client.stream("POST", CHAT, json=body) as response:
        arrived = [time.monotonic() for _ in response.iter_raw()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrived)]
    assert len(gaps) >= 4
    assert min(gaps) > 0.05


def test_an_upstream_that_breaks_off_is_an_error_event_and_an_estimate(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())[:4], BREAK, pause=0.02))
    got = chat_stream(edge, text="Say something long.")
    assert b'"code":"upstream_disconnected"' in got.split(b"\n\n")[-2]
    event = edge.event()
    assert (event["status"], event["is_estimated"]) == ("error", True)
    assert event["detail"]["error_code"] == "upstream_disconnected"
    assert event["input"] > 0
    assert event["output"] > 0


def test_an_anthropic_stream_cut_before_its_count_is_an_estimate(edge: Edge, provider: Upstream) -> None:
    provider.says(MESSAGES, stream(*named_events(*message_events())[:-3], BREAK, pause=0.01))
    response = edge.post(MESSAGES, {"model": "claude-sonnet-4-5", "stream": True, "messages": []})
    assert b"event: error" in response.content
    event = edge.event()
    assert (event["input"], event["cache_read"], event["is_estimated"]) == (15, 5, True)
    assert event["output"] > 3


def test_an_error_in_mid_stream_passes_and_costs_nothing(edge: Edge, provider: Upstream) -> None:
    error = {"error": {"message": "The server had an error", "type": "server_error", "code": "server_error"}}
    said = [*events(chunk({"content": "a"}), done=False), *events(error, done=False)]
    provider.says(CHAT, stream(*said))
    assert chat_stream(edge) == b"".join(said)
    event = edge.event()
    assert (event["status"], event["cost_nanos"], event["output"]) == ("error", 0, 0)
    assert event["detail"]["error_code"] == "server_error"


def test_a_client_that_goes_away_ends_the_upstreams_work(edge: Edge, provider: Upstream) -> None:
    words = [chunk({"content": f"word{n} "}) for n in range(200)]
    provider.says(CHAT, stream(*events(*words), pause=0.05))
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Count"}], "stream": True}
    with edge.client.stream("POST", CHAT, json=body) as response:
        for _ in zip(range(5), response.iter_raw(), strict=False):
            pass
    wait_for(lambda: provider.gone, 3)
    event = edge.event()
    assert (event["status"], event["is_estimated"]) == ("cancelled", True)
    assert event["detail"]["error_code"] == "client_disconnected"
    assert 5 <= event["output"] < 100


def test_a_client_that_does_not_wait_for_a_whole_answer_pays_for_it(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, Script([json.dumps(completion()).encode()], wait=0.5))
    body = json.dumps({"model": "gpt-4o", "messages": []})
    host, port = edge.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as impatient:
        impatient.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {edge.secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        wait_for(lambda: provider.asked)
    event = edge.event()
    assert (event["status"], event["output"]) == ("ok", 7)


def test_a_client_that_leaves_at_the_last_word_is_counted_by_the_provider(edge: Edge, provider: Upstream) -> None:
    """Reasoning is in no text: only what comes behind the last word tells it."""
    said = events(chunk({"content": "42"}), chunk({}, "stop"), chunk(usage=chat_chunks(12, 5_000)[-1]["usage"]))
    provider.says(CHAT, stream(*said, pause=0.4))
    body = {"model": "gpt-5", "messages": [], "stream": True}
    with edge.client.stream("POST", CHAT, json=body) as response:
        for part in response.iter_raw():
            if b"stop" in part:
                break
    event = edge.event()
    assert (event["output"], event["is_estimated"]) == (5_000, False)


def test_a_client_that_leaves_before_the_answer_ends_the_asking(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, Script([b""], content_type="text/event-stream", wait=20))
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], "stream": True})
    host, port = edge.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as impatient:
        impatient.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {edge.secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        wait_for(lambda: provider.asked)
    wait_for(lambda: provider.gone, 5)
    event = edge.event()
    assert (event["status"], event["is_estimated"], event["output"]) == ("cancelled", True, 0)
    assert event["input"] > 0


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


# ── Upstreams ──


def only_upstreams(acme: Organization, *rows: dict[str, Any]) -> None:
    with organization_scope(acme.pk):
        UpstreamRow.objects.all().delete()
    for number, row in enumerate(rows):
        add_upstream(acme, **({"name": f"u{number}", "position": number} | row))
    time.sleep(0.3)  # the announcement


def test_the_next_upstream_takes_over(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(
        acme,
        {"base_url": "http://127.0.0.1:9/v1", "name": "away"},
        {"base_url": f"{provider.url}/busy", "name": "busy"},
        {"base_url": f"{provider.url}/v1", "name": "good"},
    )
    provider.says("/busy/chat/completions", whole({"error": {"message": "busy"}}, 503))
    provider.says(CHAT, whole(completion()))
    assert edge.chat().status_code == 200
    event = edge.event()
    assert event["detail"]["upstream"] == "good"
    assert event["detail"]["attempts"] == [
        {"upstream": "away", "status": None, "error": "connection_failed"},
        {"upstream": "busy", "status": 503, "error": None},
    ]


def test_models_choose_their_upstream(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(
        acme,
        {"base_url": f"{provider.url}/any"},
        {"base_url": f"{provider.url}/own", "models": ["llama-*", "qwen"], "credential": None},
    )
    provider.says("/any/chat/completions", whole(completion()))
    provider.says("/own/chat/completions", whole(completion()))
    for model in ("llama-4", "qwen", "gpt-4o"):
        assert edge.chat(model=model).status_code == 200
    assert [asked.path.split("/")[1] for asked in provider.asked] == ["own", "own", "any"]
    assert "Authorization" not in provider.asked[0].headers


def test_no_upstream_answers(edge: Edge, acme: Organization) -> None:
    only_upstreams(acme, {"base_url": "http://127.0.0.1:9/v1"})
    response = edge.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_unreachable")
    event = edge.event()
    assert (event["status"], event["cost_nanos"]) == ("error", 0)
    assert event["event_id"] == response.headers["x-tokenledger-event"]


def test_an_upstream_that_takes_too_long(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(acme, {"base_url": f"{provider.url}/v1", "timeout_seconds": 1})
    provider.says(CHAT, Script([b"{}"], wait=5))
    response = edge.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (504, "upstream_timeout")
    assert edge.event()["status"] == "timeout"


def test_private_addresses_are_refused(edge: Edge, provider: Upstream, acme: Organization, settings: Any) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = False
    provider.says(CHAT, whole(completion()))
    assert edge.chat().status_code == 502
    # A name that leads inside.
    only_upstreams(acme, {"base_url": provider.url.replace("127.0.0.1", "localhost") + "/v1"})
    assert edge.chat().status_code == 502
    assert provider.asked == []
    assert {event["detail"]["error_code"] for event in edge.events(2)} == {"upstream_unreachable"}


def test_redirects_are_not_followed(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, Script([b""], 307, headers={"location": f"{provider.url}/elsewhere"}))
    assert edge.chat().status_code == 502
    assert [asked.path for asked in provider.asked] == [CHAT]


def test_a_new_upstream_is_used_at_once(edge: Edge, provider: Upstream, acme: Organization) -> None:
    provider.says(CHAT, whole(completion()))
    assert edge.chat().status_code == 200
    only_upstreams(acme)
    assert edge.chat().status_code == 404


def test_models_are_merged(edge: Edge, provider: Upstream, acme: Organization) -> None:
    only_upstreams(
        acme,
        {"base_url": f"{provider.url}/v1", "models": ["gpt-*"]},
        {"base_url": f"{provider.url}/dead", "models": ["local-llama", "x-*"]},
        {"base_url": provider.url, "protocol": "anthropic", "provider": "anthropic"},
    )
    provider.says("/v1/models", whole({"object": "list", "data": [
        {"id": "gpt-4o", "object": "model", "created": 5, "owned_by": "openai"}, {"id": "dall-e-3"},
        {"id": "claude-sonnet-4-5", "type": "model", "display_name": "Claude"}]}))  # fmt: skip
    listed = edge.client.get("/v1/models").json()
    assert [model["id"] for model in listed["data"]] == ["gpt-4o", "local-llama", "dall-e-3", "claude-sonnet-4-5"]
    assert listed["data"][0] == {"id": "gpt-4o", "object": "model", "created": 5, "owned_by": "openai"}
    asked = len(provider.asked)
    shown = edge.client.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    assert (shown["first_id"], shown["has_more"]) == ("gpt-4o", False)
    assert edge.client.get("/v1/models/gpt-4o").json()["owned_by"] == "openai"
    assert edge.client.get("/v1/models/vendor/none").status_code == 404
    assert len(provider.asked) == asked  # remembered


def test_many_calls_at_once(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, whole(completion()))

    def call() -> None:
        for _ in range(10):
            assert edge.chat().status_code == 200

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    found = edge.events(80)
    assert len({event["event_id"] for event in found}) == 80
    assert sum(event["output"] for event in stored(edge.organization)) == 80 * 7
