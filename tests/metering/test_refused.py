"""What the doors refuse is counted by key, day and reason; nobody's secrets are not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils.timezone import now
from starlette.testclient import TestClient

from accounts import keys
from accounts.audit import Actor
from accounts.models import Organization, Scope
from core.periods import quarter_start
from core.tenancy import organization_scope, unscoped
from metering import refused
from metering.edge import App
from metering.models import Refusal, RefusedQuarter
from metering.query.refusals import too_fast
from metering.refused import KEPT_DAYS
from metering.tasks import forget_refusals
from tests.cast import Key
from tests.metering.door import Door, event


def counted(organization: Organization) -> dict[tuple[int, str], int]:
    with organization_scope(organization.pk):
        return {(row.api_key_id, row.code): row.count for row in Refusal.objects.all()}


def test_refusals_are_counted_by_key_and_reason(
    transactional_db: None, acme: Organization, globex: Organization, acme_key: Key, new_key: Callable[..., Key]
) -> None:
    weak, ended = new_key(Scope.USAGE_READ), new_key(Scope.USAGE_WRITE)
    with organization_scope(acme.pk):
        keys.revoke_key(ended.row, by=Actor.of_command("test"))
    with TestClient(App()) as client:
        door = Door(client, acme_key.secret)
        assert door.send([event("e1"), event("e2", model=""), event("e3", model="")]).status_code == 207
        assert door.send([event("e1", usage={"prompt_tokens": 3, "completion_tokens": 1})]).status_code == 422
        assert door.send_raw("{").status_code == 400
        for _ in range(3):
            assert door.send(event(), key=ended).status_code == 401
        assert door.send(event(), key=weak).status_code == 403
        assert door.send(event(), authorization="Bearer tl_" + "x" * 40).status_code == 401
    # A stopping process writes what it has.
    told = counted(acme)
    assert told[ended.row.pk, "revoked_api_key"] == 3
    assert told[weak.row.pk, "missing_scope"] == 1
    assert told[acme_key.row.pk, "event_conflict"] == 1
    assert sum(count for (key, _), count in told.items() if key == acme_key.row.pk) == 4
    assert len(told) == 5
    assert counted(globex) == {}


def test_counts_of_several_writes_add_up_and_are_bounded(
    transactional_db: None, acme: Organization, acme_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "WRITE_SECONDS", 0.02)
    monkeypatch.setattr(refused, "MOST", 1)
    with TestClient(App()) as client:
        door = Door(client, acme_key.secret)
        for _ in range(4):
            door.send_raw("{")
    (count,) = counted(acme).values()
    assert count == 4


def test_what_comes_too_fast_is_counted_by_the_quarter_hour_too(
    transactional_db: None, acme: Organization, new_key: Callable[..., Key]
) -> None:
    hasty = new_key(Scope.USAGE_WRITE, Scope.GATEWAY, requests_per_minute=1)
    body = {"id": "a", "model": "gpt-4o", "estimated_tokens": 1}
    began = quarter_start(now())
    headers = {"authorization": f"Bearer {hasty.secret}"}
    with TestClient(App()) as client:
        sent = [client.post("/v1/admissions", json=body, headers=headers).status_code for _ in range(4)]
    assert sent.count(429) >= 2
    with organization_scope(acme.pk):
        rows = too_fast(began, now())
    assert {row.api_key for row in rows} == {hasty.row.pk}
    assert sum(row.count for row in rows) == counted(acme)[hasty.row.pk, "rate_limit_exceeded"] == sent.count(429)
    with organization_scope(acme.pk):
        RefusedQuarter.objects.update(quarter=began - dt.timedelta(days=KEPT_DAYS + 3))
    forget_refusals()
    with unscoped("test"):
        assert not RefusedQuarter.objects.exists()


@pytest.mark.django_db
def test_old_refusals_are_forgotten(acme: Organization, acme_key: Key) -> None:
    for days in (KEPT_DAYS - 1, KEPT_DAYS + 1):
        with organization_scope(acme.pk):
            at = now() - dt.timedelta(days=days)
            Refusal.objects.create(
                organization=acme, api_key_id=1, day=at.date(), code="x", count=1, last_at=at, message=""
            )
    forget_refusals()
    with unscoped("test"):
        assert Refusal.objects.count() == 1
