"""A server that is killed and a database that crashes under a client that keeps tracking: counted once, all of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.metering.serving import Cluster, Server
from tokenledger import Client

# One worker, because all tests use one cluster.
pytestmark = pytest.mark.xdist_group("client-crash")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made
    finally:
        made.remove()


class Tracking(threading.Thread):
    """Tracks until told to stop; `sent` are the ids."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._stop_now = threading.Event()
        self.sent: list[str] = []

    def run(self) -> None:
        while not self._stop_now.wait(0.001):
            self.sent.append(self._client.track(model="m", usage={"input": 1}, feature="steady"))

    def stop(self) -> None:
        self._stop_now.set()
        self.join()


@pytest.mark.parametrize("victim", ["server", "database"])
def test_killed_and_started_again(cluster: Cluster, victim: str) -> None:
    server = Server(cluster)
    with Client(f"http://127.0.0.1:{server.port}", cluster.secret, max_age=0.01, batch_size=20) as client:
        tracking = Tracking(client)
        tracking.start()
        for _ in range(2):
            time.sleep(0.7)
            if victim == "server":
                server.kill()
                server = Server(cluster, server.port)
            else:
                cluster.crash()
                time.sleep(0.2)
                cluster.start()
        time.sleep(0.5)
        tracking.stop()
        assert client.flush(60)
        stats = client.stats
    server.kill()
    if victim == "server":  # a database that is soon back is waited for
        assert stats.retries >= 1
    assert (stats.acknowledged, stats.failed, stats.dropped) == (len(tracking.sent), 0, 0)
    mine = set(tracking.sent)
    stored = [name for name in cluster.stored_ids() if name in mine]
    assert len(stored) == len(mine) > 100
    with cluster.connect() as connection:
        events = connection.execute("SELECT count(*) FROM metering_event").fetchall()
        rolled_up = connection.execute("SELECT sum(requests) FROM metering_usage_day WHERE kind = 0").fetchall()
    assert events == rolled_up
