"""The unmodified `openai` SDK, wrapped: every chat completion is told once, and the caller notices nothing."""

from __future__ import annotations

import gc

import openai
import pytest

from openai_side import (
    ASK,
    CHAT,
    HEL,
    MODEL,
    ROLE,
    STOP,
    USAGE,
    City,
    Provider,
    completion,
    doing,
    error_body,
    texts,
)
from recording import Ledger
from scripted import answer, break_off, data, hang, stream


@doing(answer(200, completion()))
def test_a_completion(provider: Provider, ledger: Ledger) -> None:
    told = provider.client.chat.completions.create(**ASK, tokenledger={"chat": "c1", "feature": "search"})
    assert (type(told).__name__, told.choices[0].message.content) == ("ChatCompletion", "Hi")
    event = ledger.event
    assert event.pop("duration_ms") >= 0
    assert event.pop("id") != told.id, "an id of its own: compatible servers repeat theirs"
    assert event.pop("occurred_at").endswith("+00:00")
    assert event == {
        "model": MODEL, "usage": USAGE, "provider": "openai", "endpoint": "/v1/chat/completions", "status": "ok",
        "streamed": False, "finish_reason": "stop", "service_tier": "default", "chat": {"id": "c1"},
        "feature": "search",
    }  # fmt: skip
    assert provider.asked == [ASK], "the provider is asked what the caller asked"


@doing(CHAT)
def test_a_stream_that_did_not_ask_for_usage(provider: Provider, ledger: Ledger) -> None:
    told = provider.client.chat.completions.create(**ASK, stream=True)
    assert type(told) is openai.Stream
    assert texts(told) == ["", "Hel", "lo", None], "without the chunk nobody asked for"
    assert provider.asked == [{**ASK, "stream": True, "stream_options": {"include_usage": True}}]
    event = ledger.event
    assert (event["usage"], event["streamed"], event["finish_reason"], event["status"]) == (USAGE, True, "stop", "ok")
    assert 10 <= event["time_to_first_token_ms"] < event["duration_ms"] - 30, "an empty text is no token"


@doing(CHAT)
def test_a_stream_that_asked_for_usage(provider: Provider, ledger: Ledger) -> None:
    options = {"include_usage": True, "include_obfuscation": False}
    told = list(provider.client.chat.completions.create(**ASK, stream=True, stream_options=options))
    assert told[-1].usage.total_tokens == 1100
    assert ledger.event["usage"] == USAGE
    assert provider.asked[0]["stream_options"] == options


@doing(CHAT)
def test_other_options_of_a_stream_stay(provider: Provider, ledger: Ledger) -> None:
    given = {"include_obfuscation": False}
    list(provider.client.chat.completions.create(**ASK, stream=True, stream_options=given))
    assert provider.asked[0]["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert given == {"include_obfuscation": False}


@doing(stream(*data(ROLE, HEL, STOP, b"[DONE]")))
def test_servers_that_know_no_stream_options(provider: Provider, ledger: Ledger) -> None:
    plain = openai.OpenAI(api_key="x", base_url=f"{provider.server.url}/v1")
    wrapped = ledger.client.wrap(plain, ask_for_stream_usage=False)
    assert texts(wrapped.chat.completions.create(**ASK, stream=True)) == ["", "Hel", None]
    assert provider.asked == [{**ASK, "stream": True}]
    event = ledger.event
    assert (event["usage"], event["status"], "provider" in event) == (None, "ok", False), "unknown, not 0"
    plain.close()


@doing(CHAT)
@pytest.mark.parametrize("leave", ["closed", "dropped", "block"])
def test_an_abandoned_stream(provider: Provider, ledger: Ledger, leave: str) -> None:
    """Nobody knows what it took: unknown usage."""
    told = provider.client.chat.completions.create(**ASK, stream=True)
    if leave == "block":
        with told:
            next(iter(told))
    else:
        assert next(told).choices[0].delta.content == ""
        if leave == "closed":
            told.close()
    if leave == "dropped":
        del told
        gc.collect()
    event = ledger.event
    assert (event["usage"], event["status"], event.get("finish_reason")) == (None, "cancelled", None)


@doing(CHAT)
def test_a_stream_left_when_the_model_had_finished(provider: Provider, ledger: Ledger) -> None:
    told = provider.client.chat.completions.create(**ASK, stream=True)
    for one in told:
        if one.choices[0].finish_reason:
            break
    told.close()
    event = ledger.event
    assert (event["usage"], event["status"], event["finish_reason"]) == (None, "ok", "stop")


@doing(stream(*data(ROLE, HEL), is_cut=True))
def test_a_stream_that_breaks(provider: Provider, ledger: Ledger) -> None:
    told = provider.client.chat.completions.create(**ASK, stream=True)
    with pytest.raises(Exception, match=r"peer closed|incomplete|onnection"):
        list(told)
    event = ledger.event
    assert (event["usage"], event["status"], event["streamed"]) == (None, "error", True)


@doing(stream(*data(ROLE, {"error": {"message": "Overloaded", "code": "overloaded"}})))
def test_an_error_inside_a_stream(provider: Provider, ledger: Ledger) -> None:
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(provider.client.chat.completions.create(**ASK, stream=True))
    event = ledger.event
    assert (event["status"], event["error_code"]) == ("error", "overloaded")


@pytest.mark.parametrize(
    ("provider", "kind", "status", "code"),
    [
        (
            [answer(429, error_body("rate_limit_exceeded"))],
            openai.RateLimitError,
            "rate_limited",
            "rate_limit_exceeded",
        ),
        (
            [answer(400, error_body("context_length_exceeded"))],
            openai.BadRequestError,
            "error",
            "context_length_exceeded",
        ),
        ([answer(500, {})], openai.InternalServerError, "error", "500"),
        ([break_off], openai.APIConnectionError, "error", "APIConnectionError"),
        ([hang(0.5)], openai.APITimeoutError, "timeout", "APITimeoutError"),
    ],
    indirect=["provider"],
)
def test_errors_are_told_and_reach_the_caller_unchanged(
    provider: Provider, ledger: Ledger, kind: type[Exception], status: str, code: str
) -> None:
    with pytest.raises(kind):
        provider.client.with_options(timeout=0.2).chat.completions.create(**ASK)
    event = ledger.event
    assert (event["status"], event["error_code"], event["usage"]) == (status, code, None)
    assert (event["model"], event["endpoint"]) == ("gpt-4o", "/v1/chat/completions")


@doing(answer(200, completion('{"city": "Rome"}')), answer(200, completion('{"ci', "length")))
def test_parsed_completions(provider: Provider, ledger: Ledger) -> None:
    told = provider.client.chat.completions.parse(**ASK, response_format=City)
    assert told.choices[0].message.parsed == City(city="Rome")
    with pytest.raises(openai.LengthFinishReasonError):
        provider.client.chat.completions.parse(**ASK, response_format=City)
    first, second = ledger.events
    assert (first["usage"], first["status"]) == (USAGE, "ok")
    assert (second["usage"], second["status"], second["finish_reason"]) == (USAGE, "error", "length"), "it was paid for"


@doing(CHAT)
def test_the_helper_for_streams(provider: Provider, ledger: Ledger) -> None:
    with provider.client.chat.completions.stream(**ASK, tokenledger={"user": "bob"}) as told:
        assert type(told).__name__ == "ChatCompletionStream"
        kinds = [event.type for event in told]
        final = told.get_final_completion()
    assert kinds.count("content.delta") == 3
    assert (final.choices[0].message.content, final.usage) == ("Hello", None), "as it is without asking"
    event = ledger.event
    assert (event["usage"], event["user"], event["finish_reason"]) == (USAGE, "bob", "stop")


@doing(CHAT)
def test_leaving_the_helper_for_streams(provider: Provider, ledger: Ledger) -> None:
    with provider.client.chat.completions.stream(**ASK) as told:
        next(iter(told))
    assert (ledger.event["usage"], ledger.event["status"]) == (None, "cancelled")


@doing(answer(200, completion(), x_request_id="req_openai"), CHAT, answer(200, completion()), answer(200, completion()))
def test_raw_responses(provider: Provider, ledger: Ledger) -> None:
    completions = provider.client.chat.completions
    raw = completions.with_raw_response.create(**ASK)
    assert raw.headers["x-request-id"] == "req_openai"
    assert raw.parse().choices[0].message.content == "Hi"
    assert texts(completions.with_raw_response.create(**ASK, stream=True).parse()) == ["", "Hel", "lo", None]
    with completions.with_streaming_response.create(**ASK) as raw_stream:
        assert raw_stream.parse().choices[0].message.content == "Hi"
    with completions.with_streaming_response.create(**ASK) as raw_stream:
        assert b"chatcmpl-1" in b"".join(raw_stream.iter_bytes())
    del raw, raw_stream
    gc.collect()
    assert [(one["usage"], one["status"]) for one in ledger.events] == [(USAGE, "ok")] * 3 + [(None, "ok")]
