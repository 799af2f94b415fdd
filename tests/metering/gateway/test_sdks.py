"""The official SDKs, unmodified: another base_url and key is all they need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from accounts.models import Organization
from core.tenancy import organization_scope
from metering.models import Limit, RateLimit
from tests.metering.gateway.conftest import Edge
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
    whole,
)

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(edge: Edge) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{edge.url}/v1", api_key=edge.secret, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def claude(edge: Edge) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=edge.url, api_key=edge.secret, max_retries=0) as sdk:
        yield sdk


# ── OpenAI ──


def test_chat(edge: Edge, provider: Upstream, client: openai.OpenAI) -> None:
    provider.says(CHAT, whole(completion()))
    answer = client.chat.completions.create(
        model="gpt-4o", messages=HELLO, user="u_7", extra_headers={"X-Tokenledger-Chat": "c1"}
    )
    assert answer.choices[0].message.content == ANSWER
    assert answer.usage is not None
    assert answer.usage.total_tokens == 19
    event = edge.event()
    assert (event["output"], event["chat"], event["end_user"]) == (7, "c1", "u_7")


def test_chat_stream(edge: Edge, provider: Upstream, client: openai.OpenAI) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())))
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    assert "".join(each.choices[0].delta.content or "" for each in chunks).strip() == ANSWER
    assert all(each.usage is None for each in chunks)
    assert edge.event()["output"] == 7


def test_chat_stream_with_usage(edge: Edge, provider: Upstream, client: openai.OpenAI) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())))
    asked: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True, stream_options=asked))
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 7


def test_chat_stream_helper(provider: Upstream, client: openai.OpenAI) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())))
    with client.chat.completions.stream(model="gpt-4o", messages=HELLO) as running:
        for _ in running:
            pass
        assert (running.get_final_completion().choices[0].message.content or "").strip() == ANSWER


def test_tools(edge: Edge, provider: Upstream, client: openai.OpenAI) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}}
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]},
              "finish_reason": "tool_calls"}  # fmt: skip
    provider.says(CHAT, whole(completion(choices=[choice])))
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    answer = client.chat.completions.create(model="gpt-4o", messages=HELLO, tools=tools)
    assert answer.choices[0].message.tool_calls is not None
    assert provider.asked[0].document["tools"] == tools
    assert edge.event()["detail"]["finish_reason"] == "tool_calls"


def test_streamed_tools(provider: Upstream, client: openai.OpenAI) -> None:
    parts = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city": '}},
        {"index": 0, "function": {"arguments": '"Zürich"}'}},
    ]
    said = [chunk({"tool_calls": [part]}) for part in parts]
    provider.says(CHAT, stream(*events(*said, chunk({}, "tool_calls"))))
    arguments = ""
    for each in client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True):
        for call in each.choices[0].delta.tool_calls or ():
            arguments += (call.function.arguments if call.function else "") or ""
    assert arguments == '{"city": "Zürich"}'


def test_raw_response(edge: Edge, provider: Upstream, client: openai.OpenAI, acme: Organization) -> None:
    with organization_scope(acme.pk):
        RateLimit.objects.create(organization=acme, requests_per_minute=100, tokens_per_minute=100_000)
    provider.says(CHAT, whole(completion(), **{"x-request-id": "req_upstream"}))
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    assert raw.parse().choices[0].message.content == ANSWER
    assert raw.request_id == "req_upstream"
    assert raw.headers["x-ratelimit-limit-rpm"] == "100"
    assert raw.headers["x-ratelimit-remaining-rpm"] == "99"
    assert int(raw.headers["x-ratelimit-reset-tpm"]) > 1_700_000_000
    assert edge.event()["event_id"] == raw.headers["x-tokenledger-event"]


def test_streaming_raw_response(provider: Upstream, client: openai.OpenAI) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())))
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=HELLO, stream=True
    ) as response:
        assert "data: [DONE]" in list(response.iter_lines())


def test_responses(edge: Edge, provider: Upstream, client: openai.OpenAI) -> None:
    part = {"type": "output_text", "text": ANSWER, "annotations": []}
    body = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5", "status": "completed",
        "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 8}, "output_tokens": 6,
                  "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 26},
    }  # fmt: skip
    provider.says("/v1/responses", whole(body))
    assert client.responses.create(model="gpt-5", input="Hello").output_text == ANSWER
    said = named_events(
        {"type": "response.created", "sequence_number": 0, "response": body | {"status": "in_progress", "usage": None}},
        {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0,
         "content_index": 0, "delta": ANSWER, "logprobs": []},
        {"type": "response.completed", "sequence_number": 2, "response": body},
    )  # fmt: skip
    provider.says("/v1/responses", stream(*said))
    kinds = [each.type for each in client.responses.create(model="gpt-5", input="Hello", stream=True)]
    assert kinds == ["response.created", "response.output_text.delta", "response.completed"]
    for event in edge.events(2):
        assert (event["input"], event["cache_read"], event["is_estimated"]) == (12, 8, False)
        assert event["detail"]["response_id"] == "resp_1"


def test_embeddings_images_and_models(edge: Edge, provider: Upstream, client: openai.OpenAI) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    provider.says("/v1/embeddings", whole({"object": "list", "data": [vector], "model": "m", "usage": usage}))
    found = client.embeddings.create(model="text-embedding-3-small", input="a", encoding_format="float")
    assert found.data[0].embedding == [0.1, 0.2]
    provider.says("/v1/images/generations", whole({"created": 1, "data": [{"b64_json": "aGk="}]}))
    assert client.images.generate(model="dall-e-3", prompt="a cat").data is not None
    provider.says("/v1/models", whole({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}))
    assert [model.id for model in client.models.list()] == ["gpt-4o"]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    assert [event["endpoint"] for event in edge.events(2)] == ["/v1/embeddings", "/v1/images/generations"]


def test_transcriptions(edge: Edge, provider: Upstream, client: openai.OpenAI) -> None:
    provider.says("/v1/audio/transcriptions", whole({"text": "hi", "usage": {"type": "duration", "seconds": 3}}))
    answer = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF" * 100))
    assert answer.text == "hi"
    assert edge.event()["media_ms"] == 3_000


def test_async_clients_at_once(edge: Edge, provider: Upstream) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks()), pause=0.01))
    provider.says(MESSAGES, whole(message()))

    async def chat(sdk: openai.AsyncOpenAI) -> str:
        running = await sdk.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        return "".join([each.choices[0].delta.content or "" async for each in running]).strip()

    async def both() -> tuple[list[str], Any]:
        async with (
            openai.AsyncOpenAI(base_url=f"{edge.url}/v1", api_key=edge.secret) as sdk,
            anthropic.AsyncAnthropic(base_url=edge.url, api_key=edge.secret) as claude,
        ):
            asked = claude.messages.create(model="claude-test", max_tokens=50, messages=HELLO)
            *texts, answer = await asyncio.gather(*(chat(sdk) for _ in range(10)), asked)
            return texts, answer

    texts, answer = asyncio.run(both())
    assert texts == [ANSWER] * 10
    assert answer.usage.output_tokens == 9
    assert sum(event["output"] for event in edge.events(11)) == 79


# ── Anthropic ──


def test_messages(edge: Edge, provider: Upstream, claude: anthropic.Anthropic) -> None:
    provider.says(MESSAGES, whole(message()))
    metadata: Any = {"user_id": "u_9"}
    answer = claude.messages.create(model="claude-test", max_tokens=50, messages=HELLO, metadata=metadata)
    assert (answer.content[0].text, answer.usage.input_tokens) == (ANSWER, 15)  # type: ignore[union-attr]
    event = edge.event()
    assert (event["input"], event["end_user"]) == (15, "u_9")


def test_message_stream(edge: Edge, provider: Upstream, claude: anthropic.Anthropic) -> None:
    provider.says(MESSAGES, stream(*named_events(*message_events())))
    with claude.messages.stream(model="claude-test", max_tokens=50, messages=HELLO) as running:
        assert "".join(running.text_stream).strip() == ANSWER
        assert running.get_final_message().usage.output_tokens == 9
    assert edge.event()["output"] == 9


def test_counting(provider: Upstream, claude: anthropic.Anthropic) -> None:
    provider.says("/v1/messages/count_tokens", whole({"input_tokens": 14}))
    assert claude.messages.count_tokens(model="claude-test", messages=HELLO).input_tokens == 14


# ── What goes wrong ──


def test_refusals_are_the_sdks_own_errors(edge: Edge, provider: Upstream, acme: Organization) -> None:
    provider.says(CHAT, whole({"error": {"message": "no", "type": "x", "code": "bad"}}, 400))
    wrong = openai.OpenAI(base_url=f"{edge.url}/v1", api_key="tl_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model="gpt-4o", messages=HELLO)
    right = openai.OpenAI(base_url=f"{edge.url}/v1", api_key=edge.secret, max_retries=0)
    with pytest.raises(openai.BadRequestError, match="no"):
        right.chat.completions.create(model="gpt-4o", messages=HELLO)
    with organization_scope(acme.pk):
        Limit.objects.create(
            organization=acme, kind="allowance", source="plan", label="the monthly allowance", unit="tokens", amount=0
        )
    with pytest.raises(openai.RateLimitError) as refused:
        right.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert refused.value.code == "insufficient_quota"
    assert "the monthly allowance" in refused.value.message
    claude = anthropic.Anthropic(base_url=edge.url, api_key=edge.secret, max_retries=0)
    with pytest.raises(anthropic.RateLimitError):
        claude.messages.create(model="claude-test", max_tokens=50, messages=HELLO)


def test_a_broken_stream_raises_in_the_sdk(provider: Upstream, client: openai.OpenAI, claude: Any) -> None:
    provider.says(CHAT, stream(*events(*chat_chunks())[:3], BREAK, pause=0.01))
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
    provider.says(MESSAGES, stream(*named_events(*message_events())[:5], BREAK, pause=0.01))
    with (
        pytest.raises(anthropic.APIStatusError, match="broke off"),
        claude.messages.stream(model="claude-test", max_tokens=50, messages=HELLO) as running,
    ):
        list(running)


def test_retries_of_the_sdk_are_calls_of_their_own(edge: Edge, provider: Upstream) -> None:
    busy = Script([b"{}"], 503)
    provider.says(CHAT, busy, whole(completion()))
    sdk = openai.OpenAI(base_url=f"{edge.url}/v1", api_key=edge.secret, max_retries=1)
    assert sdk.chat.completions.create(model="gpt-4o", messages=HELLO).usage is not None
    assert [event["status"] for event in edge.events(2)] == ["error", "ok"]
