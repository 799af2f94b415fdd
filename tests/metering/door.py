"""The door as a client meets it: the whole edge in this process, over ASGI, on the test's own database.

`door` speaks for Acme with every scope. Transactional tests only: the edge has connections of its own.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from starlette.testclient import TestClient

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from metering.edge import App
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from tests.cast import Key

UTC = dt.UTC
# 2.5 and 10 dollars a million tokens.
INPUT_NANOS, OUTPUT_NANOS = 2_500, 10_000


def event(event_id: str | None = "e1", **fields: Any) -> dict[str, Any]:
    """A sound event; `fields` change it, None takes a field away."""
    document = {"id": event_id, "model": "gpt-4o", "provider": "openai", "usage": usage()} | fields
    return {name: value for name, value in document.items() if value is not None or name in ("usage", "supersedes")}


def usage(prompt: int = 1_000, completion: int = 100) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def iso(at: dt.datetime) -> str:
    return at.isoformat()


class Door:
    def __init__(self, client: TestClient, secret: str) -> None:
        self._client = client
        self.secret = secret

    def send(self, body: Any, *, query: str = "", key: Key | None = None, **headers: str) -> httpx.Response:
        """POST a JSON body to /v1/events."""
        return self.send_raw(json.dumps(body), query=query, key=key, **headers)

    def send_raw(
        self,
        content: Any,
        *,
        query: str = "",
        key: Key | None = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> httpx.Response:
        sent = {
            "content-type": content_type,
            "authorization": f"Bearer {key.secret if key else self.secret}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self._client.post(f"/v1/events{query}", content=content, headers=sent)

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return self._client.request(method, path, **kwargs)


@pytest.fixture
def prices(transactional_db: None) -> None:
    """List prices of openai's gpt-4o, and of a model that is free."""
    with unscoped("test prices"):
        version = PriceVersion.objects.create(
            kind=PriceKind.LIST, provider="openai", model="gpt-4o", valid_from="2018-01-01T00:00:00Z", source="test"
        )
        for bucket, nanos in (("input", INPUT_NANOS), ("output", OUTPUT_NANOS)):
            PriceRate.objects.create(version=version, bucket=bucket, femtos_per_unit=nanos * 10**6)


@pytest.fixture
def door(transactional_db: None, acme_key: Key) -> Iterator[Door]:
    with TestClient(App(), raise_server_exceptions=False) as client:
        yield Door(client, acme_key.secret)


# ── What is stored ──


def as_database_owner() -> psycopg.Connection[Any]:
    database = settings.DATABASES["default"]
    return psycopg.connect(host=database["HOST"], user=database["USER"], dbname=database["NAME"], autocommit=True)


def select(organization: Organization, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with organization_scope(organization.id), connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def stored_ids(organization: Organization) -> list[str]:
    return [row[0] for row in select(organization, "SELECT event_id FROM metering_event ORDER BY event_id")]


def day_total(organization: Organization) -> tuple[int, int]:
    """(requests, tokens) of all days."""
    ((requests, tokens),) = select(
        organization,
        "SELECT coalesce(sum(requests), 0), coalesce(sum(input + output), 0) FROM metering_usage_day WHERE kind = 0",
    )
    return int(requests), int(tokens)


ROLL_UPS = {
    "metering_usage_hour": "hour, project_id, api_key_id, model_id, provider_id",
    "metering_usage_day": "kind, day, ref",
    "metering_usage_chat": "month, chat",
    "metering_usage_file": "month, file, chat",
    "metering_usage_latency": "day, integration_id, model_id, provider_id, bucket",
    "metering_usage_rate": "day, project_id, team_id, department_id, api_key_id, model_id, provider_id,"
    " price_version_id, tier, above_tokens, kinds",
}


def roll_ups(organization: Organization) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every roll-up, in order."""
    return {table: select(organization, f"SELECT * FROM {table} ORDER BY {keys}") for table, keys in ROLL_UPS.items()}
