"""Texts that no database holds are refused, or match nothing, wherever a list is narrowed by one."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_what_no_database_holds_is_refused(acme_api: Client) -> None:
    for text in ("\0", "gift"):
        answer = acme_api.get("/v1/credits/entries", {"kind": text})
        assert answer.status_code == 422
        assert answer.json()["error"]["param"] == "kind"
    assert acme_api.get("/v1/credits/entries", {"kind": "purchase"}).json()["data"] == []
    for address, name in (
        ("/v1/invoices", "status"),
        ("/v1/budgets/suggestions", "scope"),
        ("/v1/audit", "actor"),
        ("/v1/audit", "action"),
        ("/v1/prices", "model"),
        ("/v1/prices", "provider"),
        ("/v1/events", "model"),
        ("/v1/events", "q"),
        ("/v1/usage/query", "feature"),
        ("/v1/usage/query", "team"),
        ("/v1/usage/query", "tag.x"),
        ("/v1/chats", "q"),
        ("/v1/files", "q"),
        ("/v1/teams", "archived"),
        ("/v1/keys", "status"),
        ("/v1/alerts", "rule"),
        ("/v1/alerts", "state"),
        ("/v1/credits/entries", "cursor"),
    ):
        assert acme_api.get(address, {name: "a\0b"}).status_code < 500, (address, name)
