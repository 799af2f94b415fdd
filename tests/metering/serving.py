"""A cluster and a server process of the test's own, to be killed, and clients that keep sending."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg

from config import embedded
from tests.metering.door import event

ROOT = Path(__file__).resolve().parents[2]
Answer = tuple[int, dict[str, Any], http.client.HTTPMessage]


# The machine is not what crashes here: what is handed to the kernel stays, so waiting for the disk proves nothing.
KEPT_BY_THE_KERNEL = {"synchronous_commit": "on"}


class Cluster:
    """A PostgreSQL of its own with a migrated ledger and one organization."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="tokenledger-crash-"))
        self._directory.chmod(0o755)
        self._postgres = self._directory / "postgres"
        self._postgres.mkdir()
        self.url = ""
        self.start()
        self._manage("migrate", "--verbosity=0")
        made = json.loads(self._manage("create_organization", "Acme", "--owner", "a@acme.test", "--timezone",
                                       "Europe/Berlin", "--json"))  # fmt: skip
        self.secret: str = made["api_key"]

    def start(self) -> None:
        with patch.dict(embedded.UNSAFE_OPTIONS, KEPT_BY_THE_KERNEL):
            self.url = embedded._start_postgres(self._postgres, durable=False)

    def crash(self) -> None:
        """Every process of the server ends at once, without a last word to the disk."""
        postmaster = int((self._data() / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
        while Path(f"/proc/{postmaster}").exists():
            time.sleep(0.01)

    def remove(self) -> None:
        embedded._stop_postgres(self._postgres)
        shutil.rmtree(self._data(), ignore_errors=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _data(self) -> Path:
        return embedded._reachable(self._postgres, embedded._postgres_binaries(), embedded._server_account())[0]

    def environ(self) -> dict[str, str]:
        own = {"DATABASE_URL": self.url, "REDIS_URL": "redis://127.0.0.1:1/0", "TOKENLEDGER_EMBEDDED": "off",
               "DEBUG": "1", "LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "config.settings"}  # fmt: skip
        return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | own

    def _manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environ(), check=True, capture_output=True, text=True).stdout

    def connect(self) -> psycopg.Connection[Any]:
        """As the owner, whom row-level security does not bind."""
        return psycopg.connect(self.url.replace("postgres://", "postgresql://", 1), autocommit=True)

    def stored_ids(self) -> list[str]:
        with self.connect() as connection:
            return [row[0] for row in connection.execute("SELECT event_id FROM metering_event ORDER BY 1").fetchall()]


class Server:
    """A real edge process on a loopback port: a free one, or that of a server that is no more."""

    def __init__(self, cluster: Cluster, port: int = 0) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "config.edge:application", "--host", "127.0.0.1",
                   "--port", str(self.port), "--no-access-log", "--log-level", "error"]  # fmt: skip
        self.process = subprocess.Popen(command, cwd=ROOT, env=cluster.environ())
        self._secret = cluster.secret
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.02)
        raise TimeoutError("the server did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def post(self, connection: http.client.HTTPConnection, body: bytes | str) -> Answer:
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/events", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers

    def post_once(self, body: Any) -> Answer:
        connection = self.connect()
        try:
            return self.post(connection, json.dumps(body))
        finally:
            connection.close()


@contextmanager
def serving(cluster: Cluster) -> Iterator[Server]:
    server = Server(cluster)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


class Client(threading.Thread):
    """Sends batch after batch over one connection until told to stop or until the connection breaks."""

    def __init__(self, server: Server, name: str, size: int) -> None:
        super().__init__(name=name, daemon=True)
        self._server = server
        self._size = size
        self._stop_now = threading.Event()
        self.answers: list[Answer] = []
        self.acknowledged: list[str] = []
        self.unanswered: list[dict[str, Any]] = []

    def run(self) -> None:
        connection = self._server.connect()
        number = 0
        while not self._stop_now.is_set():
            batch = [
                event(f"{self.name}-{number}-{n}", chat={"id": f"c{n % 9}"}, feature=f"f{n % 3}", model=f"m{n % 4}")
                for n in range(self._size)
            ]
            number += 1
            try:
                answer = self._server.post(connection, json.dumps({"events": batch}))
            except (OSError, http.client.HTTPException):
                self.unanswered += batch
                break
            self.answers.append(answer)
            if answer[0] == 200:
                self.acknowledged += [one["id"] for one in answer[1]["results"]]
            else:
                self.unanswered += batch
                time.sleep(0.1)
        connection.close()

    def stop(self) -> None:
        self._stop_now.set()


@contextmanager
def clients(server: Server, name: str, sizes: tuple[int, ...]) -> Iterator[list[Client]]:
    running = [Client(server, f"{name}{n}", size) for n, size in enumerate(sizes)]
    for client in running:
        client.start()
    try:
        yield running
    finally:
        for client in running:
            client.stop()
        for client in running:
            client.join(30)
