"""Calls of the API of accounts, and what a refusal must look like."""

from __future__ import annotations

from typing import Any

from django.test import Client


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(path, body, content_type="application/json", headers=headers)


def error(response: Any) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "code", "param", "request_id"}
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    return body["error"]
