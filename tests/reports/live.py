"""The streams as a browser meets them: the server's process with doors, streams and pages, and a reader of events.

The server runs in a thread of the test, on the test's database and Redis. Transactional tests only.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import uvicorn
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.asgi import get_asgi_application
from django.db import connections
from django.test import Client
from starlette.responses import FileResponse

from metering.edge import App, serves
from reports.live.stream import LiveStreams

PATIENCE = 20.0


class OneProcess:
    """As config/asgi.py divides requests, with static files from where they are written."""

    def __init__(self) -> None:
        self.streams = LiveStreams(App())
        self._pages = get_asgi_application()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or self.streams.serves(scope["path"]) or serves(scope["method"], scope["path"]):
            await self.streams(scope, receive, send)
        elif scope["path"].startswith("/static/"):
            await FileResponse(finders.find(scope["path"].removeprefix("/static/")))(scope, receive, send)
        else:
            await self._pages(scope, receive, send)


class Server:
    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.application = OneProcess()
        config = uvicorn.Config(self.application, log_level="warning", timeout_graceful_shutdown=2, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve([self._socket])

    def stop(self) -> None:
        """As a signal would, which only a main thread hears."""
        self._loop.call_soon_threadsafe(self.application.streams.end)
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@contextmanager
def serving(port: int = 0) -> Iterator[Server]:
    # As config/asgi.py has it: a request's thread takes its connection with it.
    with patch.dict(connections.settings["default"], CONN_MAX_AGE=0):
        server = Server(port)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    with serving() as running:
        yield running


def until(is_so: Any, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


class Listener(threading.Thread):
    """Reads one stream in the background until it ends. `frames` are the figures, `lines` all there was."""

    def __init__(self, server: Server, browser: Client, path: str, **headers: str) -> None:
        super().__init__(daemon=True)
        cookie = browser.cookies.get(settings.SESSION_COOKIE_NAME)
        self._cookies = {settings.SESSION_COOKIE_NAME: cookie.value} if cookie else {}
        self._url = server.url + path
        self._sent = headers
        self.frames: list[dict[str, str]] = []
        self.lines: list[str] = []
        self.status = 0
        self.headers: httpx.Headers = httpx.Headers()
        self.has_ended = False
        self._close = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with httpx.stream("GET", self._url, cookies=self._cookies, headers=self._sent, timeout=60) as response:
                self.headers = response.headers
                self.status = response.status_code
                for line in response.iter_lines():
                    self.lines.append(line)
                    if line.startswith("data: "):
                        self.frames.append(json.loads(line.removeprefix("data: ")))
                    if self._close.is_set():
                        return
        except httpx.HTTPError:
            pass
        finally:
            self.has_ended = True

    def close(self) -> None:
        """From the next line on it is no longer read."""
        self._close.set()


@contextmanager
def listening(server: Server, browser: Client, path: str, **headers: str) -> Iterator[Listener]:
    listener = Listener(server, browser, path, **headers)
    try:
        until(lambda: listener.status)
        yield listener
    finally:
        listener.close()
