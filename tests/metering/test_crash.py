"""What was acknowledged is there, and counted once, whatever is killed and whenever."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metering.store.rebuild import rebuild
from metering.store.steps import run
from tests.metering.door import ROLL_UPS, event
from tests.metering.serving import Client, Cluster, Server, clients, serving

# One worker, because all tests use one cluster.
pytestmark = pytest.mark.xdist_group("crash")
SIZES = (1, 1, 7, 60, 300)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made
    finally:
        made.remove()


def prove(cluster: Cluster) -> None:
    """The roll-ups are those of the events."""
    with cluster.connect() as connection, connection.transaction(force_rollback=True):
        ((organization_id, zone),) = connection.execute(
            "SELECT organization_id, timezone FROM metering_ledger"
        ).fetchall()

        def roll_ups() -> dict[str, list[Any]]:
            return {
                t: connection.execute(f"SELECT * FROM {t} ORDER BY {keys}").fetchall() for t, keys in ROLL_UPS.items()
            }

        written = roll_ups()
        run(connection, rebuild(organization_id, ZoneInfo(zone)))
        assert roll_ups() == written
        events = connection.execute("SELECT count(*), count(DISTINCT event_id) FROM metering_event").fetchall()
        total = connection.execute("SELECT sum(requests) FROM metering_usage_day WHERE kind = 0").fetchall()
        assert events == [(total[0][0], total[0][0])]


def settle(server: Server, cluster: Cluster, running: list[Client]) -> None:
    """Clients send again what was not answered; then everything is there once."""
    stored = set(cluster.stored_ids())
    acknowledged = {name for client in running for name in client.acknowledged}
    assert len(acknowledged) > 100
    assert acknowledged <= stored, "nothing acknowledged is lost"
    again = [one for client in running for one in client.unanswered]
    for at in range(0, len(again), 100):
        status, answer, _ = server.post_once(again[at : at + 100])
        assert status == 200
        assert answer["created"] + answer["duplicates"] == len(again[at : at + 100])
    sent = acknowledged | {one["id"] for one in again}
    mine = [name for name in cluster.stored_ids() if name in sent]
    assert sorted(sent) == sorted(mine)
    prove(cluster)


def test_killed_in_the_middle_of_batches(cluster: Cluster) -> None:
    running: list[Client] = []
    for round_number in range(2):
        with serving(cluster) as server, clients(server, f"kill{round_number}-", SIZES) as these:
            running += these
            time.sleep(0.9 if round_number == 0 else 0.4)
            server.kill()
    assert any(client.unanswered for client in running)
    with serving(cluster) as server:
        settle(server, cluster, running)


def test_the_database_crashes_and_comes_back(cluster: Cluster) -> None:
    with serving(cluster) as server:
        with clients(server, "db-", SIZES) as running:
            time.sleep(0.8)
            cluster.crash()
            status, body, headers = server.post_once(event("while-away"))
            assert (status, body["error"]["code"]) == (503, "storage_unavailable")
            assert int(headers["retry-after"]) >= 1
            assert body["error"]["request_id"] == headers["x-request-id"]
            cluster.start()
            deadline = time.monotonic() + 15
            while server.post_once(event("back-again"))[0] != 200:
                assert time.monotonic() < deadline, "the edge recovers by itself"
                time.sleep(0.1)
            time.sleep(0.3)
        told = {status for client in running for status, _, _ in client.answers}
        assert told <= {200, 503}
        settle(server, cluster, running)


def test_asked_to_stop_it_answers_what_it_took(cluster: Cluster) -> None:
    with serving(cluster) as server:
        with clients(server, "term-", SIZES) as running:
            time.sleep(0.8)
            started = time.monotonic()
            assert server.terminate() in (0, -15)
            assert time.monotonic() - started < 5
        assert {status for client in running for status, _, _ in client.answers} == {200}
        acknowledged = {name for client in running for name in client.acknowledged}
        stored = {name for name in cluster.stored_ids() if name.startswith("term-")}
        assert stored == acknowledged, "what is stored was said to be"
        prove(cluster)


def test_clients_that_go_away(cluster: Cluster) -> None:
    """In the middle of a body, and before the answer. The server goes on, and a retry counts once."""
    body = b'{"id": "gone", "model": "m", "usage": {"input": 1}}'
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {cluster.secret}\r\nContent-Length: "
    with serving(cluster) as server:
        for sent in (body[:20], body):
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", server.port)) as connection:
                    connection.sendall(f"{head}{len(body)}\r\n\r\n".encode() + sent)
        status, answer, _ = server.post_once({"id": "gone", "model": "m", "usage": {"input": 1}})
        assert (status, answer["created"] + answer["duplicates"]) == (200, 1)
        assert cluster.stored_ids().count("gone") == 1
        # A body that is too large is read to its end, so that the client gets to read why.
        connection = server.connect()
        status, answer, _ = server.post(connection, b" " * (17 * 2**20))
        assert (status, answer["error"]["code"]) == (413, "body_too_large")
        assert server.post(connection, body)[0] == 200, "over the same connection"
        connection.close()
        prove(cluster)
