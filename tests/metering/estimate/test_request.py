"""What a request may take: every API's form, any JSON, and fast."""

from __future__ import annotations

import base64
import functools
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.estimate import vocabulary as vocabularies
from metering.estimate.count import count_text
from metering.estimate.media import recording_ms
from metering.estimate.request import CallEstimate, count_output, estimate_call, recording_tokens
from metering.estimate.vocabulary import Vocabulary, vocabulary
from metering.events import MAX_COUNT

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
IMAGES, TRANSCRIPTIONS = "/v1/images/generations", "/v1/audio/transcriptions"
# Of these tests alone, for where the package's own are taken away.
_own = functools.cache(Vocabulary)

ENDPOINTS = (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS, IMAGES, TRANSCRIPTIONS, "/v1/other")

PROSE = "The ledger counts each call once, and says which price it was rated at. " * 3_000


@pytest.fixture
def with_vocabularies() -> None:
    vocabulary("o200k_base")
    vocabulary("cl100k_base")


@pytest.fixture
def without_vocabularies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(vocabularies, "_loaded", {})
    yield
    assert not vocabularies._loaded


def estimate(endpoint: str, model: str = "gpt-4o", **body: Any) -> CallEstimate:
    return estimate_call(endpoint, {"model": model, **body})


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def png(width: int, height: int, size: int = 200_000) -> str:
    data = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + bytes(range(256)) * (size // 256)
    return base64.b64encode(data).decode()


# ── Input ──


@pytest.mark.usefixtures("with_vocabularies")
def test_a_short_chat_is_exact() -> None:
    found = estimate(CHAT, messages=user("What is the capital of France?"), max_tokens=50)
    assert found == CallEstimate(14, 50, is_exact=True, tokenizer="o200k_base")


@pytest.mark.usefixtures("with_vocabularies")
def test_the_same_question_in_every_api() -> None:
    question = "What is the capital of France?"
    assert estimate(RESPONSES, input=question).input_tokens == 14
    assert estimate(RESPONSES, input=user([{"type": "input_text", "text": question}])).input_tokens == 14
    assert estimate(MESSAGES, "claude-sonnet-4-5", messages=user(question)).input_tokens == 15
    assert estimate(COMPLETIONS, "davinci-002", prompt=question).input_tokens == 7
    assert estimate(EMBEDDINGS, "text-embedding-3-small", input=question) == CallEstimate(
        7, 0, is_exact=True, tokenizer="cl100k_base"
    )


def test_embeddings_of_lists_and_of_tokens() -> None:
    model = "text-embedding-3-small"
    vocabulary("cl100k_base")
    assert estimate(EMBEDDINGS, model, input=["hello", "world"]).input_tokens == 2
    assert estimate(EMBEDDINGS, model, input=[1, 2, 3]).input_tokens == 3
    assert estimate(EMBEDDINGS, model, input=[[1, 2, 3], [4]]).input_tokens == 4


def test_tools_formats_and_instructions_count() -> None:
    bare = estimate(RESPONSES, input="Hi").input_tokens
    tool = {"type": "function", "name": "weather", "description": "Tells the weather", "parameters": {}}
    assert estimate(RESPONSES, input="Hi", instructions="Be brief, be kind.").input_tokens > bare + 4
    assert estimate(RESPONSES, input="Hi", tools=[tool]).input_tokens > bare + 10
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {"city": {}}}}
    assert estimate(RESPONSES, input="Hi", text={"format": schema}).input_tokens > bare + 10
    assert estimate(RESPONSES, input="Hi", text={"format": {"type": "text"}}).input_tokens == bare
    # Claude is told at length how to use tools.
    assert estimate(MESSAGES, "claude-sonnet-4-5", messages=user("Hi"), tools=[tool]).input_tokens > 500


def test_tool_results_count() -> None:
    bare = estimate(MESSAGES, "claude-sonnet-4-5", messages=user("Hi")).input_tokens
    result = [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "sunny " * 100}]}]
    assert estimate(MESSAGES, "claude-sonnet-4-5", messages=user(result)).input_tokens > bare + 90
    output = [{"type": "function_call_output", "call_id": "c", "output": "sunny " * 100}]
    assert estimate(RESPONSES, input=output).input_tokens > 90


def test_what_the_provider_remembers_is_not_exact() -> None:
    vocabulary("o200k_base")
    assert estimate(RESPONSES, input="Hi").is_exact
    assert not estimate(RESPONSES, input="Hi", previous_response_id="resp_1").is_exact


# ── Pictures, sound, documents ──


@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", "auto", 765),
        ("gpt-4o", "low", 85),
        ("gpt-4o-mini", "high", 25_501),
        ("o1", "high", 675),
        ("gpt-5", "auto", 630),
        ("gpt-4.1-mini", "auto", 1_659),
        ("gpt-5-nano", "auto", 2_520),
        ("gemini-2.5-flash", "auto", 258),
        ("gemini-2.0-flash", "auto", 1_032),
        ("gemini-3-flash-preview", "auto", 1_120),
        ("claude-sonnet-4-5", "auto", 1_399),
        ("qwen-vl-max", "auto", 1_399),
    ],
)
def test_a_picture_counts_by_the_rules_of_its_model(model: str, detail: str, tokens: int) -> None:
    url = f"data:image/png;base64,{png(1_024, 1_024)}"
    part = {"type": "image_url", "image_url": {"url": url, "detail": detail}}
    text = {"type": "text", "text": "What is it?"}
    without = estimate(CHAT, model, messages=user([text])).input_tokens
    found = estimate(CHAT, model, messages=user([text, part]))
    assert found.input_tokens - without == tokens
    assert not found.is_exact


@pytest.mark.parametrize(
    ("endpoint", "part"),
    [
        (CHAT, lambda data: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}),
        (RESPONSES, lambda data: {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}),
        (MESSAGES, lambda data: {"type": "image", "source": {"type": "base64", "data": data}}),
        (MESSAGES, lambda data: {"type": "document", "source": {"type": "base64", "data": data}}),
        (CHAT, lambda data: {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}"}}),
        (CHAT, lambda data: {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}}),
        (CHAT, lambda data: {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{data}"}}),
        (CHAT, lambda data: {"type": "novelty", "inlineData": {"data": data}}),
        (CHAT, lambda data: {"type": "novelty", "image": {"bytes": data}}),
    ],
)  # fmt: skip
def test_base64_is_never_counted_as_text(endpoint: str, part: Any) -> None:
    data = png(640, 480)
    content = user([{"type": "text", "text": "What is it?"}, part(data)])
    found = estimate(endpoint, "claude-sonnet-4-5", **{"input" if endpoint == RESPONSES else "messages": content})
    assert found.input_tokens < len(data) // 15


def test_text_documents_count_as_their_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "word " * 200}
    found = estimate(MESSAGES, "claude-sonnet-4-5", messages=user([{"type": "document", "source": source}]))
    assert 200 < found.input_tokens < 450


def test_a_text_that_looks_like_base64_is_a_text() -> None:
    data = png(64, 64, 8_000)
    assert estimate(CHAT, messages=user(data)).input_tokens > len(data) // 2


# ── Output ──


def test_limits_of_the_request() -> None:
    chat = user("Hi")
    assert estimate(CHAT, messages=chat, max_tokens=10).max_output_tokens == 10
    assert estimate(CHAT, messages=chat, max_completion_tokens=20, n=3).max_output_tokens == 60
    assert estimate(RESPONSES, input="Hi", max_output_tokens=30).max_output_tokens == 30
    assert estimate(COMPLETIONS, prompt=["a", "b"], max_tokens=5, n=2, best_of=4).max_output_tokens == 40
    assert estimate(CHAT, messages=chat, max_tokens=MAX_COUNT, n=8).max_output_tokens == MAX_COUNT


def test_without_a_limit() -> None:
    assert estimate(CHAT, messages=user("Hi")).max_output_tokens == 4_096
    assert estimate(CHAT, messages=user("Hi"), n=2).max_output_tokens == 8_192
    assert estimate(COMPLETIONS, prompt="Hi").max_output_tokens == 16
    assert estimate(EMBEDDINGS, input="Hi").max_output_tokens == 0
    assert estimate(TRANSCRIPTIONS, "gpt-4o-transcribe").max_output_tokens == 2_000
    assert estimate(TRANSCRIPTIONS, "whisper-1").max_output_tokens == 0


@pytest.mark.parametrize("limit", [None, True, "many", "-1", -1, float("nan"), [], {}])
def test_odd_limits_are_the_providers_to_refuse(limit: Any) -> None:
    assert estimate(CHAT, messages=user("Hi"), max_tokens=limit, n=limit).max_output_tokens == 4_096


@pytest.mark.parametrize("limit", [2**31, 10**12, 1e30, "2147483648", "9" * 30, "1e300"])
def test_great_limits_are_held_at_the_greatest(limit: Any) -> None:
    assert estimate(CHAT, messages=user("Hi"), max_tokens=limit).max_output_tokens == MAX_COUNT


@pytest.mark.parametrize("limit", ["100000", " 100000 ", "+100000", "1e5", "100000.0", 100_000.0])
def test_limits_are_read_as_lenient_servers_read_them(limit: Any) -> None:
    assert estimate(CHAT, messages=user("Hi"), max_tokens=limit).max_output_tokens == 100_000


def test_so_many_pictures() -> None:
    assert estimate(IMAGES, "dall-e-3", prompt="a cat", n=4).images == 4
    assert estimate(IMAGES, "dall-e-3", prompt="a cat").images == 1
    assert estimate(CHAT, messages=user("Hi"), n=4).images == 0


def test_recordings_are_as_long_as_they_may_be() -> None:
    assert recording_ms(16_000 * 60, "Talk.WAV") == 60_000
    assert recording_ms(2_000 * 60, "talk.mp3") == recording_ms(2_000 * 60, "talk") == 60_000
    assert recording_ms(0, "") == 1_000
    assert recording_tokens("gpt-4o-transcribe", 60_000) == 600
    assert recording_tokens("whisper-1", 60_000) == 0


def test_pictures_made_by_tokens() -> None:
    assert estimate(IMAGES, "dall-e-3", prompt="A cat").max_output_tokens == 0
    made = estimate(IMAGES, "gpt-image-1", prompt="A cat", size="1024x1024", quality="medium", n=2)
    assert made.max_output_tokens == 2_112


# ── Estimates without counting ──


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "claude-opus-4-8", "gemini-2.5-pro", "unheard-of"])
def test_long_texts_are_estimated_a_little_high(model: str, request: pytest.FixtureRequest) -> None:
    exact = count_text(PROSE, model).tokens
    sampled = count_output(PROSE, model)
    assert exact <= sampled <= exact * 1.25
    request.getfixturevalue("without_vocabularies")
    by_bytes = count_output(PROSE, model)
    assert exact <= by_bytes <= exact * 2


@pytest.mark.usefixtures("without_vocabularies")
def test_nothing_is_loaded_and_the_answer_says_so() -> None:
    found = estimate(CHAT, messages=user("What is the capital of France?"))
    assert (found.tokenizer, found.is_exact) == ("bytes", False)
    assert found.input_tokens >= 14


@pytest.mark.usefixtures("without_vocabularies")
@pytest.mark.parametrize(
    "text", ["漢字" * 1_000, "Привет, мир. " * 300, "🙂" * 500, "0123456789abcdef" * 200, "ab=1;" * 900]
)
def test_bytes_are_not_too_few(text: str) -> None:
    for model, name in (("gpt-4o", "o200k_base"), ("gpt-4", "cl100k_base")):
        assert count_output(text, model) >= _own(name).count(text) * 0.85


@pytest.mark.usefixtures("with_vocabularies")
def test_time_does_not_grow_with_the_text() -> None:
    # Bounds are wide, for busy machines; docs/algorithms/estimates.md has what it takes.
    for length in (1_500, 100_000, len(PROSE)):
        body = {"model": "gpt-4o", "messages": user(PROSE[:length])}
        best = min(_timed(body) for _ in range(30))
        assert best < 0.002


def _timed(body: dict[str, Any]) -> float:
    start = time.perf_counter()
    estimate_call(CHAT, body)
    return time.perf_counter() - start


# ── Any JSON ──

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=15,
)
_WORDS = st.sampled_from(
    [
        "text",
        "image_url",
        "input_image",
        "image",
        "document",
        "file",
        "input_file",
        "input_audio",
        "tool_use",
        "thinking",
        "tool_result",
        "function_call",
        "function_call_output",
        "reasoning",
        "refusal",
        "data:image/png;base64,AAAA",
        "high",
    ]
)
_BLOB = st.dictionaries(st.sampled_from(["url", "detail", "data", "type", "format", "media_type"]), _JSON | _WORDS)
_PART = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "text",
            "content",
            "role",
            "name",
            "image_url",
            "url",
            "detail",
            "source",
            "data",
            "media_type",
            "file",
            "file_data",
            "input_audio",
            "format",
            "input",
            "arguments",
            "output",
            "tool_calls",
            "function",
            "summary",
        ]
    ),
    _JSON | _WORDS | _BLOB,
    max_size=5,
)
_BODY = st.dictionaries(
    st.sampled_from(
        [
            "model",
            "messages",
            "input",
            "prompt",
            "system",
            "tools",
            "functions",
            "instructions",
            "max_tokens",
            "n",
            "best_of",
            "max_completion_tokens",
            "max_output_tokens",
            "text",
            "response_format",
            "output_config",
            "thinking",
            "quality",
            "size",
            "previous_response_id",
        ]
    ),
    _JSON | _PART | st.lists(_PART | _JSON, max_size=3) | st.just({"format": {"type": "json_schema"}}),
    max_size=6,
)


@given(st.sampled_from(ENDPOINTS), _BODY, st.none() | st.text(max_size=8))
@settings(max_examples=400, deadline=None)
def test_any_json_is_estimated(endpoint: str, body: dict[str, Any], provider: str | None) -> None:
    found = estimate_call(endpoint, body, provider=provider)
    assert 0 <= found.input_tokens <= MAX_COUNT
    assert 0 <= found.max_output_tokens <= MAX_COUNT


def test_depth_surrogates_and_great_numbers() -> None:
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]
    for content in (deep, "\ud800", {"type": "tool_use", "input": {"n": 10**40, "s": "\udfff"}}, {"type": ["text"]}):
        for endpoint in ENDPOINTS:
            body = {
                "model": "gpt-4o",
                "messages": user([content]),
                "input": content,
                "prompt": content,
                "tools": content,
            }
            assert estimate_call(endpoint, body).input_tokens >= 0
