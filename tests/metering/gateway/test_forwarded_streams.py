"""Streams that pass: what is asked for, what breaks off, who leaves."""

from __future__ import annotations

import itertools
import json
import socket
import time
from typing import Any

from tests.metering.gateway.conftest import Edge
from tests.metering.gateway.upstream import (
    BREAK,
    Script,
    Upstream,
    chat_chunks,
    chunk,
    completion,
    events,
    message_events,
    named_events,
    stream,
    wait_for,
)

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


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
