"""The unmodified `openai` SDK, wrapped: responses, embeddings, asynchronous clients, and the product behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from accounts.models import Organization
from openai_side import (
    ASK,
    CHAT,
    EMBEDDINGS,
    MODEL,
    City,
    Provider,
    completion,
    doing,
    response,
    responses,
    texts,
)
from recording import Ledger
from scripted import answer, hang, named, refuse, scripted, stream
from tests.metering.door import select
from tokenledger import Client

# ── Responses, embeddings ──


@doing(answer(200, response()))
def test_a_response(provider: Provider, ledger: Ledger) -> None:
    assert provider.client.responses.create(model="gpt-4o", input="Hello").output_text == '{"city": "Rome"}'
    event = ledger.event
    assert (event["endpoint"], event["finish_reason"], event["model"]) == ("/v1/responses", "completed", MODEL)
    assert event["usage"] == response()["usage"]


@doing(answer(200, response()))
def test_a_parsed_response(provider: Provider, ledger: Ledger) -> None:
    told = provider.client.responses.parse(model="gpt-4o", input="Hello", text_format=City)
    assert told.output_parsed == City(city="Rome")
    assert ledger.event["usage"]["total_tokens"] == 30


@pytest.mark.parametrize(
    ("provider", "status", "finish", "total"),
    [
        ([responses({"type": "response.completed", "response": response()})], "ok", "completed", 30),
        (
            [responses({"type": "response.incomplete",
                        "response": response("incomplete", incomplete_details={"reason": "max_output_tokens"})})],
            "ok", "max_output_tokens", 30,
        ),
        (
            [responses({"type": "response.failed", "response": response(
                "failed", usage=None, error={"code": "server_error", "message": "No"})})],
            "error", "failed", None,
        ),
    ],
    indirect=["provider"], ids=["completed", "incomplete", "failed"],
)  # fmt: skip
def test_a_stream_of_a_response(
    provider: Provider, ledger: Ledger, status: str, finish: str, total: int | None
) -> None:
    told = list(provider.client.responses.create(model="gpt-4o", input="Hello", stream=True))
    assert len(told) == 3
    assert provider.asked == [{"model": "gpt-4o", "input": "Hello", "stream": True}]
    event = ledger.event
    assert (event["status"], event["finish_reason"], event["time_to_first_token_ms"] > 10) == (status, finish, True)
    assert (event["usage"] and event["usage"]["total_tokens"]) == total
    assert event.get("error_code") == ("server_error" if status == "error" else None)


@doing(
    stream(
        *named(
            {"type": "response.created", "sequence_number": 0, "response": response("in_progress", usage=None)},
            {"type": "response.completed", "sequence_number": 1, "response": response()},
        )
    )
)
def test_the_helper_for_responses(provider: Provider, ledger: Ledger) -> None:
    with provider.client.responses.stream(model="gpt-4o", input="Hello") as told:
        assert told.get_final_response().output_text == '{"city": "Rome"}'
    assert ledger.event["usage"]["total_tokens"] == 30


@doing(answer(200, EMBEDDINGS))
def test_embeddings(provider: Provider, ledger: Ledger) -> None:
    told = provider.client.embeddings.create(model="text-embedding-3-small", input="Hello")
    assert told.data[0].embedding == [0.5, -0.25]
    event = ledger.event
    assert (event["usage"], event["endpoint"]) == (EMBEDDINGS["usage"], "/v1/embeddings")


# ── Asynchronous ──


@doing(answer(200, completion()), CHAT, CHAT, CHAT, answer(200, response()), answer(200, EMBEDDINGS))
def test_asynchronous(provider: Provider, ledger: Ledger) -> None:
    async def use() -> None:
        async with provider.asynchronous() as client:
            create = client.chat.completions.create
            assert (await create(**ASK, tokenledger={"user": "bob"})).usage.total_tokens == 1100
            told = await create(**ASK, stream=True)
            assert type(told) is openai.AsyncStream
            assert texts([one async for one in told]) == ["", "Hel", "lo", None]
            left = await create(**ASK, stream=True)
            await left.__anext__()
            await left.close()
            async with client.chat.completions.stream(**ASK) as helper:
                assert (await helper.get_final_completion()).choices[0].message.content == "Hello"
            assert (await client.responses.create(model="gpt-4o", input="Hi")).status == "completed"
            await client.embeddings.create(model="text-embedding-3-small", input="Hello")

    asyncio.run(use())
    told = [(one["endpoint"], one["status"], one["usage"] is not None) for one in ledger.events]
    chat = "/v1/chat/completions"
    assert told == [
        (chat, "ok", True),
        (chat, "ok", True),
        (chat, "cancelled", False),
        (chat, "ok", True),
        ("/v1/responses", "ok", True),
        ("/v1/embeddings", "ok", True),
    ]
    assert ledger.events[0]["user"] == "bob"


@doing(hang(1), refuse(500))
def test_asynchronous_cancellation_and_errors(provider: Provider, ledger: Ledger) -> None:
    async def use() -> None:
        async with provider.asynchronous() as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.chat.completions.create(**ASK), 0.2)
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(**ASK)

    asyncio.run(use())
    assert [one["status"] for one in ledger.events] == ["cancelled", "error"]


@doing(answer(200, completion()))
def test_each_task_belongs_to_its_own(provider: Provider, ledger: Ledger) -> None:
    async def use() -> None:
        async with provider.asynchronous() as client:

            async def ask(name: str) -> None:
                with ledger.client.context(user=name, tags={"of": name}):
                    await asyncio.sleep(0.01)
                    await client.chat.completions.create(**ASK, tokenledger={"tags": {"n": 1}})

            await asyncio.gather(*(ask(f"u{n}") for n in range(10)))

    asyncio.run(use())
    told = {(one["user"], one["tags"]["of"], one["tags"]["n"]) for one in ledger.events}
    assert told == {(f"u{n}", f"u{n}", 1) for n in range(10)}


# ── The product ──


def test_what_the_product_makes_of_it(client: Client, acme: Organization, prices: None) -> None:
    with scripted(answer(200, completion()), CHAT, CHAT, refuse(500)) as server:
        settings: dict[str, Any] = {"api_key": "sk", "base_url": f"{server.url}/v1", "max_retries": 0}
        with client.wrap(openai.OpenAI(**settings), provider="openai") as wrapped, client.context(chat="c1"):
            create = wrapped.chat.completions.create
            create(**ASK)
            list(create(**ASK, stream=True))
            create(**ASK, stream=True).close()
            with pytest.raises(openai.InternalServerError):
                create(**ASK)
    assert client.flush(10)
    events = sorted(client.events(chat="c1"), key=lambda event: event.occurred_at)
    assert [(one.status, one.total_tokens, one.usage and one.usage.cache_read) for one in events] == [
        ("ok", 1100, 400),
        ("ok", 1100, 400),
        ("cancelled", None, None),
        ("error", None, None),
    ]
    assert select(acme, "SELECT count(*), sum(reasoning) FROM metering_event") == [(4, 60)]
    (chat,) = client.chats()
    assert (chat.id, chat.requests, chat.errors) == ("c1", 4, 2)
