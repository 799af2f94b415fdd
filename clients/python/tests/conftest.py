"""The client against the product itself: the whole application on a real port, on the test's own database."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from openai_side import Provider
from recording import Ledger, recording
from scripted import scripted
from tests.conftest import _empty_cache, django_db_modify_db_settings, django_db_setup
from tokenledger import Client

if TYPE_CHECKING:
    from tests.cast import Key

pytest_plugins = ["tests.cast", "tests.metering.door"]
__all__ = ["_empty_cache", "django_db_modify_db_settings", "django_db_setup"]


class Product:
    """Started and stopped at will, always on the same port."""

    def __init__(self, key: Key) -> None:
        self.key = key
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        from config.asgi import application  # needs Django's settings, which pytest-django sees to

        server = uvicorn.Server(
            uvicorn.Config(application, "127.0.0.1", self.port, log_config=None, timeout_graceful_shutdown=5)
        )
        self._thread = threading.Thread(target=server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "the product did not start"
            time.sleep(0.01)
        self._server = server

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(20)
            self._server = self._thread = None


@pytest.fixture
def product(transactional_db: None, acme_key: Key) -> Iterator[Product]:
    """Acme's product, not started before a test that wants it to be `product.start()`ed; see `client`."""
    made = Product(acme_key)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def new_client(product: Product) -> Iterator[Callable[..., Client]]:
    """Clients that are closed at the end of the test. They keep no event waiting for company, unless told to."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        client = Client(product.url, product.key.secret, **{"max_age": 0.02, **options})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close(0.1)


@pytest.fixture
def client(product: Product, new_client: Callable[..., Client]) -> Client:
    """A client of the running product."""
    product.start()
    return new_client()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with recording() as made:
        yield made


@pytest.fixture
def provider(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[Provider]:
    """A scripted OpenAI; the steps of its script are the fixture's parameter (see openai_side.doing)."""
    with scripted(*request.param) as server:
        made = Provider(server, ledger)
        yield made
        made.client.close()
