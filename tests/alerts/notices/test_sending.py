"""From a fact to what arrives: once each, when it is wanted, whoever is killed in between."""

from __future__ import annotations

import datetime as dt
import smtplib
import threading
from collections.abc import Iterator
from email.message import Message
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.test import Client
from django.utils.timezone import now
from pytest_django.fixtures import Settings

from accounts.models import Membership, Organization, User
from alerts.examples import EXAMPLES
from alerts.letters import LETTERS, letter_of
from alerts.models import Dispatch, Notice, Preference, PushDevice, Rhythm, ToldFact, Way
from alerts.notices import digest
from alerts.notices.hours import set_timing
from alerts.notices.sending import MOST_ATTEMPTS, forget_old, send_one, send_waiting
from alerts.tasks import spread_facts
from core.facts import Fact, tell
from core.tenancy import organization_scope
from tests.alerts.notices.telling import happen
from tests.alerts.push_service import PushService, push_service
from tests.cast import membership_of

HOUR = dt.timedelta(hours=1)


def waiting(acme: Organization) -> list[Dispatch]:
    with organization_scope(acme.pk):
        return list(Dispatch.objects.filter(sent_at=None, given_up_at=None).order_by("pk"))


def rows(acme: Organization) -> list[Dispatch]:
    with organization_scope(acme.pk):
        return list(Dispatch.objects.order_by("pk"))


def move(acme: Organization, by: dt.timedelta) -> None:
    """As if so much time had passed for what waits."""
    with organization_scope(acme.pk):
        for row in Dispatch.objects.filter(sent_at=None, given_up_at=None):
            Dispatch.objects.filter(pk=row.pk).update(due_at=row.due_at - by)


def has_timing(user: User, acme: Organization, **values: Any) -> Membership:
    member = membership_of(user, acme)
    with organization_scope(acme.pk):
        set_timing(member, values)
    return member


def quiet_now(user: User, acme: Organization) -> Membership:
    """From an hour ago to an hour from now."""
    clock = now().astimezone(acme.zone).replace(second=0, microsecond=0)
    return has_timing(user, acme, quiet_from=(clock - HOUR).time(), quiet_until=(clock + HOUR).time())


# ── What a message says ──


@pytest.mark.parametrize("kind", LETTERS)
def test_words_of_every_kind(acme: Organization, kind: str) -> None:
    fact = ToldFact(organization=acme, kind=kind, key="1", data=EXAMPLES[kind], scope="organization", happened_at=now())
    letter = letter_of(fact, acme)
    for text in (letter.subject, letter.lead, *letter.text, *(word for row in letter.table for word in row)):
        assert text.strip() == text != ""
        assert "None" not in text
        assert "  " not in text
    assert letter.path == EXAMPLES[kind]["page"]
    assert "\n" not in letter.subject


def test_a_budget_s_threshold_says_amounts_pace_and_end(acme: Organization) -> None:
    said = {
        **EXAMPLES["budget.threshold"], "amount_usd": "25", "actual_usd": "18.75", "used_percent": 75.0,
        "threshold_percent": 75, "threshold_name": "warning", "passed_percent": 60.0,
    }  # fmt: skip
    fact = ToldFact(organization=acme, kind="budget.threshold", data=said, happened_at=now())
    letter = letter_of(fact, acme)
    assert letter.subject == "Support has reached 75% of its budget: $18.75 of $25.00"
    table = dict(letter.table)
    assert table["Time passed"] == "60%"
    # Eighteen of thirty days for three quarters: all of it after twenty-four.
    assert table["Used up at this pace"] == "Wed 25 Nov 2026"
    assert table["By model"] == "gpt-4o: $301.50"
    assert (letter.tone, letter.is_urgent) == ("warning", False)


def test_a_budget_of_tokens_that_is_used_up(acme: Organization) -> None:
    said = {
        **EXAMPLES["budget.threshold"], "amount_usd": None, "actual_usd": None, "amount_tokens": 2_000_000,
        "actual_tokens": 2_100_000, "used_percent": 105.0, "threshold_percent": 100, "threshold_name": "used up",
        "is_exceeded": True, "is_hard": True, "about": {"scope": "organization", "of": None, "label": None},
    }  # fmt: skip
    letter = letter_of(ToldFact(organization=acme, kind="budget.threshold", data=said, happened_at=now()), acme)
    assert letter.subject == "Acme has used up its budget: 2,100,000 of 2,000,000 tokens"
    assert dict(letter.table)["Used up at this pace"] == "It is used up"
    assert letter.text == (
        "The limit is hard: gateway calls that it counts are refused until the period ends or it is raised.",
    )
    assert (letter.tone, letter.is_urgent) == ("critical", True)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"model": "gpt-4o"}, " for gpt-4o"),
        ({"model": "gpt-4o", "feature": "summaries"}, " for gpt-4o and summaries"),
        ({"budget": {"id": 4, "name": "Launch"}, "model": "gpt-4o"}, " “Launch”"),
    ],
)
def test_a_budget_s_title_says_which_it_is(acme: Organization, said: dict[str, Any], words: str) -> None:
    data = {**EXAMPLES["budget.threshold"], **said}
    letter = letter_of(ToldFact(organization=acme, kind="budget.threshold", data=data, happened_at=now()), acme)
    assert letter.subject == f"Support has reached 90% of its budget{words}: $409.70 of $450.00"


@pytest.mark.parametrize(
    ("finding", "begins"),
    [
        ("unusual", "Unusual usage of r6: "),
        ("new_model", "New model: r6, "),
        ("new_key", "New key: r6, "),
        ("dormant_key", "Key in use again: r6, "),
        ("unusual_hours", "Unusual hours: r6, "),
        ("model_switched", "Model switched: r6, "),
    ],
)
def test_what_is_unusual_says_what_it_is(acme: Organization, finding: str, begins: str) -> None:
    about = {"scope": "api_key", "of": "tl_r6", "label": "r6"}
    data = {**EXAMPLES["usage.anomaly"], "about": about, "finding": finding, "unit": "requests", "actual": "160"}
    letter = letter_of(ToldFact(organization=acme, kind="usage.anomaly", data=data, happened_at=now()), acme)
    assert letter.subject == f"{begins}160 requests"


def test_of_a_budget_s_thresholds_reached_at_once_people_hear_the_highest(acme: Organization, fiona: User) -> None:
    happen(acme, key="90", is_highest=False)
    highest = happen(acme, key="95", threshold_percent=95)
    assert {(row.fact_id, row.channel) for row in rows(acme)} == {(highest.pk, "email")}
    with organization_scope(acme.pk):
        assert [notice.fact_id for notice in Notice.objects.all()] == [highest.pk]


# ── E-mail ──


def test_an_e_mail_has_both_parts_and_what_unsubscribes_by_one_click(acme: Organization, fiona: User) -> None:
    happen(acme, "budget.threshold")
    assert send_waiting() == 1
    [sent] = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    assert sent.to == [fiona.email]
    assert sent.subject == "Support has reached 90% of its budget: $409.70 of $450.00"
    message: Message = sent.message()
    [row] = rows(acme)
    assert message["Message-ID"] == f"<{row.public_id}@testserver>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Unsubscribe"].startswith("<http://testserver/unsubscribe/")
    assert [part.get_content_type() for part in message.walk()][1:] == ["text/plain", "text/html"]
    for text in (str(sent.body), str(sent.alternatives[0][0])):
        assert "$409.70" in text
        assert "http://testserver/o/northbound/budgets/" in text
        assert "http://testserver/o/acme/notifications/" in text
        assert message["List-Unsubscribe"].strip("<>") in text


def test_names_are_escaped_in_html_and_plain_in_text(acme: Organization, fiona: User) -> None:
    happen(acme, budget={"id": 1, "name": "<b>A & B</b>"})
    send_waiting()
    [sent] = mail.outbox
    assert sent.subject.startswith("Support has reached 90% of its budget “<b>A & B</b>”")
    assert "“&lt;b&gt;A &amp; B&lt;/b&gt;”" in str(sent.alternatives[0][0])


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


@pytest.fixture
def service(settings: Settings) -> Iterator[PushService]:
    settings.PUSH_ALLOW_PRIVATE_SERVICES = True
    with push_service() as service:
        yield service


def subscribed(client: Client, service: PushService, name: str) -> None:
    body = service.subscription(name)
    assert client.post("/accounts/notifications/subscribe/", body, content_type="application/json").status_code == 201


def test_every_device_of_who_is_told(
    acme: Organization, fiona_client: Client, bob_client: Client, service: PushService
) -> None:
    subscribed(fiona_client, service, "phone")
    subscribed(fiona_client, service, "desk")
    subscribed(bob_client, service, "bobs")
    happen(acme)
    # One e-mail, two devices.
    assert send_waiting() == 3
    assert len(service.received) == 2
    content = service.received[0]
    assert content["title"] == "Support has reached 90% of its budget: $409.70 of $450.00"
    assert content["url"] == "/o/northbound/budgets/"
    assert content["tag"] == "budget.threshold:organization:0"


def test_a_device_in_trouble_and_one_that_is_gone(
    acme: Organization, fiona_client: Client, fiona: User, service: PushService
) -> None:
    subscribed(fiona_client, service, "phone")
    service.answers = [(503, {"Retry-After": "120"}), (410, {})]
    happen(acme)
    send_waiting()
    [row] = waiting(acme)
    assert dt.timedelta(seconds=100) < row.due_at - now() < dt.timedelta(seconds=125)
    assert PushDevice.objects.get().problem == "Its push service answered 503."
    move(acme, HOUR)
    send_waiting()
    assert not PushDevice.objects.exists()
    assert waiting(acme) == []
