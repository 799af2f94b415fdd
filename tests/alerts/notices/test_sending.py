"""From a fact to what arrives: once each, whoever is killed in between."""

from __future__ import annotations

import datetime as dt
import smtplib
import threading
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.utils.timezone import now

from accounts.models import Membership, Organization, User
from alerts.examples import EXAMPLES
from alerts.letters import LETTERS
from alerts.models import Dispatch, Notice
from alerts.notices.sending import MOST_ATTEMPTS, forget_old, send_one, send_waiting
from alerts.tasks import spread_facts
from core.facts import Fact, tell
from core.tenancy import organization_scope
from tests.alerts.notices.messages import HOUR, move, rows, waiting
from tests.alerts.notices.telling import happen


def test_of_a_budget_s_thresholds_reached_at_once_people_hear_the_highest(acme: Organization, fiona: User) -> None:
    happen(acme, key="90", is_highest=False)
    highest = happen(acme, key="95", threshold_percent=95)
    assert {(row.fact_id, row.channel) for row in rows(acme)} == {(highest.pk, "email")}
    with organization_scope(acme.pk):
        assert [notice.fact_id for notice in Notice.objects.all()] == [highest.pk]


# ── E-mail ──


def test_each_is_told_once_whoever_looks_how_often(acme: Organization, alice: User, adam: User, fiona: User) -> None:
    happen(acme)
    spread_facts()
    assert send_waiting() == 3
    assert send_waiting() == 0
    assert [sent.to[0] for sent in mail.outbox] == [alice.email, adam.email, fiona.email]
    with organization_scope(acme.pk):
        assert Notice.objects.count() == 3


def test_thresholds_come_in_their_order(acme: Organization, fiona: User) -> None:
    for percent in (75, 90, 95):
        happen(acme, key=str(percent), threshold_percent=percent, used_percent=float(percent))
    send_waiting()
    assert ["75%" in m.subject for m in mail.outbox] == [True, False, False]
    assert "95%" in mail.outbox[2].subject


def test_a_mail_server_that_is_away_is_tried_again_with_the_same_id(
    acme: Organization, fiona: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(acme)
    with monkeypatch.context() as away:
        away.setattr(EmailMultiAlternatives, "send", _raising(ConnectionRefusedError()))
        assert send_waiting() == 1
        assert send_waiting() == 0
    [row] = waiting(acme)
    assert (row.attempts, row.problem) == (1, "The mail server cannot be used (ConnectionRefusedError).")
    assert row.due_at > now()
    move(acme, HOUR)
    assert send_waiting() == 1
    [sent] = mail.outbox
    assert str(row.public_id) in sent.message()["Message-ID"]
    assert rows(acme)[0].problem == ""


@pytest.mark.parametrize(("code", "is_over"), [(550, True), (451, False)])
def test_an_address_that_is_refused(
    acme: Organization, fiona: User, monkeypatch: pytest.MonkeyPatch, code: int, is_over: bool
) -> None:
    happen(acme)
    refused = smtplib.SMTPRecipientsRefused({fiona.email: (code, b"no")})
    monkeypatch.setattr(EmailMultiAlternatives, "send", _raising(refused))
    send_waiting()
    assert (rows(acme)[0].given_up_at is not None) is is_over


def test_it_is_given_up_at_last(acme: Organization, fiona: User, monkeypatch: pytest.MonkeyPatch) -> None:
    happen(acme)
    monkeypatch.setattr(EmailMultiAlternatives, "send", _raising(TimeoutError()))
    for _ in range(MOST_ATTEMPTS):
        move(acme, 2 * HOUR)
        assert send_waiting() == 1
    assert waiting(acme) == []


def _raising(error: Exception) -> Any:
    def send(*args: Any, **kwargs: Any) -> None:
        raise error

    return send


def test_a_defect_of_ours_is_logged_and_tried_again(
    acme: Organization, fiona: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(acme)
    monkeypatch.setitem(LETTERS, "budget.threshold", _raising(ZeroDivisionError()))
    send_waiting()
    [row] = waiting(acme)
    assert row.problem == "It could not be made (ZeroDivisionError)."


@pytest.mark.django_db(transaction=True)
def test_who_is_killed_while_sending_leaves_the_row_to_others(
    acme: Organization, fiona: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(acme)
    [row] = rows(acme)
    handed_over = threading.Event()
    go_on = threading.Event()
    send = EmailMultiAlternatives.send

    def slow(message: EmailMultiAlternatives, *args: Any, **kwargs: Any) -> int:
        send(message, *args, **kwargs)
        handed_over.set()
        go_on.wait(30)
        # The process ends here: what was handed over is not written down.
        raise SystemExit

    def first() -> None:
        with pytest.raises(SystemExit):
            send_one(acme.pk, row.pk)
        connection.close()

    monkeypatch.setattr(EmailMultiAlternatives, "send", slow)
    thread = threading.Thread(target=first)
    thread.start()
    assert handed_over.wait(30)
    # While it is being sent nobody else sends it.
    assert send_waiting() == 1
    assert len(mail.outbox) == 1
    go_on.set()
    thread.join()
    monkeypatch.setattr(EmailMultiAlternatives, "send", send)
    assert send_waiting() == 1
    assert waiting(acme) == []
    first_id, second_id = (sent.message()["Message-ID"] for sent in mail.outbox)
    assert first_id == second_id


def test_what_was_sent_long_ago_is_forgotten(acme: Organization, alice: User, fiona: User) -> None:
    happen(acme)
    first, _ = rows(acme)
    send_one(acme.pk, first.pk)
    assert forget_old() == 0
    with organization_scope(acme.pk):
        Dispatch.objects.filter(pk=first.pk).update(sent_at=now() - dt.timedelta(days=91))
        Dispatch.objects.exclude(pk=first.pk).update(due_at=now() - dt.timedelta(days=91))
    assert forget_old() == 1
    assert len(waiting(acme)) == 1


def test_a_fact_that_was_rolled_back_sends_nothing(acme: Organization, fiona: User) -> None:
    with organization_scope(acme.pk), transaction.atomic():
        tell(Fact("budget.threshold", acme.pk, "1", EXAMPLES["budget.threshold"]))
        transaction.set_rollback(True)
    spread_facts()
    assert rows(acme) == []


def test_who_left_meanwhile_is_not_told(acme: Organization, fiona: User) -> None:
    happen(acme)
    with organization_scope(acme.pk):
        Membership.objects.filter(user=fiona).update(ended_at=now())
    send_waiting()
    assert mail.outbox == []
    assert rows(acme)[0].problem == "Not a member any more."


def test_tenants_are_told_of_their_own(acme: Organization, globex: Organization, fiona: User, charlie: User) -> None:
    happen(acme)
    happen(globex)
    send_waiting()
    assert sorted(sent.to[0] for sent in mail.outbox) == [charlie.email, fiona.email]
    with organization_scope(acme.pk):
        assert {notice.member.user_id for notice in Notice.objects.select_related("member")} == {fiona.pk}
        assert Dispatch.objects.count() == 1


# ── When ──
