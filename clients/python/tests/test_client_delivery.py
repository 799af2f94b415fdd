"""Servers and networks that misbehave: what arrives, what is sent again and when, and what is given up and told."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from scripted import ScriptedServer, Step, accept, answer, break_off, half_an_answer, hang, refuse, scripted
from tokenledger import (
    Client,
    ConfigurationError,
    EventRefused,
    Forbidden,
    NotSent,
    QueueFull,
    Stats,
    TokenledgerError,
)


class Told:
    """What `on_error` was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, TokenledgerError]] = []

    def __call__(self, event: Mapping[str, Any], error: TokenledgerError) -> None:
        self.calls.append((event["id"], error))

    @property
    def ids(self) -> list[str]:
        return [name for name, _ in self.calls]

    @property
    def kinds(self) -> set[type[TokenledgerError]]:
        return {type(error) for _, error in self.calls}


@contextmanager
def talking_to(*script: Step, **options: Any) -> Iterator[tuple[Client, ScriptedServer]]:
    with scripted(*script) as server:
        client = Client(server.url, "tl_key", **{"max_age": 0.01, "exit_timeout": 2, **options})
        try:
            yield client, server
        finally:
            client.close(0.2)


def track(client: Client, *names: str, **fields: Any) -> None:
    for name in names:
        client.track(id=name, model="m", usage={"input": 1}, **fields)


# ── Sent again ──


@pytest.mark.parametrize(
    "misfortune",
    [
        pytest.param(break_off, id="broken off"),
        pytest.param(half_an_answer, id="half an answer"),
        pytest.param(answer(200, b"<html>Welcome to our hotel</html>"), id="somebody else's page"),
        pytest.param(answer(200, {"status": "ok"}), id="somebody else's success"),
        pytest.param(refuse(500), id="500"),
        pytest.param(answer(502, b"<html>Bad Gateway</html>"), id="a proxy's 502"),
        pytest.param(refuse(408), id="408"),
        pytest.param(refuse(429, retry_after="0"), id="429"),
    ],
)
def test_the_same_event_is_sent_until_it_is_acknowledged(misfortune: Step) -> None:
    with talking_to(misfortune, misfortune, accept) as (client, server):
        track(client, "a", "b")
        assert client.flush(10)
        assert client.stats == Stats(acknowledged=2, retries=2)
    bodies = [one.body for one in server.requests]
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2], "the same events, word for word"
    assert {one.path for one in server.requests} == {"/v1/events?results=none"}
    assert server.requests[0].headers["authorization"] == "Bearer tl_key"


def test_an_answer_that_does_not_come_in_time() -> None:
    with talking_to(hang(0.6), accept, timeout=0.2) as (client, server):
        track(client, "a")
        assert client.flush(10)
        assert client.stats == Stats(acknowledged=1, retries=1)
    assert [one.ids for one in server.requests] == [["a"], ["a"]]


def test_nobody_listens_at_first() -> None:
    with scripted(accept) as server:
        address = server.url
    client = Client(address, "tl_key", max_age=0.01)
    track(client, "a")
    assert not client.flush(0.3)
    assert client.stats.queued == 1
    assert not client.close(0.2)
    assert client.stats == Stats(failed=1, retries=client.stats.retries)


def test_retry_after_is_honored() -> None:
    with talking_to(refuse(503, retry_after="1"), accept) as (client, server):
        track(client, "a")
        assert client.flush(10)
    first, second = server.requests
    assert 1.0 <= second.at - first.at < 2.5


def test_what_comes_meanwhile_waits_its_turn() -> None:
    with talking_to(refuse(503, retry_after="0.3"), accept) as (client, server):
        track(client, "a")
        time.sleep(0.1)
        track(client, "b", "c")
        assert client.flush(10)
    assert [one.ids for one in server.requests] == [["a"], ["a"], ["b", "c"]]


# ── Given up, and told ──


def test_a_refusal_as_a_whole() -> None:
    told = Told()
    with talking_to(refuse(403, "missing_scope"), on_error=told) as (client, server):
        track(client, "a", "b")
        assert client.flush(10)
        assert client.stats == Stats(failed=2)
    assert len(server.requests) == 1, "it would be refused again"
    assert told.ids == ["a", "b"]
    (_, error), _ = told.calls
    assert isinstance(error, Forbidden)
    assert (error.code, error.request_id, error.status) == ("missing_scope", "req_scripted", 403)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_bad_event_is_found_among_many(status: int) -> None:
    def picky(handler: Any, received: Any) -> None:
        (refuse(status) if "bad" in received.ids else accept)(handler, received)

    told = Told()
    with talking_to(picky, on_error=told, max_age=0.3) as (client, server):
        names = [f"e{n}" for n in range(63)]
        track(client, *names[:40], "bad", *names[40:])
        assert client.flush(10)
        assert client.stats == Stats(acknowledged=63, failed=1)
    assert told.ids == ["bad"]
    assert len(server.requests) <= 2 * 6 + 1


def test_results_by_event() -> None:
    results = [
        {"index": 1, "id": "b", "status": "invalid", "error": {"code": "missing_field", "message": "m", "param": "p"}},
        {"index": 2, "id": "c", "status": "conflict", "error": {"code": "event_conflict", "message": "m"}},
        {"index": 99, "id": "?", "status": "invalid"},
    ]
    counts = {"created": 1, "duplicates": 1, "conflicts": 1, "invalid": 1}
    told = Told()
    step = answer(207, {**counts, "results": results}, x_request_id="req_7")
    with talking_to(step, on_error=told, max_age=0.2) as (client, _):
        track(client, "a", "b", "c", "d")
        assert client.flush(10)
        assert client.stats == Stats(acknowledged=2, duplicates=1, failed=2)
    assert told.ids == ["b", "c"]
    error = told.calls[0][1]
    assert isinstance(error, EventRefused)
    assert (error.code, error.param, error.request_id) == ("missing_field", "p", "req_7")


def test_on_error_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fails(event: Mapping[str, Any], error: TokenledgerError) -> None:
        raise RuntimeError("my own mistake")

    with talking_to(refuse(403), accept, on_error=fails) as (client, _):
        track(client, "a")
        assert client.flush(10)
        track(client, "b")
        assert client.flush(10)
        assert client.stats == Stats(acknowledged=1, failed=1)
    assert "on_error failed" in caplog.text


# ── The queue ──


def test_a_full_queue_drops_and_counts_at_once(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    with talking_to(hang(0.5), accept, max_queue=3, batch_size=1, on_error=told) as (client, server):
        track(client, "a")
        while not server.requests:
            time.sleep(0.005)
        started = time.monotonic()
        track(client, "b", "c", "d", "e")
        assert time.monotonic() - started < 0.2
        assert client.stats.dropped == 2
        assert client.flush(10)
        assert client.stats == Stats(acknowledged=3, dropped=2, retries=1)
    assert (told.ids, told.kinds) == (["d", "e"], {QueueFull})
    assert caplog.text.count("The queue is full") == 1, "not a line for each"


def test_a_full_queue_may_be_waited_for() -> None:
    with talking_to(accept, max_queue=1, wait_when_full=5) as (client, _):
        track(client, *(f"e{n}" for n in range(20)))
        assert client.flush(10)
        assert client.stats == Stats(acknowledged=20)
    with talking_to(hang(1), max_queue=1, wait_when_full=0.2) as (client, _):
        track(client, "a")
        started = time.monotonic()
        track(client, "b")
        assert 0.2 <= time.monotonic() - started < 0.8
        assert client.stats.dropped == 1


def test_batches_by_size_and_by_age() -> None:
    with talking_to(accept, batch_size=10, max_age=30) as (client, server):
        track(client, *(f"e{n}" for n in range(25)))
        deadline = time.monotonic() + 5
        while client.stats.queued > 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.stats.queued == 5
        assert [len(one.ids) for one in server.requests] == [10, 10]
        assert client.flush(5)
        assert len(server.requests[2].ids) == 5
    with talking_to(accept, max_age=0.3) as (client, server):
        started = time.monotonic()
        track(client, "a")
        time.sleep(0.1)
        track(client, "b")
        while client.stats.queued:
            time.sleep(0.01)
        assert 0.25 < time.monotonic() - started < 2
        assert [one.ids for one in server.requests] == [["a", "b"]]


def test_large_batches_are_packed_and_cut() -> None:
    with talking_to(accept, batch_size=10_000, max_age=1) as (client, server):
        track(client, "small")
        assert client.flush(5)
        track(client, *(f"e{n}" for n in range(3_000)), feature="f" * 150, tags={"t": "x" * 190})
        assert client.flush(10)
        assert client.stats.acknowledged == 3_001
    small, *large = server.requests
    assert "content-encoding" not in small.headers
    assert {one.headers["content-encoding"] for one in large} == {"gzip"}
    sizes = [len(json.dumps(one.json, separators=(",", ":"))) for one in large]
    assert len(large) == 2
    assert max(sizes) <= 1024 * 1024 + 2


def test_what_is_tracked_is_what_it_was() -> None:
    """The caller goes on with its own objects."""
    usage = {"input": 1}
    with talking_to(accept, max_age=0.2) as (client, server):
        client.track(model="m", usage=usage)
        usage["input"] = 99
        assert client.flush(5)
    assert server.requests[0].json[0]["usage"] == {"input": 1}


# ── The end ──


def test_closing_delivers() -> None:
    with scripted(accept) as server, Client(server.url, "tl_key", max_age=60) as client:
        track(client, "a", "b")
    assert client.stats == Stats(acknowledged=2)


def test_closing_tries_once_more_however_long_it_was_to_wait() -> None:
    with talking_to(refuse(503, retry_after="60"), accept) as (client, server):
        track(client, "a")
        while client.stats.queued and not server.requests:
            time.sleep(0.01)
        time.sleep(0.05)
        assert client.close(5)
        assert client.stats == Stats(acknowledged=1, retries=1)


def test_closing_has_an_end() -> None:
    told = Told()
    with talking_to(hang(3), on_error=told) as (client, _):
        track(client, *(f"e{n}" for n in range(700)))
        started = time.monotonic()
        assert not client.close(0.4)
        assert time.monotonic() - started < 1.5
        assert client.stats == Stats(failed=700)
    assert sorted(told.ids) == sorted(f"e{n}" for n in range(700)), "those under way as well"
    assert told.kinds == {NotSent}


def test_flush_waits_no_longer_than_asked() -> None:
    with talking_to(hang(1)) as (client, _):
        assert client.flush(0), "nothing to wait for"
        track(client, "a")
        started = time.monotonic()
        assert not client.flush(0.2)
        assert time.monotonic() - started < 0.8


def test_threads_that_track_while_it_is_closed() -> None:
    """Every event is acknowledged, dropped with a ClosedError, or told."""
    told = Told()
    outcomes: list[str] = []
    with talking_to(accept, on_error=told) as (client, server):

        def run(number: int) -> None:
            for n in range(10_000):
                name = f"{number}-{n}"
                try:
                    track(client, name)
                except TokenledgerError:
                    return
                outcomes.append(name)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        client.close(10)
        for thread in threads:
            thread.join()
        arrived = [name for one in server.requests for name in one.ids]
    assert sorted(arrived + told.ids) == sorted(outcomes)


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKENLEDGER_BASE_URL", raising=False)
    monkeypatch.delenv("TOKENLEDGER_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="TOKENLEDGER_BASE_URL"):
        Client(api_key="tl_key")
    with pytest.raises(ConfigurationError, match="TOKENLEDGER_API_KEY"):
        Client("https://ledger.test")
    with pytest.raises(ConfigurationError, match="https://"):
        Client("ledger.test", "tl_key")
    with pytest.raises(ConfigurationError, match="1 or more"):
        Client("https://ledger.test", "tl_key", max_queue=0)
    monkeypatch.setenv("TOKENLEDGER_BASE_URL", "https://ledger.test/v1/")
    monkeypatch.setenv("TOKENLEDGER_API_KEY", "tl_key")
    client = Client()
    assert client.base_url == "https://ledger.test"
    assert client.close()


def test_the_key_is_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with talking_to(refuse(401)) as (client, _):
        track(client, "a")
        client.flush(5)
    assert "tl_key" not in caplog.text
    assert "tl_key" not in repr(client)
