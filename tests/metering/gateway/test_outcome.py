"""Whatever an upstream sends, there is an event of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from metering.gateway import outcome
from metering.gateway.calls import ENDPOINTS, Call, Labels
from metering.gateway.outcome import Start, Timing
from metering.gateway.streams import StreamReader
from metering.gateway.upstreams import Route

START = Start("gw_1", dt.datetime(2026, 6, 1, tzinfo=dt.UTC))
ROUTE = Route(1, "up", "openai", "https://up.test/v1", None, "openai", ("*",), 600.0)
TIMING = Timing(10)
NAMES = st.sampled_from(
    ["usage", "choices", "message", "content", "output", "delta", "error", "code", "type", "id", "model", "response",
     "prompt_tokens", "total_tokens", "input_tokens", "duration", "data", "stop_reason", "service_tier", "text"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def call(path: str, document: dict[str, Any]) -> Call:
    return Call(ENDPOINTS[path], "gpt-4o", b"", "application/json", document, Labels())


@given(st.sampled_from(sorted(ENDPOINTS)), ANYTHING)
def test_whole_answers(path: str, answer: Any) -> None:
    body = msgspec.json.encode(answer)
    event = outcome.answered(START, call(path, {"model": "gpt-4o", "messages": []}), ROUTE, TIMING, body, [])
    assert event.event_id == "gw_1"
    outcome.error_code_of(body)


@given(st.lists(ANYTHING, max_size=4), st.sampled_from([None, "client", "upstream"]))
def test_streams(events: list[Any], cut_by: str | None) -> None:
    reader = StreamReader(strips_usage=False)
    for each in events:
        reader.feed(b"data: " + msgspec.json.encode(each) + b"\n\n")
    event = outcome.streamed(START, call("/v1/responses", {"input": "a"}), ROUTE, TIMING, reader, [], cut_by)
    assert len(outcome.sealed(event).body_hash) == 16
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=type(event)) == event


@given(st.binary(max_size=200))
def test_bytes_that_are_no_json(body: bytes) -> None:
    event = outcome.answered(START, call("/v1/chat/completions", {}), ROUTE, TIMING, body, [])
    assert event.status == "ok"


def test_what_is_not_understood_is_told_by_its_text() -> None:
    spoken = msgspec.json.encode({"choices": [{"message": {"content": "one two three four five"}}]})
    document = {"messages": [{"role": "user", "content": "count to five"}]}
    event = outcome.answered(START, call("/v1/chat/completions", document), ROUTE, TIMING, spoken, [])
    assert event.is_estimated
    assert event.usage is not None
    assert 3 <= event.usage.output <= 12
