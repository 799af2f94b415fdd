"""Who may send, how requests are answered that are no events, and what a warm process forgets."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.db import connection, transaction
from starlette.testclient import TestClient

from accounts import keys
from accounts.audit import Actor
from accounts.models import APIKey, Membership, Organization, Project, Scope, Team, TeamMembership, User
from core.tenancy import organization_scope
from metering.edge import App
from tests.cast import Key, make_key
from tests.metering.door import Door, as_database_owner, day_total, event, select, stored_ids

BY = Actor.of_command("test")


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def eventually(holds: Callable[[], Any], seconds: float = 3.0) -> bool:
    """Announcements travel by way of the database: soon, not now."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return False


def test_keys(door: Door, acme: Organization, acme_key: Key, new_key: Callable[..., Key]) -> None:
    assert code_of(door.send(event(), authorization="")) == (401, "missing_api_key")
    assert code_of(door.send(event(), authorization="Basic abc")) == (401, "missing_api_key")
    for secret in ("tl_unknown", "nonsense", "tl_" + "x" * 40, acme_key.secret[:-1] + "!", "é" * 43):
        response = door.send_raw("{}", authorization=f"Bearer {secret}".encode())
        assert code_of(response) == (401, "invalid_api_key"), secret
        assert response.headers["www-authenticate"] == "Bearer"
    assert code_of(door.send(event(), key=new_key(Scope.USAGE_READ, Scope.BILLING_READ))) == (403, "missing_scope")
    for good in (new_key(Scope.USAGE_WRITE), new_key(Scope.ADMIN)):
        assert door.send(event(), key=good).status_code == 200
    assert door.request("POST", "/v1/events", json=event(), headers={"x-api-key": acme_key.secret}).status_code == 200
    assert stored_ids(acme) == ["e1"]


def test_a_revoked_key_stops_at_once_in_a_warm_process(door: Door, acme: Organization, acme_key: Key) -> None:
    assert door.send(event("before")).status_code == 200
    assert door.send(event("warm")).status_code == 200
    with organization_scope(acme.id):
        keys.revoke_key(acme_key.row, by=BY)
    assert eventually(lambda: door.send(event("after")).status_code == 401, seconds=1)
    assert code_of(door.send(event("after"))) == (401, "revoked_api_key")
    assert "after" not in stored_ids(acme)[2:]


def test_a_key_ends_at_its_expiry_however_warm(door: Door, acme: Organization, new_key: Callable[..., Key]) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.2)
    key = new_key(Scope.USAGE_WRITE, expires_at=soon)
    assert door.send(event("alive"), key=key).status_code == 200
    time.sleep(max(0.0, (soon - dt.datetime.now(dt.UTC)).total_seconds()) + 0.05)
    assert code_of(door.send(event("dead"), key=key)) == (401, "expired_api_key")
    past = new_key(Scope.USAGE_WRITE, expires_at=soon)
    assert code_of(door.send(event("dead"), key=past)) == (401, "expired_api_key")


def test_changes_of_scope_and_expiry_are_heard(door: Door, acme: Organization, acme_key: Key) -> None:
    assert door.send(event()).status_code == 200
    with organization_scope(acme.id):
        APIKey.objects.filter(pk=acme_key.row.pk).update(scopes=[Scope.USAGE_READ])
    assert eventually(lambda: door.send(event()).status_code == 403)
    with organization_scope(acme.id):
        APIKey.objects.filter(pk=acme_key.row.pk).update(scopes=[Scope.USAGE_WRITE])
    assert eventually(lambda: door.send(event()).status_code == 200)


def test_names_made_a_moment_ago_are_known(door: Door, acme: Organization, engineering: Any, bob: User) -> None:
    assert door.send(event("e1", user="bob@acme.test")).status_code == 200
    assert code_of(door.send(event("e2", project="fresh"))) == (422, "unknown_project")
    with organization_scope(acme.id):
        team = Team.objects.create(organization=acme, name="Fresh", slug="fresh", department=engineering)
        project = Project.objects.create(organization=acme, name="Fresh", slug="fresh", team=team)
    assert eventually(lambda: door.send(event("e2", project="fresh")).status_code == 200)
    with organization_scope(acme.id):
        member = Membership.objects.get(user=bob)
        Membership.objects.filter(pk=member.pk).update(external_id="U-0815")
        TeamMembership.objects.filter(membership=member).update(team=team)
    time.sleep(0.2)
    assert door.send(event("e3", user="u-0815")).status_code == 200
    rows = select(
        acme, "SELECT event_id, project_id, team_id, department_id, member_id FROM metering_event ORDER BY event_id"
    )
    old_team = rows[0][2]
    assert old_team not in (0, team.id)
    assert rows == [
        ("e1", 0, old_team, engineering.id, member.id),
        ("e2", project.id, team.id, engineering.id, 0),
        ("e3", 0, team.id, engineering.id, member.id),
    ]


def test_an_announcement_that_nobody_heard_is_made_up_for(door: Door, acme: Organization, acme_key: Key) -> None:
    """The listener's connection is cut, and the key revoked while nobody listens."""
    assert door.send(event("before")).status_code == 200
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'"
    with as_database_owner() as owner, organization_scope(acme.id), transaction.atomic():
        assert owner.execute(cut, [settings.DATABASES["default"]["NAME"]]).fetchall() == [(True,)]
        keys.revoke_key(acme_key.row, by=BY)
    assert eventually(lambda: door.send(event("after")).status_code == 401, seconds=1)
    assert eventually(lambda: door.send(event("after")).status_code == 401, seconds=0.1)


def test_organizations_share_transactions_and_nothing_else(
    door: Door, acme: Organization, acme_key: Key, globex: Organization, globex_key: Key
) -> None:
    with organization_scope(globex.id):
        Project.objects.create(organization=globex, name="Secret", slug="secret")
        foreign = Membership.objects.values_list("user__email", flat=True).first()
    assert foreign is None
    assert door.send(event("same", feature="ours"), key=acme_key).json()["created"] == 1
    assert door.send(event("same", feature="theirs"), key=globex_key).json()["created"] == 1
    response = door.send(event("e2", project="secret"), key=acme_key)
    assert code_of(response) == (422, "unknown_project")
    assert door.send(event("e2", project="secret"), key=globex_key).status_code == 200
    # A correction does not reach another organization's event.
    response = door.send(event("fix", supersedes="e2"), key=acme_key)
    assert code_of(response) == (422, "unknown_event")
    assert stored_ids(acme) == ["same"]
    assert stored_ids(globex) == ["e2", "same"]
    assert day_total(acme)[0] == 1
    assert select(acme, "SELECT text FROM metering_label WHERE text IN ('ours', 'theirs')") == [("ours",)]


def test_methods_and_addresses(door: Door) -> None:
    response = door.request("GET", "/v1/events")
    assert code_of(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    assert response.headers["x-request-id"].startswith("req_")
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert code_of(door.request(method, "/v1/events")) == (405, "method_not_allowed")
    assert door.request("HEAD", "/v1/events").status_code == 405
    for path in ("/v1/events/", "/v1/nothing", "/"):
        response = door.request("POST", path, json=event(), follow_redirects=False)
        assert code_of(response) == (404, "not_found")


def test_an_idempotency_key_is_welcome_and_changes_nothing(door: Door, acme: Organization) -> None:
    for _ in range(2):
        response = door.send(event(), idempotency_key="k-1")
        assert response.status_code == 200
    assert response.json()["duplicates"] == 1
    assert door.send(event("e2"), idempotency_key="k-1").json()["created"] == 1


def test_a_partition_dropped_behind_its_back_is_made_again(door: Door, acme: Organization) -> None:
    late = event(occurred_at="2019-03-05T12:00:00Z")
    assert door.send(late).status_code == 200
    with as_database_owner() as owner:
        owner.execute("DROP TABLE metering_event_2019_03")
    assert door.send(late | {"id": "e2"}).json()["created"] == 1
    assert stored_ids(acme) == ["e2"]


@pytest.mark.django_db(transaction=True)
def test_two_processes_make_a_month_and_labels_at_once(
    acme: Organization, globex: Organization, acme_key: Key, globex_key: Key
) -> None:
    """Two edges, each with pools and memories of its own, see the same new things first at the same time."""
    second = make_key(acme)
    with TestClient(App()) as one, TestClient(App()) as other, ThreadPoolExecutor(8) as threads:
        doors = [Door(one, acme_key.secret), Door(other, second.secret), Door(other, globex_key.secret)]
        sent = [
            threads.submit(
                doors[n % 3].send,
                [event(f"{n}-{m}", occurred_at=f"2020-{1 + m:02}-10T12:00:00Z", feature=f"f{m}") for m in range(8)],
            )
            for n in range(9)
        ]
        assert {future.result().status_code for future in sent} == {200}
    assert len(stored_ids(acme)) == 48
    assert len(stored_ids(globex)) == 24
    labels = select(acme, "SELECT text, slot FROM metering_label WHERE kind = 9 ORDER BY slot")
    assert [slot for _, slot in labels] == list(range(1, 9)), "eight features, eight colors"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'metering_event_2020_0_' AND relkind = 'r'")
        assert cursor.fetchone() == (8,)
