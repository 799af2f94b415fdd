"""Streams pass through byte for byte however they are cut into chunks, and are read for what they used."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.gateway.streams import OversizedEventError, StreamReader, text_of
from metering.normalize import fold_stream
from tests.metering.gateway import upstream
from tests.metering.gateway.upstream import ANSWER, chat_chunks, chunk, events, message_events, named_events

CHAT = b"".join(events(*chat_chunks()))
MESSAGES = b"".join(named_events(*message_events()))
USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def passed(reader: StreamReader, chunks: list[bytes]) -> bytes:
    return b"".join(map(reader.feed, chunks)) + reader.finish()


@given(st.lists(st.integers(0, 10_000), max_size=40), st.sampled_from([CHAT, MESSAGES]))
def test_every_byte_passes_wherever_it_is_cut(places: list[int], data: bytes) -> None:
    reader = StreamReader(strips_usage=False)
    assert passed(reader, cut(data, places)) == data
    assert reader.is_complete
    assert reader.text().strip() == ANSWER


@given(st.lists(st.integers(0, 10_000), max_size=40))
def test_usage_that_was_not_asked_for_is_taken_out_wherever_it_is_cut(places: list[int]) -> None:
    reader = StreamReader(strips_usage=True)
    got = passed(reader, cut(CHAT, places))
    silent = [{name: value for name, value in each.items() if name != "usage"} for each in chat_chunks()[:-1]]
    heard = [json.loads(line[6:]) for line in got.decode().split("\n") if line.startswith("data: {")]
    assert heard == silent
    assert got.endswith(b"data: [DONE]\n\n")
    assert fold_stream(reader.telling) == USAGE


def test_nothing_is_waited_for() -> None:
    reader = StreamReader(strips_usage=False)
    for at in range(len(CHAT)):
        assert reader.feed(CHAT[at : at + 1]) == CHAT[at : at + 1]


def test_an_event_is_passed_as_soon_as_it_is_whole() -> None:
    reader = StreamReader(strips_usage=True)
    first = events(chunk({"content": "a"}), done=False)[0]
    assert reader.feed(first[:20]) == b""
    assert reader.feed(first[20:]) == first


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_comments_and_other_fields_pass(end: str) -> None:
    data = f": keep-alive{end}{end}id: 7{end}retry: 100{end}data: {json.dumps(chunk({'content': 'é'}))}{end}{end}"
    for strips in (False, True):
        reader = StreamReader(strips_usage=strips)
        assert passed(reader, [data.encode()]) == data.encode()
        assert reader.text() == "é"


def test_a_text_about_usage_is_no_usage() -> None:
    said = 'the field ,"usage":null and "error" or "finish_reason":"stop" mean nothing here'
    data = events(chunk({"role": "assistant"}), chunk({"content": said}))
    reader = StreamReader(strips_usage=True)
    got = passed(reader, data)
    assert json.loads(got.split(b"\n")[2][6:])["choices"][0]["delta"]["content"] == said
    assert reader.error is None
    assert fold_stream(reader.telling) is None


def test_an_answer_that_stops_early_is_known_by_its_text() -> None:
    reader = StreamReader(strips_usage=False)
    reader.feed(MESSAGES[: MESSAGES.index(b"message_delta") - 8])
    assert not reader.is_complete
    assert reader.text().strip() == ANSWER
    assert fold_stream(reader.telling) == message_events()[0]["message"]["usage"]


@pytest.mark.parametrize(
    "said",
    [
        events({"error": {"message": "overloaded", "code": "server_error"}}, done=False),
        named_events({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        named_events({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "no"}}}),
    ],
)
def test_an_error_in_mid_stream_is_noticed(said: list[bytes]) -> None:
    reader = StreamReader(strips_usage=False)
    assert passed(reader, [*events(chunk({"content": "a"}), done=False), *said]).endswith(said[-1])
    assert reader.error is not None


def test_an_event_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.gateway.streams.MOST_EVENT_BYTES", 1_000)
    reader = StreamReader(strips_usage=True)
    reader.feed(b"data: " + b"x" * 990)
    with pytest.raises(OversizedEventError):
        reader.feed(b"x" * 10)


def test_a_long_stream_is_counted_by_all_of_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metering.gateway.streams.MOST_KEPT_BYTES", 2_000)
    reader = StreamReader(strips_usage=False)
    for number in range(200):
        reader.feed(events(chunk({"content": f"{number} "}), done=False)[0])
    assert reader.text().split() == [str(number) for number in range(200)]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"choices": [{"delta": {"tool_calls": [{"function": {"name": "look", "arguments": '{"a":'}}]}}]}, 'look{"a":'),
        ({"choices": [{"delta": {"reasoning_content": "hm"}}]}, "hm"),
        ({"choices": [{"text": "old"}]}, "old"),
        ({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "so"}}, "so"),
        ({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": '{"x'}}, '{"x'),
        ({"type": "response.output_text.delta", "delta": "abc"}, "abc"),
        ({"type": "response.completed", "response": {"output": [{"content": [{"text": "all of it again"}]}]}}, ""),
        ([1, 2], ""),
        ({"choices": "odd", "delta": 7}, ""),
    ],
)
def test_what_an_event_adds_to_the_answer(event: Any, text: str) -> None:
    assert text_of(json.dumps(event).encode()) == text


@given(st.binary(max_size=300))
def test_nothing_that_comes_in_raises(data: bytes) -> None:
    for strips in (False, True):
        reader = StreamReader(strips_usage=strips)
        passed(reader, [b"data: " + data + b"\n\n", data])
        reader.text()


def test_upstreams_have_scripts() -> None:
    """The scripts above are what the tests with servers use, too."""
    assert upstream.completion()["usage"]["total_tokens"] == 19


CUMULATIVE = [chunk({"content": f"{n} "}, usage={"prompt_tokens": 12, "completion_tokens": n}) for n in range(1, 6)]


def test_usage_in_every_event_is_not_the_whole_before_the_last_word() -> None:
    reader = StreamReader(strips_usage=False)
    reader.feed(b"".join(events(*CUMULATIVE[:3], done=False)))
    assert not reader.is_complete
    reader.feed(b"".join(events(chunk({}, "stop", usage=USAGE), done=False)))
    assert reader.is_complete
    assert fold_stream(reader.telling) == USAGE


def test_many_events_with_usage_are_not_kept() -> None:
    reader = StreamReader(strips_usage=False)
    for each in events(*CUMULATIVE, done=False) * 2_000:
        reader.feed(each)
    assert len(reader.telling) < 5
    assert fold_stream(reader.telling) == CUMULATIVE[-1]["usage"]


def test_usage_beside_choices_is_taken_out_of_its_event() -> None:
    reader = StreamReader(strips_usage=True)
    got = passed(reader, events(chunk({"content": "a"}), chunk({"content": "b"}, "stop", usage=USAGE)))
    heard = [json.loads(line[6:]) for line in got.decode().split("\n") if line.startswith("data: {")]
    assert heard == [chunk({"content": "a"}), chunk({"content": "b"}, "stop")]
    assert fold_stream(reader.telling) == USAGE


@pytest.mark.parametrize("strips", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_way_to_write_an_event(strips: bool, end: str) -> None:
    """A byte order mark, any line ends, no space behind the colon, data over several lines."""
    lines = json.dumps(chunk(usage=USAGE), indent=1).split("\n")
    data = "".join(f"data:{line}{end}" for line in lines) + end
    first = f"\ufeffdata:{json.dumps(chunk({'content': 'a'}))}{end}{end}"
    reader = StreamReader(strips_usage=strips)
    got = passed(reader, [first.encode(), data.encode()])
    assert got == (first if strips else first + data).encode()
    assert fold_stream(reader.telling) == USAGE
    assert reader.is_complete


def test_a_large_event_in_small_pieces_is_read_once() -> None:
    reader = StreamReader(strips_usage=True)
    event = events(chunk({"content": "x" * 4_000_000}), done=False)[0]
    pieces = [event[at : at + 4_000] for at in range(0, len(event), 4_000)]
    assert passed(reader, pieces) == event
