"""A server that does what a test says, for what the product itself never does: other people's servers, and failures.

A script is a list of steps, one for each request; the last one is for all that follow. `requests` is what came.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:
        unpacked = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        return json.loads(unpacked)

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.json]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        with self.server.lock:
            self.server.requests.append(received)
            script = self.server.script
            step = script.pop(0) if len(script) > 1 else script[0]
        with contextlib.suppress(ConnectionError):
            step(self, received)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


Step = Callable[[Handler, Received], None]


class ScriptedServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Sequence[Step]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.script = list(script)
        self.requests: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the script."""


@contextlib.contextmanager
def scripted(*script: Step) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# ── Steps ──


def answer(status: int, body: Any, **headers: str) -> Step:
    def step(handler: Handler, _: Received) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return step


def refuse(status: int, code: str = "refused", **headers: str) -> Step:
    error = {"message": "No.", "type": "x", "code": code, "param": None, "request_id": "req_scripted"}
    return answer(status, {"error": error}, **headers)


def accept(handler: Handler, received: Received) -> None:
    """As the product answers when all events are fine."""
    counts = {"created": len(received.json), "duplicates": 0, "conflicts": 0, "invalid": 0}
    answer(200, counts)(handler, received)


def break_off(handler: Handler, _: Received) -> None:
    """The request is taken in, and the connection ends without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def half_an_answer(handler: Handler, _: Received) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"created"')
    handler.wfile.flush()
    break_off(handler, _)


def hang(seconds: float) -> Step:
    def step(handler: Handler, received: Received) -> None:
        time.sleep(seconds)
        break_off(handler, received)

    return step


def stream(*lines: bytes, pause: float = 0.0, is_cut: bool = False) -> Step:
    """Server-sent events as they are; chunked, as providers send them. `is_cut`: the connection breaks at the end."""

    def step(handler: Handler, _: Received) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for line in lines:
            handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            handler.wfile.flush()
            time.sleep(pause)
        if is_cut:
            break_off(handler, _)
        else:
            handler.wfile.write(b"0\r\n\r\n")

    return step


def data(*chunks: Any) -> list[bytes]:
    """OpenAI's form: bare data lines."""
    return [b"data: " + (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n\n" for one in chunks]


def named(*events: dict[str, Any]) -> list[bytes]:
    """Anthropic's and the Responses API's form: each event with its name."""
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]
