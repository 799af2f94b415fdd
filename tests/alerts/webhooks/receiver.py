"""A program of somebody's on this machine that is told by webhooks, and answers as it is scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Said(msgspec.Struct):
    """One answer. `missing` bytes of the body are promised and never come; what `drips` has no end."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b"ok"
    missing: int = 0
    drips: bool = False
    waits: float = 0


class Got(msgspec.Struct):
    headers: dict[str, str]
    body: str
    path: str


class Receiver:
    def __init__(self) -> None:
        self.got: list[Got] = []
        # What to answer with, the last for good.
        self.answers: list[Said] = [Said()]
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver.counted():
                    self.say(receiver.take(Got(headers, body, self.path)))

            def say(self, said: Said) -> None:
                time.sleep(said.waits)
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                if not said.drips:
                    self.send_header("Content-Length", str(len(said.body) + said.missing))
                self.end_headers()
                try:
                    self.wfile.write(said.body)
                    while said.drips:
                        self.wfile.write(b"x" * 65536)
                except OSError:
                    pass

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        yield
        with self._lock:
            self._at_once -= 1

    def take(self, got: Got) -> Said:
        with self._lock:
            self.got.append(got)
            return self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)

    @property
    def ids(self) -> list[str]:
        return [got.headers["webhook-id"] for got in self.got]


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()
