"""A gateway on a real port, in front of a scripted provider, on the test's own database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from pytest_django import Settings

from accounts.models import Organization
from core.encryption import encrypt
from core.tenancy import organization_scope
from metering.edge import App
from metering.models import Upstream as UpstreamRow
from tests.cast import Key
from tests.metering.door import select
from tests.metering.gateway.upstream import Upstream, upstream, wait_for


class Edge:
    """The edge behind a real server in this process."""

    def __init__(self, organization: Organization, secret: str) -> None:
        self.organization = organization
        self.secret = secret
        config = uvicorn.Config(App(), host="127.0.0.1", port=0, log_level="error", lifespan="on", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.client: httpx.Client

    def start(self) -> None:
        self._thread.start()
        wait_for(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.secret}"}, timeout=20, trust_env=False
        )

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, json=body, headers=sent)

    def chat(self, text: str = "Hello", **fields: Any) -> httpx.Response:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]} | fields
        return self.post("/v1/chat/completions", body)

    def events(self, number: int = 1) -> list[dict[str, Any]]:
        """What the ledger has, once it has so many, oldest first."""
        return list(wait_for(lambda: rows if len(rows := stored(self.organization)) >= number else None))

    def event(self) -> dict[str, Any]:
        (only,) = self.events()
        return only


COLUMNS = (
    "event_id", "status", "input", "cache_read", "output", "cost_nanos", "pricing", "is_estimated", "is_usage_known",
    "duration_ms", "time_to_first_token_ms", "chat", "message", "tags", "raw_usage", "detail", "project_id",
    "api_key_id", "media_ms", "images",
)  # fmt: skip
LABELS = ("model", "provider", "endpoint", "feature", "tool", "integration", "user", "end_user", "status")


def stored(organization: Organization) -> list[dict[str, Any]]:
    labels = ", ".join(f"(SELECT text FROM metering_label l WHERE l.id = e.{name}_id) AS {name}" for name in LABELS)
    columns = [name for name in COLUMNS if name != "status"]
    rows = select(
        organization,
        f"SELECT {', '.join(columns)}, {labels} FROM metering_event e WHERE superseded_by IS NULL ORDER BY event_id",
    )
    found = [dict(zip((*columns, *LABELS), row, strict=True)) for row in rows]
    for event in found:
        event |= {name: json.loads(event[name] or "null") for name in ("tags", "raw_usage", "detail")}
    return found


@pytest.fixture
def provider() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


def add_upstream(organization: Organization, base_url: str, **fields: Any) -> UpstreamRow:
    with organization_scope(organization.pk):
        values = {"name": "scripted", "protocol": "openai", "provider": "openai", "credential": encrypt("sk-upstream")}
        return UpstreamRow.objects.create(organization=organization, base_url=base_url, **(values | fields))


@pytest.fixture
def edge(
    transactional_db: None, acme: Organization, acme_key: Key, provider: Upstream, settings: Settings,
    tmp_path: Any,
) -> Iterator[Edge]:  # fmt: skip
    """Acme's edge; its openai and anthropic upstreams are the scripted provider."""
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = True
    settings.DATA_DIR = tmp_path
    add_upstream(acme, f"{provider.url}/v1")
    add_upstream(acme, provider.url, name="claude", protocol="anthropic", provider="anthropic")
    running = Edge(acme, acme_key.secret)
    running.start()
    try:
        yield running
    finally:
        running.stop()
