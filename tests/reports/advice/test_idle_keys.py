"""Keys nobody uses: told with their last use and without a price."""

from __future__ import annotations

import datetime as dt

import pytest

from accounts.models import Organization
from core.tenancy import organization_scope
from reports.advice import kind_of
from reports.advice.records import evidence_of, keep
from reports.models import Insight
from tests.cast import make_key
from tests.reports.advice.waste import END, context_of, find

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)


def test_keys_that_work_and_were_not_used_for_sixty_days(acme: Organization, globex: Organization) -> None:
    old = END - 200 * DAY
    make_key(acme, name="used", created_at=old, last_used_at=END - 59 * DAY)
    idle = make_key(acme, name="idle", created_at=old, last_used_at=END - 61 * DAY).row
    make_key(acme, ["gateway"], name="never", created_at=END - 61 * DAY)
    make_key(acme, name="new", created_at=END - 59 * DAY)
    make_key(acme, name="revoked", created_at=old, revoked_at=END - DAY)
    make_key(acme, name="expired", created_at=old, expires_at=END - DAY)
    make_key(acme, name="expiring", created_at=old, expires_at=END + DAY)
    make_key(globex, name="theirs", created_at=old)
    found = {finding.title: finding for finding in find(acme, "idle_keys")}
    assert set(found) == {
        "Revoke the key idle, unused for 61 days",
        "Revoke the key never, unused for 61 days",
        "Revoke the key expiring, unused for 200 days",
    }
    (piece,) = found["Revoke the key idle, unused for 61 days"].pieces
    assert (piece.id, piece.at, piece.now_nanos, piece.would_nanos) == (idle.prefix, idle.last_used_at, None, None)
    never = found["Revoke the key never, unused for 61 days"]
    assert ("It may", "call models through the gateway") in never.terms
    assert "was never used" in never.text


def test_it_is_kept_without_savings_and_gone_once_revoked(acme: Organization) -> None:
    key = make_key(acme, name="idle", created_at=END - 200 * DAY).row
    with organization_scope(acme.pk):
        keep(context_of(acme), kind_of("idle_keys"))
        insight = Insight.objects.get()
        assert (insight.state, insight.low_nanos, insight.likely_nanos, insight.high_nanos) == (
            "open",
            None,
            None,
            None,
        )
        assert [piece.id for piece in evidence_of(insight)] == [key.prefix]
        type(key).objects.filter(pk=key.pk).update(revoked_at=END)
        keep(context_of(acme), kind_of("idle_keys"))
        assert Insight.objects.get().state == "gone"
