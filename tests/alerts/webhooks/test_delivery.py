"""From a fact to what a program receives: once, signed, again when it was not taken, and who is left alone when."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from standardwebhooks import Webhook as Verifier

from accounts.models import AuditEntry, Organization, User
from alerts import facts
from alerts.examples import EXAMPLES
from alerts.models import DeliveryState, Dispatch, ToldFact, Webhook, WebhookAttempt, WebhookDelivery
from alerts.webhooks import concluding, outbox, records, signing
from alerts.webhooks.claiming import claim, with_due
from alerts.webhooks.delivery import deliver
from alerts.webhooks.posting import Answer
from core.errors import ApiError
from core.facts import Fact, tell
from core.tenancy import organization_scope, unscoped
from tests.alerts.webhooks.conftest import BY, NewWebhook
from tests.alerts.webhooks.receiver import Receiver, Said

pytestmark = pytest.mark.django_db


def told(acme: Organization, kind: str = "key.created", key: str = "1", **fields: Any) -> ToldFact:
    """A fact that every channel has."""
    with organization_scope(acme.pk):
        tell(Fact(kind, acme.pk, key, EXAMPLES[kind], **fields))
        fact: ToldFact = ToldFact.objects.get(kind=kind, key=key)
    facts.spread(acme.pk, fact.pk)
    return fact


def deliveries(acme: Organization) -> list[WebhookDelivery]:
    with organization_scope(acme.pk):
        return list(WebhookDelivery.objects.order_by("pk"))


def make_due(acme: Organization) -> None:
    """As if the wait were over."""
    with organization_scope(acme.pk):
        WebhookDelivery.objects.update(due_at=dt.datetime.now(dt.UTC))
        Webhook.objects.filter(open_until__isnull=False).update(open_until=dt.datetime.now(dt.UTC))


def again(webhook: Webhook) -> Webhook:
    with organization_scope(webhook.organization_id):
        webhook.refresh_from_db()
    return webhook


def test_what_a_program_receives(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, secret = new_webhook(events=["key.created"])
    fact = told(acme)
    told(acme, "credits.low")
    deliver(acme.pk, webhook.pk)
    [got] = program.got
    said = Verifier(secret).verify(got.body, got.headers)
    data = dict(EXAMPLES["key.created"])
    page = data.pop("page")
    assert said == {
        "type": "key.created",
        "timestamp": f"{fact.happened_at:%Y-%m-%dT%H:%M:%SZ}",
        "organization": {"slug": "acme", "name": "Acme"},
        "url": f"http://testserver{page}",
        "data": data,
    }
    assert (got.headers["webhook-id"], got.headers["content-type"]) == (
        f"msg_{fact.public_id.hex}",
        "application/json",
    )
    [delivery] = deliveries(acme)
    assert (delivery.state, delivery.attempts_made, delivery.last_status) == ("delivered", 1, 200)
    with organization_scope(acme.pk):
        attempt = WebhookAttempt.objects.get()
    assert (attempt.answer, attempt.problem, attempt.sent_headers["webhook-id"]) == ("ok", "", program.ids[0])
    assert secret not in str(attempt.sent_headers)


def test_the_same_fact_spread_again_is_one_message(
    acme: Organization, program: Receiver, new_webhook: NewWebhook
) -> None:
    webhook, _ = new_webhook()
    fact = told(acme)
    with organization_scope(acme.pk):
        outbox.address(fact)
    deliver(acme.pk, webhook.pk)
    deliver(acme.pk, webhook.pk)
    assert len(program.got) == 1


def test_the_id_is_the_same_in_every_attempt(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, secret = new_webhook()
    program.answers = [Said(500), Said(503, {"Retry-After": "3600"}), Said(204, body=b"")]
    told(acme)
    again_in = deliver(acme.pk, webhook.pk)
    assert again_in is not None
    assert again_in <= 5.5, "the task that sends comes again by itself"
    make_due(acme)
    assert with_due_now() == [(acme.pk, webhook.pk)]
    deliver(acme.pk, webhook.pk)
    [delivery] = deliveries(acme)
    assert (delivery.state, delivery.last_problem) == ("waiting", "It answered 503.")
    assert delivery.due_at - dt.datetime.now(dt.UTC) > dt.timedelta(minutes=59)
    make_due(acme)
    deliver(acme.pk, webhook.pk)
    assert len(set(program.ids)) == 1
    assert len(program.ids) == 3
    assert [delivery.state for delivery in deliveries(acme)] == ["delivered"]
    assert again(webhook).failing_since is None
    for got in program.got:
        Verifier(secret).verify(got.body, got.headers)


def with_due_now() -> list[tuple[int, int]]:
    with unscoped("test"):
        return with_due(dt.datetime.now(dt.UTC))


def test_it_is_given_up_after_the_last_attempt(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, _ = new_webhook()
    program.answers = [Said(500)]
    told(acme)
    for _ in range(12):
        make_due(acme)
        deliver(acme.pk, webhook.pk)
    [delivery] = deliveries(acme)
    assert (delivery.state, delivery.attempts_made, len(program.got)) == ("failed", 10, 10)
    program.answers = [Said()]
    with organization_scope(acme.pk):
        delivery.webhook.open_until = None
        delivery.webhook.save()
        outbox.replay(delivery, by=BY)
    deliver(acme.pk, webhook.pk)
    assert len(set(program.ids)) == 1
    [delivery] = deliveries(acme)
    assert (delivery.state, delivery.attempts_made) == ("delivered", 11)


def test_while_a_secret_is_rotated_both_sign(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, former = new_webhook()
    with organization_scope(acme.pk):
        secret = records.rotate(webhook, by=BY, overlap=dt.timedelta(hours=1))
    told(acme)
    deliver(acme.pk, webhook.pk)
    with organization_scope(acme.pk):
        Webhook.objects.update(former_until=dt.datetime.now(dt.UTC))
    told(acme, key="2")
    deliver(acme.pk, webhook.pk)
    during, after = program.got
    Verifier(secret).verify(during.body, during.headers)
    Verifier(former).verify(during.body, during.headers)
    Verifier(secret).verify(after.body, after.headers)
    assert " " not in after.headers["webhook-signature"]


# ── Whom to leave alone ──


def test_after_failures_in_a_row_one_probes_for_all(
    acme: Organization, program: Receiver, new_webhook: NewWebhook
) -> None:
    webhook, _ = new_webhook()
    program.answers = [Said(500)]
    for number in range(12):
        told(acme, key=str(number))
    deliver(acme.pk, webhook.pk)
    # Those that were under way when the circuit opened are let finish.
    assert concluding.OPENS_AFTER <= len(program.got) < 12
    sent = len(program.got)
    assert deliver(acme.pk, webhook.pk) is None
    assert len(program.got) == sent
    make_due(acme)
    deliver(acme.pk, webhook.pk)
    assert len(program.got) == sent + 1
    first = again(webhook).open_until
    program.answers = [Said()]
    make_due(acme)
    deliver(acme.pk, webhook.pk)
    assert first is not None
    assert again(webhook).open_until is None
    assert {delivery.state for delivery in deliveries(acme)} == {"delivered"}


def test_a_few_at_once(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, _ = new_webhook()
    program.answers = [Said(waits=0.05)]
    for number in range(9):
        told(acme, key=str(number))
    deliver(acme.pk, webhook.pk)
    assert len(program.got) == 9
    assert program.most_at_once <= 4


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_message_once(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, _ = new_webhook()
    for number in range(8):
        told(acme, key=str(number))
    program.answers = [Said(waits=0.02)]

    def work() -> None:
        deliver(acme.pk, webhook.pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(program.ids) == sorted(set(program.ids))
    assert len(program.ids) == 8
    assert program.most_at_once <= 4


def test_what_a_killed_worker_had_is_sent_when_its_claim_runs_out(
    acme: Organization, program: Receiver, new_webhook: NewWebhook
) -> None:
    webhook, _ = new_webhook()
    told(acme)
    at = dt.datetime.now(dt.UTC)
    [lost] = claim(acme.pk, webhook.pk, at)
    assert deliver(acme.pk, webhook.pk) is None
    assert program.got == []
    with organization_scope(acme.pk):
        WebhookDelivery.objects.update(claimed_until=F("claimed_until") - dt.timedelta(minutes=2))
    deliver(acme.pk, webhook.pk)
    assert len(program.got) == 1
    # The killed one was not dead: what it says of a claim that is no longer its own is not written down.
    assert concluding.conclude(acme.pk, lost, {}, at, Answer(1, problem="x")) is None
    [delivery] = deliveries(acme)
    assert (delivery.state, delivery.attempts_made) == ("delivered", 1)


def test_days_of_failure_disable_it_and_are_told(
    acme: Organization, program: Receiver, new_webhook: NewWebhook, told_facts: list[Fact]
) -> None:
    webhook, _ = new_webhook(events=["key.created"])
    program.answers = [Said(500)]
    told(acme)
    deliver(acme.pk, webhook.pk)
    with organization_scope(acme.pk):
        Webhook.objects.update(failing_since=F("failing_since") - dt.timedelta(days=4, hours=23))
    make_due(acme)
    deliver(acme.pk, webhook.pk)
    assert again(webhook).disabled_at is None
    with organization_scope(acme.pk):
        Webhook.objects.update(failing_since=F("failing_since") - dt.timedelta(hours=1))
    make_due(acme)
    deliver(acme.pk, webhook.pk)
    assert again(webhook).disabled_by == "failing"
    fact = told_facts[-1]
    assert (fact.kind, fact.data["reason"], fact.data["last_problem"]) == (
        "webhook.disabled",
        "failing",
        "It answered 500.",
    )
    with organization_scope(acme.pk):
        assert AuditEntry.objects.filter(action="webhook.disable", target="webhook").count() == 1
    told(acme, key="while it is disabled")
    assert [delivery.state for delivery in deliveries(acme)] == ["waiting"]
    make_due(acme)
    assert with_due_now() == []
    program.answers = [Said()]
    with organization_scope(acme.pk):
        records.enable(again(webhook), by=BY)
        assert outbox.replay_since(webhook, dt.datetime.now(dt.UTC) - dt.timedelta(hours=1), by=BY) == 2
    deliver(acme.pk, webhook.pk)
    assert [delivery.state for delivery in deliveries(acme)] == ["delivered"] * 2


def test_who_runs_the_organization_gets_an_e_mail(
    acme: Organization, program: Receiver, new_webhook: NewWebhook, alice: User, adam: User, bob: User
) -> None:
    webhook, _ = new_webhook(events=["key.created"])
    program.answers = [Said(410)]
    told(acme)
    deliver(acme.pk, webhook.pk)
    with organization_scope(acme.pk):
        fact = ToldFact.objects.get(kind="webhook.disabled")
        facts.spread(acme.pk, fact.pk)
        mails = Dispatch.objects.filter(fact=fact, channel="email").values_list("member__user__email", flat=True)
        assert sorted(mails) == [adam.email, alice.email]


def test_gone_is_gone(acme: Organization, program: Receiver, new_webhook: NewWebhook, told_facts: list[Fact]) -> None:
    webhook, _ = new_webhook()
    program.answers = [Said(410)]
    told(acme)
    deliver(acme.pk, webhook.pk)
    assert again(webhook).disabled_by == "gone"
    assert told_facts[-1].data["reason"] == "gone"
    assert [delivery.state for delivery in deliveries(acme)] == ["failed"]


def test_replaying_a_range_is_of_what_was_not_taken_unless_all_of_it_is_wanted(
    acme: Organization, program: Receiver, new_webhook: NewWebhook
) -> None:
    webhook, _ = new_webhook(events=["key.created"])
    at = dt.datetime.now(dt.UTC)
    for number in range(3):
        told(acme, key=str(number), happened_at=at - dt.timedelta(hours=3 - number))
        deliver(acme.pk, webhook.pk)
    told(acme, "credits.low")
    since = at - dt.timedelta(hours=2, minutes=30)
    with organization_scope(acme.pk):
        assert outbox.replay_since(webhook, since, by=BY) == 0
        assert outbox.replay_since(webhook, since, by=BY, with_delivered=True) == 2
        assert outbox.replay_since(webhook, since, by=BY, until=at - dt.timedelta(minutes=90), with_delivered=True) == 1
    deliver(acme.pk, webhook.pk)
    assert sorted(program.ids[3:]) == sorted(program.ids[1:3])
    for begin, end in ((at + dt.timedelta(days=1), None), (at - dt.timedelta(days=31), None), (since, since)):
        with organization_scope(acme.pk), pytest.raises(ApiError) as refused:
            outbox.replay_since(webhook, begin, by=BY, until=end)
        assert refused.value.status == 422


def test_a_test_message_is_tried_once(acme: Organization, program: Receiver, new_webhook: NewWebhook) -> None:
    webhook, secret = new_webhook(events=["invoice.paid"])
    program.answers = [Said(500), Said()]
    with organization_scope(acme.pk):
        outbox.send_test(webhook, by=BY)
    deliver(acme.pk, webhook.pk)
    [delivery] = deliveries(acme)
    assert (delivery.kind, delivery.state, delivery.attempts_made) == ("webhook.test", DeliveryState.FAILED, 1)
    [got] = program.got
    assert Verifier(secret).verify(got.body, got.headers)["data"] == {"webhook": webhook.pk, "asked_by": BY.label}
    assert json.loads(got.body)["url"].endswith(f"/o/acme/settings/webhooks/{webhook.pk}/")


def test_a_webhook_removed_while_it_is_sent_to(acme: Organization, new_webhook: NewWebhook) -> None:
    webhook, _ = new_webhook()
    told(acme)
    at = dt.datetime.now(dt.UTC)
    [one] = claim(acme.pk, webhook.pk, at)
    with organization_scope(acme.pk):
        records.remove(webhook, by=BY)
    assert concluding.conclude(acme.pk, one, {}, at, Answer(1, 200)) is None


def test_a_secret_that_nothing_opens_is_said(
    acme: Organization, program: Receiver, new_webhook: NewWebhook, settings: Any
) -> None:
    webhook, _ = new_webhook()
    told(acme)
    settings.SECRET_KEY = "another"
    deliver(acme.pk, webhook.pk)
    assert program.got == []
    assert deliveries(acme)[0].last_problem == "Its secret cannot be read any more: rotate it."


def test_what_is_old_is_forgotten(acme: Organization, new_webhook: NewWebhook) -> None:
    new_webhook()
    told(acme)
    told(acme, key="2")
    with organization_scope(acme.pk):
        old = WebhookDelivery.objects.order_by("pk").first()
        assert old is not None
        WebhookDelivery.objects.filter(pk=old.pk).update(created_at=F("created_at") - dt.timedelta(days=31))
    with unscoped("test"):
        outbox.forget_old()
    assert len(deliveries(acme)) == 1


def test_secrets_are_encrypted_anew(
    acme: Organization, new_webhook: NewWebhook, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook, secret = new_webhook()
    with organization_scope(acme.pk):
        records.rotate(webhook, by=BY)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next one"
    call_command("renew_webhook_secrets")
    assert capsys.readouterr().out == "1 encrypted anew.\n"
    settings.SECRET_KEY_FALLBACKS = []
    assert signing.secrets_of(again(webhook), dt.datetime.now(dt.UTC))[1] == secret
    settings.SECRET_KEY = "one that opens none"
    with pytest.raises(CommandError, match=r"127\.0\.0\.1"):
        call_command("renew_webhook_secrets")
