"""The server in a thread, and Stripe's own library pointed at it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import stripe
import uvicorn

from billing.providers.stripe.fake.app import build

from .ears import Ears


def _serve(app: object) -> tuple[uvicorn.Server, threading.Thread, str]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    return server, thread, f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def ears() -> Iterator[Ears]:
    with Ears() as listening:
        yield listening


@pytest.fixture
def server(ears: Ears) -> Iterator[str]:
    running, thread, url = _serve(build(webhook=(ears.url, ears.secret)))
    yield url
    running.should_exit = True
    thread.join(10)


@pytest.fixture
def api(server: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        "sk_test_1",
        base_addresses={"api": server},
        max_network_retries=0,
    )
