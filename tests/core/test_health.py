"""/healthz says that the process lives, /readyz that it can work."""

from __future__ import annotations

import pytest
import redis
from django.db import OperationalError
from django.test import Client

from core import health


def test_the_process(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_both_engines(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"database": "ok", "redis": "ok"})


@pytest.mark.parametrize(
    ("engine", "error"), [("database", OperationalError("gone")), ("redis", redis.ConnectionError("gone"))]
)
@pytest.mark.django_db
def test_one_is_away(client: Client, monkeypatch: pytest.MonkeyPatch, engine: str, error: Exception) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setitem(health.CHECKS, engine, fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"][engine] == "unreachable"
    assert answer.json()["error"]["code"] == "storage_unavailable"
    assert answer["Retry-After"]
