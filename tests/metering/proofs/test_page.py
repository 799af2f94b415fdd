"""The page of the last proofs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import Organization
from core.tenancy import organization_scope
from metering import tasks
from metering.models import Proof
from tests.metering.proofs.conftest import execute

PAGE = "/o/acme/integrity/"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks, "enqueue", lambda task, *arguments: sent.append((task, *arguments)))
    return sent


def run_queued(queue: list[tuple[Any, ...]]) -> None:
    task, *arguments = queue.pop()
    task(*arguments)


def test_a_proof_is_asked_for_and_shown(
    acme: Organization, usage: None, alice_client: Client, queue: list[Any]
) -> None:
    assert "Not proved yet" in alice_client.get(PAGE).content.decode()
    assert alice_client.post(f"{PAGE}prove/").status_code == 302
    waiting = alice_client.get(PAGE).content.decode()
    assert "Under way" in waiting
    assert "hx-get" in waiting
    run_queued(queue)
    page = alice_client.get(f"{PAGE}?month=2026-11")
    assert "Under way" not in page.content.decode()
    assert page.context["proved_count"] == 2
    assert "Day cube, row by row" in page.content.decode()
    fragment = alice_client.get(PAGE, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment


def test_differences_are_listed(acme: Organization, usage: None, alice_client: Client, queue: list[Any]) -> None:
    execute("UPDATE metering_usage_day SET output = output + 5 WHERE kind = 1 AND day = '2026-11-05'", acme)
    alice_client.post(f"{PAGE}prove/", {"month": "2026-11"})
    run_queued(queue)
    page = alice_client.get(f"{PAGE}?month=2026-11").content.decode()
    assert "1 month differs." in page
    assert "day 2026-11-05, model gpt-4o" in page
    with organization_scope(acme.id):
        assert [proof.is_proved for proof in Proof.objects.all()] == [False]


def test_nonsense_is_refused(acme: Organization, usage: None, alice_client: Client, queue: list[Any]) -> None:
    assert alice_client.post(f"{PAGE}prove/", {"month": "soon"}).status_code == 404
    assert queue == []
    assert alice_client.get(f"{PAGE}?month=soon").status_code == 200


def test_without_usage_there_is_nothing_to_prove(acme: Organization, alice_client: Client) -> None:
    assert "Nothing to prove yet" in alice_client.get(PAGE).content.decode()


def test_viewers_look_and_do_not_prove(acme: Organization, usage: None, vera_client: Client) -> None:
    page = vera_client.get(PAGE)
    assert page.status_code == 200
    assert "Prove now" not in page.content.decode()
    assert vera_client.post(f"{PAGE}prove/").status_code == 403
