"""The unmodified `anthropic` SDK, wrapped: every message is told once, and the caller notices nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from accounts.models import Organization
from recording import Ledger
from scripted import ScriptedServer, answer, named, scripted, stream
from tokenledger import Client

MODEL = "claude-next-20261101"
ASK: dict[str, Any] = {"model": "claude-next", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60},
    "output_tokens": 12,
    "service_tier": "standard",
}


def message(**fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "Hello"}], "usage": USAGE, **fields,
    }  # fmt: skip


def delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


START = {
    "type": "message_start",
    "message": message(content=[], stop_reason=None, usage={**USAGE, "output_tokens": 1}),
}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
STOPPED = {"type": "content_block_stop", "index": 0}
DELTA = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 12},
}
EVENTS = [START, BLOCK, {"type": "ping"}, delta("Hel"), delta("lo"), STOPPED, DELTA, {"type": "message_stop"}]
STREAM = stream(*named(*EVENTS), pause=0.02)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[ScriptedServer]:
    with scripted(*request.param) as made:
        yield made


@pytest.fixture
def claude(server: ScriptedServer, ledger: Ledger) -> Iterator[anthropic.Anthropic]:
    plain = anthropic.Anthropic(api_key="sk-test", base_url=server.url, max_retries=0)
    with ledger.client.wrap(plain, provider="anthropic") as wrapped:
        yield wrapped


def doing(*steps: Any) -> Any:
    return pytest.mark.parametrize("server", [list(steps)], indirect=True, ids=[""])


@doing(answer(200, message()))
def test_a_message(claude: anthropic.Anthropic, server: ScriptedServer, ledger: Ledger) -> None:
    told = claude.messages.create(**ASK, tokenledger={"chat": "c1"})
    assert (type(told).__name__, told.content[0].text) == ("Message", "Hello")
    event = ledger.event
    assert (event["usage"], event["model"], event["finish_reason"]) == (USAGE, MODEL, "end_turn")
    assert (event["endpoint"], event["streamed"], event["chat"]) == ("/v1/messages", False, {"id": "c1"})
    assert [one.json for one in server.requests] == [ASK]


@doing(STREAM)
def test_a_stream(claude: anthropic.Anthropic, server: ScriptedServer, ledger: Ledger) -> None:
    told = claude.messages.create(**ASK, stream=True)
    assert type(told) is anthropic.Stream
    assert [one.type for one in told] == [one["type"] for one in EVENTS if one["type"] != "ping"]
    event = ledger.event
    assert event["usage"] == USAGE, "the prompt from the start, the output from the end"
    assert (event["model"], event["finish_reason"], event["status"]) == (MODEL, "end_turn", "ok")
    assert 30 <= event["time_to_first_token_ms"] < event["duration_ms"]
    assert server.requests[0].json == {**ASK, "stream": True}


@doing(STREAM)
def test_the_helper_for_streams(claude: anthropic.Anthropic, ledger: Ledger) -> None:
    with claude.messages.stream(**ASK, tokenledger={"feature": "chat"}) as told:
        assert type(told).__name__ == "MessageStream"
        assert list(told.text_stream) == ["Hel", "lo"]
        assert told.get_final_message().usage.output_tokens == 12
    assert (ledger.event["usage"], ledger.event["feature"]) == (USAGE, "chat")


@doing(STREAM)
@pytest.mark.parametrize("way", ["create", "stream"])
def test_an_abandoned_stream(claude: anthropic.Anthropic, ledger: Ledger, way: str) -> None:
    """What the start said of the usage is a beginning, which would pass for the whole: unknown."""
    if way == "create":
        told = claude.messages.create(**ASK, stream=True)
        next(iter(told))
        del told
        gc.collect()
    else:
        with claude.messages.stream(**ASK) as helper:
            next(iter(helper.text_stream))
    assert (ledger.event["usage"], ledger.event["status"], ledger.event["model"]) == (None, "cancelled", MODEL)


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@doing(
    answer(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}}),
    stream(*named(START, BLOCK, OVERLOADED)),
    stream(*named(START, BLOCK), is_cut=True),
)
def test_errors(claude: anthropic.Anthropic, ledger: Ledger) -> None:
    with pytest.raises(anthropic.RateLimitError):
        claude.messages.create(**ASK)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(claude.messages.create(**ASK, stream=True))
    with pytest.raises(Exception, match=r"peer closed|incomplete|onnection"), claude.messages.stream(**ASK) as told:
        told.until_done()
    assert [(one["status"], one["usage"]) for one in ledger.events] == [
        ("rate_limited", None),
        ("error", None),
        ("error", None),
    ]


@doing(answer(200, message()), STREAM, answer(200, message()), answer(200, message()))
def test_other_ways_to_ask(claude: anthropic.Anthropic, ledger: Ledger) -> None:
    assert claude.beta.messages.create(**ASK).usage.output_tokens == 12
    with claude.beta.messages.stream(**ASK) as told:
        assert told.get_final_text() == "Hello"
    assert claude.messages.with_raw_response.create(**ASK).parse().usage.output_tokens == 12
    assert claude.with_options(timeout=5).messages.create(**ASK).usage.output_tokens == 12
    assert [one["usage"] for one in ledger.events] == [USAGE] * 4


@doing(answer(200, message()), STREAM, STREAM, STREAM)
def test_asynchronous(server: ScriptedServer, ledger: Ledger) -> None:
    async def use() -> None:
        plain = anthropic.AsyncAnthropic(api_key="sk-test", base_url=server.url, max_retries=0)
        async with ledger.client.wrap(plain) as claude:
            assert (await claude.messages.create(**ASK)).usage.output_tokens == 12
            assert len([one async for one in await claude.messages.create(**ASK, stream=True)]) == 7
            async with claude.messages.stream(**ASK) as told:
                assert [text async for text in told.text_stream] == ["Hel", "lo"]
            async with claude.messages.stream(**ASK) as told:
                await told.__anext__()

    asyncio.run(use())
    assert [(one["usage"], one["status"]) for one in ledger.events] == [(USAGE, "ok")] * 3 + [(None, "cancelled")]


def test_what_the_product_makes_of_it(client: Client, acme: Organization) -> None:
    with scripted(answer(200, message()), STREAM) as server:
        plain = anthropic.Anthropic(api_key="sk-test", base_url=server.url)
        with client.wrap(plain, provider="anthropic", project=None) as claude:
            claude.messages.create(**ASK)
            list(claude.messages.create(**ASK, stream=True))
    assert client.flush(10)
    for event in client.events():
        buckets = event.usage
        assert buckets is not None
        assert (buckets.input, buckets.cache_read, buckets.cache_write_5m, buckets.cache_write_1h, buckets.output) == (
            20, 300, 40, 60, 12,
        )  # fmt: skip
