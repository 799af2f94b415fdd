"""Pages answer what they cannot do with a status and a page, whatever is away behind them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization
from accounts.views import home
from reports import navigation
from tests.metering.query.usage import make_event, write


@pytest.fixture
def storage_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("the server is gone")

    # The start page asks this, and so does the navigation around every page.
    monkeypatch.setattr(navigation, "memberships_of", fail)
    monkeypatch.setattr(home, "memberships_of", fail)


def test_a_storage_that_is_away_is_not_our_mistake(alice_client: Client, storage_is_away: None) -> None:
    alice_client.raise_request_exception = False
    response = alice_client.get("/")
    assert response.status_code == 503
    assert response["Retry-After"] == "2"
    assert b"Tokenledger is not available" in response.content


def test_the_page_of_a_failure_asks_the_database_nothing(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch, storage_is_away: None
) -> None:
    monkeypatch.setattr(home, "memberships_of", lambda _: 1 / 0)
    alice_client.raise_request_exception = False
    response = alice_client.get("/")
    assert response.status_code == 500
    assert b"Something failed on our side" in response.content


@pytest.mark.parametrize("page", ["overview", "overview/series.csv", "overview/recount", "overview/choose/model"])
@pytest.mark.parametrize(
    "query",
    ["range=x", "measure=x", "colour=red", "member=-1", "project=%00", "from=0001-01-01&to=9999-12-31T23:59"],
)
def test_what_an_address_asks_in_vain_is_refused(
    alice_client: Client, acme: Organization, page: str, query: str
) -> None:
    write(acme.pk, [make_event("first", now())])
    response = alice_client.get(f"/o/acme/{page}?{query}")
    assert response.status_code == 422
    assert response["Content-Type"].startswith("text/html")


def test_nobody_keeps_a_copy_of_what_a_session_shows(alice_client: Client, client: Client) -> None:
    assert alice_client.get("/o/acme/overview")["Cache-Control"] == "private, no-store"
    assert alice_client.get("/accounts/2fa/")["Cache-Control"] == "private, no-store"
    assert "private, no-store" not in client.get("/accounts/signup/").get("Cache-Control", "")
