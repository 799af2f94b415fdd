"""Who measures decides what was measured; and nothing that happened is lost to a full disk, a bad file or a guest."""

from __future__ import annotations

import datetime as dt
import os
import struct
import threading
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from accounts.models import Organization, Scope
from core.tenancy import unscoped
from metering import pipeline
from metering.directory import Directory
from metering.events import Usage, UsageEvent
from metering.gateway.spool import Debt, Spool
from metering.pipeline import Sender
from metering.pricing.book import PriceBook
from tests.metering.door import as_database_owner
from tests.metering.gateway.conftest import Edge, stored
from tests.metering.gateway.test_limits import CHAT, holds, limit
from tests.metering.gateway.test_spool import full_disk
from tests.metering.gateway.upstream import (
    Script,
    Upstream,
    chat_chunks,
    completion,
    events,
    stream,
    wait_for,
    whole,
)
from tests.metering.ingest.test_litellm import payload

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 90}
NOTHING = {"input": 0, "output": 0}
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def settler(edge: Edge) -> Any:
    application = edge._server.config.loaded_app
    while not hasattr(application, "_starlette"):
        application = application.app
    return application._starlette.state.gateway.settler


def counts(event: dict[str, Any]) -> tuple[int, int]:
    return event["input"] + event["cache_read"], event["output"]


def debt(organization: Organization, event_id: str, **fields: Any) -> Debt:
    event = UsageEvent(
        event_id=event_id, occurred_at=NOW, model="gpt-4o", usage=Usage(input=5), body_hash=uuid.uuid4().bytes
    )
    return Debt(organization.pk, Sender(is_gateway=True), event, **{"is_open": False} | fields)


def ledger() -> str:
    with as_database_owner() as connection:
        row = connection.execute("SELECT tokenledger_installation_id()").fetchone()
    assert row is not None
    return str(row[0])


def leave(root: Path, *debts: Debt) -> None:
    """What a process that was killed would."""
    spool = Spool(root / "gateway-spool")
    spool.open(ledger())
    spool.owe(*debts)
    os.close(spool._file)


# ── The gateway's ids ──


def begun(edge: Edge, meanwhile: Any) -> None:
    """A stream whose id is told before its end; `meanwhile` gets it."""
    with edge.client.stream("POST", CHAT, json=BODY | {"stream": True}) as response:
        meanwhile(response.headers["x-tokenledger-event"])
        response.read()


@pytest.mark.parametrize("is_capped", [False, True])
def test_a_client_does_not_take_the_id_of_its_call(
    edge: Edge, provider: Upstream, acme: Organization, is_capped: bool
) -> None:
    if is_capped:
        limit(acme, amount=100_000)
    provider.says(CHAT, stream(*events(*chat_chunks(500, 9_000)), pause=0.1))
    answers: list[httpx.Response] = []

    def report(event_id: str) -> None:
        answers.append(edge.post("/v1/events", {"id": event_id, "model": "gpt-4o", "usage": NOTHING}))
        answers.append(edge.post("/v1/events", {"id": f"{event_id}:settled", "model": "gpt-4o", "usage": NOTHING}))

    begun(edge, report)
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(422, "reserved_id")] * 2
    assert counts(edge.event()) == (500, 9_000)
    wait_for(lambda: holds(acme) == 0)


def test_a_client_is_not_admitted_under_the_id_of_its_call(
    edge: Edge, provider: Upstream, acme: Organization, new_key: Any
) -> None:
    edge.client.headers["authorization"] = f"Bearer {new_key(Scope.GATEWAY).secret}"
    provider.says(CHAT, stream(*events(*chat_chunks(500, 9_000)), pause=0.1))
    answers: list[int] = []

    def admit(event_id: str) -> None:
        asked = {"id": event_id, "model": "gpt-4o", "estimated_tokens": 0}
        refused = edge.post("/v1/admissions", asked)
        assert refused.json()["error"]["code"] == "reserved_id"
        answers.append(refused.status_code)
        answers.append(
            edge.post(f"/v1/admissions/{event_id}/settle", {"model": "gpt-4o", "usage": NOTHING}).status_code
        )

    begun(edge, admit)
    assert answers == [422, 404]
    assert counts(edge.event()) == (500, 9_000)


def test_another_door_does_not_take_it_either(edge: Edge, acme: Organization) -> None:
    answer = edge.post("/v1/litellm", payload(id="gw_1"))
    assert answer.json()["results"][0]["error"]["code"] == "reserved_id"
    assert stored(acme) == []


def test_only_who_administers_corrects_what_was_measured(
    edge: Edge, provider: Upstream, acme: Organization, new_key: Any
) -> None:
    provider.says(CHAT, whole(completion(500, 90)))
    edge.chat()
    measured = edge.event()["event_id"]
    correction = {"id": "fixed", "model": "gpt-4o", "usage": {"input": 7, "output": 7}, "supersedes": measured}

    def corrected_by(*scopes: Scope) -> httpx.Response:
        headers = {"authorization": f"Bearer {new_key(*scopes).secret}"}
        return edge.client.post("/v1/events", json=correction, headers=headers)

    refused = corrected_by(Scope.USAGE_WRITE)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "forbidden_correction")
    assert counts(edge.event()) == (500, 90)
    assert corrected_by(Scope.ADMIN).status_code == 200
    assert counts(edge.event()) == (7, 7)


def take(organization: Organization, event_id: str) -> None:
    """Somebody has an id that nobody should."""
    event = UsageEvent(
        event_id=event_id, occurred_at=NOW, model="gpt-4o", usage=Usage(input=1), body_hash=uuid.uuid4().bytes
    )
    sender = Sender(is_gateway=True)
    pipeline.record(Directory.load(organization.pk), PriceBook.load(), sender, [event], dt.datetime.now(dt.UTC))


@pytest.mark.parametrize("is_capped", [False, True])
def test_a_call_whose_id_is_taken_counts_even_so(
    edge: Edge, provider: Upstream, acme: Organization, is_capped: bool
) -> None:
    if is_capped:
        limit(acme, amount=100_000)
    provider.says(CHAT, stream(*events(*chat_chunks(500, 90)), pause=0.1))
    begun(edge, lambda event_id: take(acme, event_id))
    first, second = edge.events(2)
    assert [counts(first), counts(second)] == [(1, 0), (500, 90)]
    assert second["event_id"] == f"{first['event_id']}:settled"
    wait_for(lambda: holds(acme) == 0)
    wait_for(lambda: len(settler(edge)._spool) == 0)


def test_a_hold_stays_where_its_event_is_not_stored(edge: Edge, acme: Organization) -> None:
    limit(acme, amount=100_000)
    assert edge.post("/v1/admissions", {"id": "a", "model": "gpt-4o", "estimated_tokens": 50}).status_code == 200
    assert edge.post("/v1/events", {"id": "a", "model": "gpt-4o", "usage": NOTHING}).status_code == 200
    settled = edge.post("/v1/admissions/a/settle", {"model": "gpt-4o", "usage": {"input": 10, "output": 40}})
    assert (settled.status_code, settled.json()["error"]["code"]) == (409, "event_conflict")
    assert holds(acme) == 1


# ── What processes left behind ──


@pytest.fixture
def left_behind(transactional_db: None, acme: Organization, globex: Organization, tmp_path: Path) -> None:
    """Journals, in the order of their names: one of another version, one with a debt, one that cannot be read."""
    folder = tmp_path / "gateway-spool" / ledger()
    folder.mkdir(parents=True)
    record = msgspec.msgpack.encode({"type": "debt"})
    (folder / "0.journal").write_bytes(struct.pack("<II", len(record), zlib.crc32(record)) + record)
    leave(tmp_path, debt(acme, "gw_1"), debt(acme, "gw_2", is_open=True))
    (folder / "g.journal").mkdir()


def test_bad_journals_keep_nobody_from_settling(left_behind: None, edge: Edge, provider: Upstream) -> None:
    found = edge.events(2)
    assert [event["event_id"] for event in found] == ["gw_1", "gw_2"]
    provider.says(CHAT, whole(completion()))
    edge.chat()
    assert len(edge.events(3)) == 3
    assert not settler(edge)._tasks[1].done()


def test_what_was_owed_before_a_call_is_less_than_what_was_stored_of_it(
    transactional_db: None, acme: Organization, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    take(acme, "gw_1")
    leave(tmp_path, debt(acme, "gw_1", is_open=True))
    edge: Edge = request.getfixturevalue("edge")
    wait_for(lambda: settler(edge)._idle.is_set() and len(settler(edge)._spool) == 0)
    assert [event["event_id"] for event in stored(acme)] == ["gw_1"]


@pytest.fixture
def gone(transactional_db: None) -> Organization:
    with unscoped("a customer that leaves"):
        organization = Organization.objects.create(name="Gone", slug="gone", timezone="UTC", country="DE")
        number = organization.pk
        organization.delete()
    organization.pk = number
    return organization


def test_debts_of_an_organization_that_is_gone_are_dropped(
    gone: Organization, acme: Organization, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    leave(tmp_path, debt(gone, "gw_1"), debt(gone, "gw_2"), debt(acme, "gw_3"))
    edge: Edge = request.getfixturevalue("edge")
    assert edge.event()["event_id"] == "gw_3"
    wait_for(lambda: settler(edge)._idle.is_set() and len(settler(edge)._spool) == 0)
    began = time.monotonic()
    edge.stop()
    assert time.monotonic() - began < 5


# ── A disk that refuses ──


def test_under_a_hold_a_full_disk_stops_nothing(edge: Edge, provider: Upstream, acme: Organization) -> None:
    limit(acme, amount=100_000)
    provider.says(CHAT, whole(completion()))
    with full_disk():
        assert [edge.chat(max_tokens=90).status_code for _ in range(3)] == [200] * 3
        assert len(edge.events(3)) == 3
    wait_for(lambda: holds(acme) == 0)
    assert not settler(edge)._tasks[0].done()


def test_without_one_nothing_is_forwarded_that_would_leave_no_trace(
    edge: Edge, provider: Upstream, acme: Organization
) -> None:
    provider.says(CHAT, whole(completion()))
    with full_disk():
        refused = edge.chat()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage_unavailable")
        assert provider.asked == []
    time.sleep(1.1)
    assert edge.chat().status_code == 200
    assert len(edge.events(1)) == 1


def test_a_disk_that_fills_up_during_a_call_loses_nothing(edge: Edge, provider: Upstream, acme: Organization) -> None:
    provider.says(CHAT, Script(whole(completion()).chunks, wait=0.5))
    callers = [threading.Thread(target=edge.chat) for _ in range(3)]
    for caller in callers:
        caller.start()
    wait_for(lambda: len(provider.asked) == 3)
    with full_disk():
        for caller in callers:
            caller.join()
        assert [counts(event)[1] for event in edge.events(3)] == [7] * 3
    assert not settler(edge)._tasks[0].done()
    time.sleep(1.1)
    assert edge.chat().status_code == 200
    assert len(edge.events(4)) == 4
    wait_for(lambda: len(settler(edge)._spool) == 0)
