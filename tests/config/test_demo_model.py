"""The demo's own model, asked by the providers' SDKs: it says what it is, and counts what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import anthropic
import httpx
import httpx2
import openai
import pytest

from config.demo.model import words
from config.demo.model.app import application

T = TypeVar("T")
MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a ledger?"}]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "SECONDS_TO_FIRST_TOKEN", (0.0, 0.0))
    monkeypatch.setattr(words, "SECONDS_PER_TOKEN", (0.0, 0.0))


def ask(question: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(question)


def transport() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(application))


def openai_client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url="http://x/demo-model/v1", api_key="none", http_client=transport(), max_retries=0)


def anthropic_client() -> anthropic.AsyncAnthropic:
    # This SDK wants the client of httpx's successor.
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(application))
    return anthropic.AsyncAnthropic(base_url="http://x/demo-model", api_key="none", http_client=http, max_retries=0)


def test_a_chat_names_itself_and_counts_its_tokens() -> None:
    first, second = (
        ask(openai_client().chat.completions.create(model="gpt-4o-2024-08-06", messages=MESSAGES)) for _ in range(2)
    )
    text = first.choices[0].message.content
    assert text
    assert "the demo's own model, not gpt-4o-2024-08-06" in text
    assert "“What is a ledger?”" in text
    assert text == second.choices[0].message.content
    assert first.id != second.id
    assert first.usage
    assert first.usage.completion_tokens == words.count(text)
    assert first.usage.prompt_tokens == words.count("Be brief.\nWhat is a ledger?")
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    assert first.choices[0].finish_reason == "stop"


def test_a_stream_is_the_same_answer_in_pieces_with_usage_where_asked() -> None:
    async def pieces(**options: Any) -> list[Any]:
        stream = await openai_client().chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, **options
        )
        return [chunk async for chunk in stream]

    whole = ask(openai_client().chat.completions.create(model="gpt-4o", messages=MESSAGES))
    plain, counted = ask(pieces()), ask(pieces(stream_options={"include_usage": True}))
    for chunks in (plain, counted):
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            == whole.choices[0].message.content
        )
    assert all(chunk.usage is None for chunk in plain)
    assert counted[-1].choices == []
    assert counted[-1].usage == whole.usage


def test_a_limit_cuts_the_answer() -> None:
    answer = ask(openai_client().chat.completions.create(model="gpt-4.1", messages=MESSAGES, max_completion_tokens=5))
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage
    assert answer.usage.completion_tokens == 5


def test_responses_whole_and_streamed() -> None:
    async def events() -> list[Any]:
        stream = await openai_client().responses.create(model="gpt-4o", input="Hello", stream=True)
        return [event async for event in stream]

    whole = ask(openai_client().responses.create(model="gpt-4o", input="Hello", instructions="Be brief."))
    assert "demo's own model" in whole.output_text
    assert whole.usage
    assert whole.usage.output_tokens == words.count(whole.output_text)
    streamed = ask(events())
    assert [event.sequence_number for event in streamed] == list(range(len(streamed)))
    last = streamed[-1]
    assert last.type == "response.completed"
    deltas = "".join(event.delta for event in streamed if event.type == "response.output_text.delta")
    assert deltas == last.response.output_text
    assert last.response.usage.input_tokens == words.count("Hello")


def test_responses_take_items_and_end_incomplete() -> None:
    item: Any = {"role": "user", "content": [{"type": "input_text", "text": "Hello there"}]}
    answer = ask(openai_client().responses.create(model="gpt-4o", input=[item], max_output_tokens=3))
    assert (answer.status, answer.usage and answer.usage.output_tokens) == ("incomplete", 3)


def test_embeddings_are_the_texts_own_and_of_length_one() -> None:
    client = openai_client
    answer = ask(client().embeddings.create(model="text-embedding-3-small", input=["one text", "another", "one text"]))
    first, other, again = (row.embedding for row in answer.data)
    assert len(first) == 1536
    assert first == again != other
    assert sum(number**2 for number in first) == pytest.approx(1.0, abs=1e-5)
    assert answer.usage.prompt_tokens == 2 * words.count("one text") + words.count("another")
    plain = ask(
        client().embeddings.create(
            model="text-embedding-3-large", input=[1, 2, 3], dimensions=8, encoding_format="float"
        )
    )
    assert (len(plain.data[0].embedding), plain.usage.total_tokens) == (8, 3)


def test_messages_whole_streamed_and_counted() -> None:
    question: Any = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    common: Any = {"model": "claude-haiku-4-5", "max_tokens": 500, "system": "Be brief.", "messages": question}

    async def streamed() -> tuple[str, Any]:
        async with anthropic_client().messages.stream(**common) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            return text, await stream.get_final_message()

    whole = ask(anthropic_client().messages.create(**common))
    text, last = ask(streamed())
    assert "demo's own model, not claude-haiku-4-5" in text
    assert whole.content[0].type == "text"
    assert whole.content[0].text == text
    assert (last.usage.input_tokens, last.usage.output_tokens) == (whole.usage.input_tokens, words.count(text))
    assert (whole.stop_reason, last.stop_reason) == ("end_turn", "end_turn")
    del common["max_tokens"]
    assert ask(anthropic_client().messages.count_tokens(**common)).input_tokens == whole.usage.input_tokens


def test_each_protocol_has_its_list_of_models() -> None:
    async def names() -> tuple[list[str], list[str]]:
        return (
            [row.id async for row in openai_client().models.list()],
            [row.id async for row in anthropic_client().models.list()],
        )

    ours, theirs = ask(names())
    assert {"gpt-4o", "text-embedding-3-small"} <= set(ours)
    assert "claude-haiku-4-5" in theirs


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("chat/completions", b"nonsense", 400),
        ("chat/completions", b"[]", 400),
        ("chat/completions", b"{}", 400),
        ("chat/completions", b'{"model": "gpt-9", "messages": [{"content": "x"}]}', 404),
        ("chat/completions", b'{"model": "gpt-4o"}', 400),
        ("chat/completions", b'{"model": "gpt-4o", "messages": [1]}', 400),
        ("chat/completions", b'{"model": "gpt-4o", "messages": [{"content": "\\ud800"}]}', 400),
        ("chat/completions", b'{"model": "gpt-4o", "messages": [{"content": "x"}], "max_tokens": -1}', 400),
        ("responses", b'{"model": "gpt-4o", "input": 5}', 400),
        ("embeddings", b'{"model": "gpt-4o", "input": "x"}', 400),
        ("embeddings", b'{"model": "text-embedding-3-small", "input": []}', 400),
        ("embeddings", b'{"model": "text-embedding-3-small", "input": "x", "dimensions": 5000}', 400),
        ("messages", b'{"model": "claude-x", "messages": [{"content": "x"}]}', 400),
        ("messages", b'{"model": "gpt-4o", "messages": [{"content": "x"}], "max_tokens": 5}', 404),
        ("messages", json.dumps({"model": "claude-x", "messages": []}).encode(), 400),
    ],
)
def test_what_no_provider_takes_is_refused_in_the_protocols_shape(path: str, body: bytes, status: int) -> None:
    async def post() -> httpx.Response:
        async with transport() as client:
            return await client.post(f"http://x/demo-model/v1/{path}", content=body)

    answer = ask(post())
    assert answer.status_code == status
    error = answer.json()
    assert isinstance(error["error"]["message"], str)
    assert (error.get("type") == "error") == (path == "messages")


@pytest.mark.parametrize("content", [[], None, 5, {"text": None}, [[[[[[[["deep"]]]]]]]], "x" * 100_000])
def test_odd_contents_are_answered(content: Any) -> None:
    message: Any = {"role": "user", "content": content}
    assert ask(openai_client().chat.completions.create(model="gpt-4o", messages=[message])).usage
