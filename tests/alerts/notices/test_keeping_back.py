"""What is kept back until it is wanted: quiet hours and digests."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.utils.timezone import now

from accounts.models import Organization, User
from alerts.models import Notice, Preference, Rhythm, Way
from alerts.notices import digest
from alerts.notices.sending import send_waiting
from core.tenancy import organization_scope
from tests.alerts.notices.messages import HOUR, has_timing, move, quiet_now, waiting
from tests.alerts.notices.telling import happen


def test_quiet_hours_keep_mail_back_and_not_the_inbox(acme: Organization, fiona: User) -> None:
    quiet_now(fiona, acme)
    happen(acme)
    assert send_waiting() == 0
    [row] = waiting(acme)
    assert now() < row.due_at <= now() + HOUR
    with organization_scope(acme.pk):
        assert Notice.objects.count() == 1
    move(acme, HOUR)
    assert send_waiting() == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("calls.suspended", {}),
        ("budget.threshold", {"threshold_percent": 95}),
        ("usage.anomaly", {"severity": "critical"}),
    ],
)
def test_what_is_urgent_comes_at_any_hour(acme: Organization, alice: User, kind: str, said: dict[str, Any]) -> None:
    quiet_now(alice, acme)
    happen(acme, kind, **said)
    assert send_waiting() == 1


@pytest.mark.parametrize("rhythm", [Rhythm.DAILY, Rhythm.WEEKLY])
def test_a_digest_is_one_e_mail_of_all(acme: Organization, fiona: User, rhythm: Rhythm) -> None:
    has_timing(fiona, acme, rhythm=rhythm)
    happen(acme, "invoice.finalized")
    happen(acme, "credits.low")
    assert send_waiting() == 0
    assert digest.due_members() == []
    longest = dt.timedelta(days=1 if rhythm == Rhythm.DAILY else 7, hours=1)
    assert all(now() < row.due_at <= now() + longest for row in waiting(acme))
    move(acme, longest)
    [(organization_id, member_id)] = digest.due_members()
    digest.send_digest(organization_id, member_id)
    digest.send_digest(organization_id, member_id)
    [sent] = mail.outbox
    assert sent.subject == "2 messages about Acme"
    for text in (str(sent.body), str(sent.alternatives[0][0])):
        assert "Invoice INV-2026-0042 of Acme: $1,433.36" in text
        assert "Credits of Acme are low: $9.81 left" in text
    assert "List-Unsubscribe" in sent.message()
    assert waiting(acme) == []


def test_what_is_urgent_is_no_digest_s(acme: Organization, fiona: User) -> None:
    has_timing(fiona, acme, rhythm=Rhythm.WEEKLY)
    happen(acme, "calls.suspended")
    assert send_waiting() == 1
    has_timing(fiona, acme, rhythm=Rhythm.URGENT)
    happen(acme, "payment.failed")
    happen(acme, "invoice.paid")
    assert send_waiting() == 1
    assert [sent.subject for sent in mail.outbox][1] == "INV-2026-0042 of Acme could not be paid"


@pytest.mark.parametrize(
    ("rhythm", "left", "sent"), [(Rhythm.EACH, 0, 1), (Rhythm.URGENT, 0, 0), (Rhythm.WEEKLY, 1, 0)]
)
def test_what_waits_follows_another_rhythm(
    acme: Organization, fiona: User, rhythm: Rhythm, left: int, sent: int
) -> None:
    has_timing(fiona, acme, rhythm=Rhythm.DAILY)
    happen(acme, "invoice.paid")
    has_timing(fiona, acme, rhythm=rhythm)
    assert send_waiting() == sent
    assert len(waiting(acme)) == left


def test_a_digest_leaves_out_what_was_turned_off(acme: Organization, fiona: User) -> None:
    member = has_timing(fiona, acme, rhythm=Rhythm.DAILY)
    happen(acme, "invoice.paid")
    with organization_scope(acme.pk):
        Preference.objects.create(organization=acme, member=member, kind="invoice.paid", way=Way.EMAIL, is_on=False)
    move(acme, 25 * HOUR)
    for organization_id, member_id in digest.due_members():
        digest.send_digest(organization_id, member_id)
    assert mail.outbox == []
    assert waiting(acme) == []


# ── Push ──
