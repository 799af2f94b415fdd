"""A ledger that only writes down what it is told about calls. What the product makes of it is tested apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripted import ScriptedServer, accept, scripted
from tokenledger import Client


class Ledger:
    def __init__(self, client: Client, server: ScriptedServer) -> None:
        self.client = client
        self._server = server

    @property
    def events(self) -> list[dict[str, Any]]:
        assert self.client.flush(10)
        return [event for one in self._server.requests for event in one.json]

    @property
    def event(self) -> dict[str, Any]:
        (event,) = self.events
        return event


@contextmanager
def recording() -> Iterator[Ledger]:
    with scripted(accept) as server, Client(server.url, "tl_key", max_age=0.01) as client:
        yield Ledger(client, server)
