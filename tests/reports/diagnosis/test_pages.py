"""Asking for a diagnosis, watching it, reading it, and who may."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from core.tenancy import organization_scope, unscoped
from reports.diagnosis import missing, pages, run
from reports.models import Diagnosis, Symptom
from reports.tasks import diagnose, forget_diagnoses
from tests.cast import make_key, membership_of
from tests.metering.query.usage import make_event, write
from tests.reports.diagnosis.asked import asked

URL = "/o/acme/diagnosis/"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(pages, "enqueue", lambda _task, *arguments: sent.append(arguments))
    return sent


def ask(client: Client, **fields: Any) -> Any:
    today = now().date()
    days = {"first_day": today - dt.timedelta(days=6), "last_day": today}
    return client.post(URL, {"symptom": "missing", **days, **fields})


def test_asking_watching_and_reading(
    alice_client: Client, acme: Organization, queue: list[tuple[int, int]], charlie_client: Client
) -> None:
    write(acme.pk, [make_event("e", now() - dt.timedelta(hours=1), "odd-1")])
    response = ask(alice_client, symptom="cost", model="odd-1")
    address = response.headers["Location"]
    page = alice_client.get(address).content.decode()
    assert "0 of 8 looked at" in page
    assert 'hx-trigger="every 1s"' in page
    diagnose(*queue[0])
    fragment = alice_client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert "hx-get" not in fragment
    assert "1 call (100.0%) have no price" in fragment
    assert "Model odd-1" in alice_client.get(address).content.decode()
    assert address in alice_client.get(URL).content.decode()
    assert charlie_client.get(address).status_code == 404


def test_a_member_diagnoses_their_own_usage(
    bob_client: Client, alice_client: Client, vera_client: Client, acme: Organization, bob: User, alice: User,
    queue: list[tuple[int, int]],
) -> None:  # fmt: skip
    make_key(acme, name="Alices")
    own = make_key(acme, name="Bobs", member=membership_of(bob, acme)).row
    form = bob_client.get(URL).context["form"]
    with organization_scope(acme.pk):
        assert list(form.fields["api_key"].queryset) == [own]
    assert "member" not in form.fields
    address = ask(bob_client, member="999").headers["Location"]
    with organization_scope(acme.pk):
        diagnosis = Diagnosis.objects.get()
        assert (diagnosis.is_own, diagnosis.filters) == (True, {"member": [membership_of(bob, acme).pk]})
    diagnose(*queue[0])
    report = bob_client.get(address)
    checks = {finding.check for finding in report.context["findings"]}
    assert "imports" not in checks
    assert "quiet_keys" in checks
    assert vera_client.get(address).status_code == 200
    others = ask(alice_client).headers["Location"]
    assert bob_client.get(others).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"symptom": "nothing"},
        {"first_day": ""},
        {"first_day": "2026-13-01"},
        {"first_day": "2026-01-01", "last_day": "2026-12-01"},
        {"first_day": "2026-02-02", "last_day": "2026-02-01"},
        {"first_day": "0001-01-01", "last_day": "0001-01-02"},
        {"last_day": "9999-12-31", "first_day": "9999-12-30"},
        {"api_key": "999999"},
        {"member": "x"},
        {"model": "x" * 300},
    ],
)
def test_what_cannot_be_diagnosed_is_told(alice_client: Client, fields: dict[str, str], queue: list[Any]) -> None:
    assert ask(alice_client, **fields).status_code == 422
    assert queue == []


def test_few_are_under_way_at_once(alice_client: Client, queue: list[Any]) -> None:
    for _ in range(pages.MOST_AT_ONCE):
        assert ask(alice_client).status_code == 302
    assert "are under way" in ask(alice_client).content.decode()


def test_a_check_that_fails_says_so_and_the_others_go_on(
    acme: Organization, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quiet_keys(_: Any) -> Any:
        raise DatabaseError("away")

    checks = (run.Check(quiet_keys), run.Check(missing.refused))
    monkeypatch.setitem(run.CHECKS, Symptom.MISSING, checks)
    diagnosis = asked(acme, Symptom.MISSING)
    diagnose(acme.pk, diagnosis.pk)
    with organization_scope(acme.pk):
        diagnosis.refresh_from_db()
    assert [finding["state"] for finding in diagnosis.findings] == ["failed", "fine"]
    diagnose(acme.pk, diagnosis.pk)  # delivered twice, it is done once
    with organization_scope(acme.pk):
        assert Diagnosis.objects.get().finished_at == diagnosis.finished_at


def test_a_link_fills_the_form_in(alice_client: Client) -> None:
    form = alice_client.get(f"{URL}?symptom=totals&first_day=2026-11-01&last_day=2026-11-02&model=m").context["form"]
    assert (form["symptom"].value(), form["first_day"].value(), form["model"].value()) == ("totals", "2026-11-01", "m")


def test_old_ones_are_forgotten(acme: Organization, alice: User) -> None:
    old, new = asked(acme, Symptom.COST), asked(acme, Symptom.COST)
    with organization_scope(acme.pk):
        Diagnosis.objects.filter(pk=old.pk).update(created_at=now() - dt.timedelta(days=91))
    forget_diagnoses()
    with unscoped("test"):
        assert [one.pk for one in Diagnosis.objects.all()] == [new.pk]


def test_the_list_takes_as_many_queries_for_many(alice_client: Client, acme: Organization) -> None:
    def count() -> int:
        alice_client.get(URL)
        with CaptureQueriesContext(connection) as queries:
            assert alice_client.get(URL).status_code == 200
        return len(queries)

    asked(acme, Symptom.COST)
    before = count()
    for _ in range(10):
        asked(acme, Symptom.TOTALS)
    assert count() == before
