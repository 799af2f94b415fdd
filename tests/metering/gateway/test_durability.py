"""Every call becomes an event, once: workers are killed in the middle of it, the database is away, both."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.metering.gateway.upstream import (
    Script,
    Upstream,
    chunk,
    completion,
    events,
    stream,
    upstream,
    wait_for,
    whole,
)
from tests.metering.serving import Cluster, Server

pytestmark = pytest.mark.xdist_group("gateway-crash")
CHAT = "/v1/chat/completions"


class House(Cluster):
    """A cluster whose organization has an upstream; servers of it share a spool."""

    def __init__(self, data_dir: Path, provider: Upstream) -> None:
        self.data_dir = data_dir
        super().__init__()
        self._manage(
            "add_upstream", "acme", "--name", "scripted", "--protocol", "openai", "--base-url", f"{provider.url}/v1"
        )

    def environ(self) -> dict[str, str]:
        return super().environ() | {
            "GATEWAY_ALLOW_PRIVATE_UPSTREAMS": "1", "TOKENLEDGER_DATA_DIR": str(self.data_dir),
        }  # fmt: skip

    def execute(self, sql: str, *params: Any) -> list[Any]:
        with self.connect() as connection:
            cursor = connection.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def found(self) -> list[tuple[str, int, bool, bool]]:
        return self.execute(
            "SELECT event_id, output, is_estimated, is_usage_known FROM metering_event"
            " WHERE superseded_by IS NULL ORDER BY event_id"
        )

    def wait_for_events(self, number: int) -> list[tuple[str, int, bool, bool]]:
        found: list[tuple[str, int, bool, bool]] = wait_for(
            lambda: rows if len(rows := self.found()) >= number else None, 30
        )
        return found

    def limit(self, amount: int) -> None:
        self.execute(
            "INSERT INTO metering_limit (organization_id, kind, source, label, unit, amount, period, is_active,"
            " project_id, team_id, department_id, member_id, api_key_id, model, feature)"
            " SELECT id, 'allowance', 'plan', 'the monthly allowance', 'tokens', %s, 'month', true,"
            " 0, 0, 0, 0, 0, '', '' FROM accounts_organization",
            amount,
        )


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module")
def cluster(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("data"), provider)
    # What the plan of a new organization bounds: these tests say themselves when something is bounded.
    made.execute("TRUNCATE metering_limit, metering_ratelimit")
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def house(cluster: House, provider: Upstream) -> Iterator[House]:
    provider.asked.clear()
    yield cluster
    # Partitions go with their tables.
    ((names,),) = cluster.execute(
        "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relname ~ '^metering_usage_[a-z]+$'"
    )
    cluster.execute(f"TRUNCATE metering_event, metering_event_key, {names}, metering_limit, metering_hold")


@pytest.fixture
def servers(house: House) -> Iterator[Any]:
    started: list[Server] = []

    def start() -> Server:
        started.append(Server(house))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


class Caller(threading.Thread):
    """One chat, read to its end or to the server's."""

    def __init__(self, house: House, server: Server, **fields: Any) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._headers = {"Authorization": f"Bearer {house.secret}", "Content-Type": "application/json"}
        self._body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]} | fields
        self.status = 0
        self.body = b""
        self.event_id: str | None = None

    def run(self) -> None:
        try:
            self._connection.request("POST", CHAT, json.dumps(self._body), self._headers)
            response = self._connection.getresponse()
            self.status, self.event_id = response.status, response.headers["x-tokenledger-event"]
            while part := response.read1():
                self.body += part
        except (OSError, http.client.HTTPException):
            pass
        finally:
            self._connection.close()


def call(house: House, server: Server, **fields: Any) -> Caller:
    caller = Caller(house, server, **fields)
    caller.start()
    return caller


def test_calls_of_a_killed_worker_are_not_forgotten(house: House, servers: Any, provider: Upstream) -> None:
    """Some had not been answered yet, some were being streamed: what they used is unknown, that they were is not."""
    words = [chunk({"content": f"{number} "}) for number in range(400)]
    provider.says(CHAT, stream(*events(*words), pause=0.05))
    server = servers()
    streaming = [call(house, server, stream=True) for _ in range(3)]
    wait_for(lambda: all(len(caller.body) > 500 for caller in streaming))
    provider.says(CHAT, Script([json.dumps(completion()).encode()], wait=20))
    waiting = call(house, server)
    wait_for(lambda: len(provider.asked) == 4)
    server.kill()
    for caller in (*streaming, waiting):
        caller.join(10)
    assert house.found() == []
    servers()
    found = house.wait_for_events(4)
    assert [(estimated, known) for _, _, estimated, known in found] == [(True, False)] * 4
    assert {caller.event_id for caller in streaming} <= {event_id for event_id, *_ in found}


def test_a_database_that_is_away_delays_what_was_answered(house: House, servers: Any, provider: Upstream) -> None:
    provider.says(CHAT, Script([json.dumps(completion()).encode()], wait=1.5))
    server = servers()
    call(house, server).join(20)  # what a call needs to know is in memory now
    calls = [call(house, server) for _ in range(5)]
    wait_for(lambda: len(provider.asked) == 6)
    house.crash()
    for caller in calls:
        caller.join(20)
    assert [(caller.status, json.loads(caller.body)) for caller in calls] == [(200, completion())] * 5
    house.start()
    found = house.wait_for_events(6)
    assert [(output, estimated) for _, output, estimated, _ in found] == [(7, False)] * 6
    assert {caller.event_id for caller in calls} <= {event_id for event_id, *_ in found}


def test_the_database_away_and_the_worker_killed(house: House, servers: Any, provider: Upstream) -> None:
    """The client has its answer, nobody else has heard of it but the spool."""
    provider.says(CHAT, Script([json.dumps(completion()).encode()], wait=1.0))
    server = servers()
    call(house, server).join(20)
    calls = [call(house, server) for _ in range(5)]
    wait_for(lambda: len(provider.asked) == 6)
    house.crash()
    for caller in calls:
        caller.join(20)
    assert [caller.status for caller in calls] == [200] * 5
    server.kill()
    house.start()
    servers()
    found = house.wait_for_events(6)
    assert [(output, estimated) for _, output, estimated, _ in found] == [(7, False)] * 6


def test_under_a_cap_nothing_is_forwarded_without_a_hold(house: House, servers: Any, provider: Upstream) -> None:
    house.limit(1_000_000)
    provider.says(CHAT, whole(completion()))
    server = servers()
    first = call(house, server)
    first.join(20)
    assert first.status == 200
    house.wait_for_events(1)
    house.crash()
    try:
        refused = call(house, server)
        refused.join(30)
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (503, "storage_unavailable")
        assert len(provider.asked) == 1
    finally:
        house.start()
    later = wait_for(lambda: answered if _status(answered := call(house, server)) == 200 else None, 20)
    assert later.status == 200
    assert house.execute("SELECT count(*) FROM metering_hold") == [(0,)] or wait_for(
        lambda: house.execute("SELECT count(*) FROM metering_hold") == [(0,)]
    )


def _status(caller: Caller) -> int:
    caller.join(20)
    return caller.status


def test_holds_of_a_killed_worker_become_estimates(house: House, servers: Any, provider: Upstream) -> None:
    house.limit(1_000_000)
    provider.says(CHAT, Script([json.dumps(completion()).encode()], wait=20))
    server = servers()
    callers = [call(house, server, max_tokens=50) for _ in range(3)]
    wait_for(lambda: len(provider.asked) == 3)
    assert house.execute("SELECT count(*) FROM metering_hold") == [(3,)]
    server.kill()
    for caller in callers:
        caller.join(10)
    house.execute("UPDATE metering_hold SET expires_at = now() - interval '1 second'")
    servers()
    found = house.wait_for_events(3)
    assert [(output, estimated) for _, output, estimated, _ in found] == [(50, True)] * 3
    assert house.execute("SELECT count(*) FROM metering_hold") == [(0,)]


def test_an_orderly_end_answers_and_stores_everybody(house: House, servers: Any, provider: Upstream) -> None:
    provider.says(CHAT, Script([json.dumps(completion()).encode()], wait=1.0))
    server = servers()
    callers = [call(house, server) for _ in range(8)]
    wait_for(lambda: len(provider.asked) == 8)
    assert server.terminate() in (0, -15)
    for caller in callers:
        caller.join(10)
    assert [caller.status for caller in callers] == [200] * 8
    assert len(house.found()) == 8
    assert list(house.data_dir.glob("gateway-spool/*/*")) == []
