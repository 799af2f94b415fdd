"""The edge and the database crash and come back: admissions stand, each is settled once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.metering.serving import Cluster, Server, serving

# One worker, because all tests that crash a database take their turn.
pytestmark = pytest.mark.xdist_group("crash")

LIMIT = """
INSERT INTO metering_limit (organization_id, kind, source, label, unit, amount, period, project_id, team_id,
    department_id, member_id, api_key_id, model, feature, is_active)
SELECT id, 'allowance', 'plan', 'The allowance', 'tokens', 1000, 'month', 0, 0, 0, 0, 0, '', '', true
FROM accounts_organization
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    try:
        with made.connect() as connection:
            connection.execute(LIMIT)
        yield made
    finally:
        made.remove()


def post(server: Server, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    connection = server.connect()
    headers = {"Authorization": f"Bearer {server._secret}", "Content-Type": "application/json"}
    connection.request("POST", f"/v1/admissions{path}", json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def admit(server: Server, name: str, tokens: int = 300) -> int:
    return post(server, "", {"id": name, "model": "m", "estimated_tokens": tokens})[0]


def test_admissions_outlive_their_server_and_their_database(cluster: Cluster) -> None:
    event = {"model": "m", "usage": {"input": 100}}
    with serving(cluster) as server:
        assert [admit(server, name) for name in ("a", "b", "c", "d")] == [200, 200, 200, 429]
        server.kill()
    with serving(cluster) as server:
        assert post(server, "/a/settle", event)[1]["status"] == "created"
        cluster.crash()
        assert post(server, "/b/settle", event)[0] == 503
        assert admit(server, "d") == 503
        cluster.start()
        deadline = time.monotonic() + 15
        while (answer := post(server, "/b/settle", event))[0] != 200:
            assert time.monotonic() < deadline, "the edge recovers by itself"
            time.sleep(0.1)
        assert answer[1]["status"] == "created"
        assert post(server, "/b/settle", event)[1]["status"] == "duplicate"
        assert post(server, "/c/release")[0] == 200
        assert admit(server, "d", 800) == 200, "200 are used, none is held"
        assert admit(server, "e", 1) == 429
    with cluster.connect() as connection:
        rows = connection.execute("SELECT event_id, input FROM metering_event ORDER BY 1").fetchall()
        held = connection.execute("SELECT event_id FROM metering_hold WHERE released_at IS NULL").fetchall()
    assert rows == [("a", 100), ("b", 100)]
    assert held == [("d",)]
