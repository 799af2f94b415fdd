from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Organization, User
from alerts.notices.sending import send_waiting
from alerts.tasks import spread_facts
from billing.dunning.course import course_of
from billing.models import (
    DunningFact,
    Invoice,
    InvoicePayment,
    StripeCustomer,
    StripeDispute,
    StripeEvent,
    StripeInvoice,
    TopUp,
    TopUpStatus,
)
from billing.providers.stripe import handlers, sending
from billing.providers.stripe.fake.events import signature
from billing.providers.stripe.schedule import collect_due
from billing.providers.stripe.tasks import process_event
from core.facts import Fact
from core.tenancy import unscoped

from .conftest import CARD, DECLINES_LATER, ISSUED

pytestmark = pytest.mark.django_db
EnterCard = Callable[..., str]


def post(payload: bytes, *, secret: str = "whsec_test", at: float | None = None, client: Client | None = None) -> int:
    signed = signature(secret, payload, int(at or time.time()))
    answer = (client or Client()).post(
        "/stripe/webhook", payload, "application/json", headers={"stripe-signature": signed}
    )
    return int(answer.status_code)


def told(api: stripe.StripeClient) -> list[bytes]:
    """Every event so far as Stripe sends it, oldest first."""
    found = [event.to_dict() for event in api.v1.events.list({"limit": 100}).data]
    return [json.dumps(event, default=str).encode() for event in reversed(found)]


def process_all() -> None:
    with unscoped("test"):
        waiting = list(StripeEvent.objects.filter(processed_at=None).values_list("pk", flat=True))
    for event in waiting:
        process_event(event)


def events(**wanted: Any) -> list[StripeEvent]:
    with unscoped("test"):
        return list(StripeEvent.objects.filter(**wanted))


# ── At the door ──


def test_only_what_stripe_signed_is_taken(connected: str, api: stripe.StripeClient) -> None:
    api.v1.customers.create({"name": "Somebody"})
    (payload,) = told(api)
    assert post(payload, secret="whsec_other") == 400
    assert post(payload, at=time.time() - 400) == 400
    assert Client().post("/stripe/webhook", payload, "application/json").status_code == 400
    assert post(b"{}") == 400
    assert post(b"no json") == 400
    assert events() == []
    assert post(payload, client=Client(enforce_csrf_checks=True)) == 200
    assert len(events()) == 1


def test_without_a_key_there_is_no_such_address() -> None:
    assert post(b"{}") == 404


def test_an_event_is_stored_once_and_of_unknown_kinds_too(connected: str, api: stripe.StripeClient) -> None:
    api.v1.customers.create({"name": "Somebody"})
    (payload,) = told(api)
    assert [post(payload) for _ in range(3)] == [200, 200, 200]
    (event,) = events()
    assert event.type == "customer.created"
    assert event.processed_at is None
    process_all()
    (event,) = events()
    assert event.processed_at is not None
    assert event.organization_id is None


# ── In any order, any number of times ──


@pytest.mark.parametrize("seed", range(4))
def test_events_in_any_order_and_again_come_to_the_same(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    api: stripe.StripeClient,
    seed: int,
) -> None:
    enter_card(DECLINES_LATER, is_adopted=False)
    enter_card(is_adopted=False)
    with unscoped("test"):
        customer = StripeCustomer.objects.get().stripe_id
    link = sending.at_stripe(invoice)
    bad, good = reversed([one.id for one in api.v1.payment_methods.list({"customer": customer, "type": "card"}).data])
    with pytest.raises(stripe.CardError):
        api.v1.invoices.pay(str(link.stripe_id), {"payment_method": bad})
    api.v1.invoices.pay(str(link.stripe_id), {"payment_method": good})
    charge = next(one for one in api.v1.charges.list().data if one.paid)
    api.v1.refunds.create({"charge": charge.id, "amount": 500})

    payloads = told(api) * 2
    random.Random(seed).shuffle(payloads)
    for payload in payloads:
        assert post(payload) == 200
        if seed % 2:
            process_all()
    process_all()
    assert events(processed_at=None) == []
    assert sorted(one.amount for one in InvoicePayment.objects.all()) == [-500, invoice.gross]
    assert course_of(invoice) is None
    assert all(one.organization_id == acme.pk for one in events(type="invoice.paid"))


def test_a_refusal_on_stripes_page_begins_dunning_once(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    link = sending.at_stripe(invoice)
    httpx.post(link.pay_url, data={**CARD, "number": DECLINES_LATER})
    for payload in told(api):
        post(payload)
    process_all()
    process_all()
    (fact,) = DunningFact.objects.all()
    assert (fact.kind, fact.attempt, fact.code) == ("refused", 1, "card_declined")
    httpx.post(link.pay_url, data=CARD)
    for payload in told(api):
        post(payload)
    process_all()
    assert InvoicePayment.objects.get().amount == invoice.gross
    assert course_of(invoice) is None


def test_the_card_follows_the_portal(
    acme: Organization, connected: str, enter_card: EnterCard, api: stripe.StripeClient
) -> None:
    enter_card()
    enter_card("5555 5555 5555 4444", is_adopted=False)
    with unscoped("test"):
        customer = StripeCustomer.objects.get()
    newest = api.v1.payment_methods.list({"customer": customer.stripe_id, "type": "card"}).data[0]
    api.v1.customers.update(customer.stripe_id, {"invoice_settings": {"default_payment_method": newest.id}})
    for payload in told(api):
        if json.loads(payload)["type"] == "customer.updated":
            post(payload)
    process_all()
    with unscoped("test"):
        assert StripeCustomer.objects.get().card_last4 == "4444"


def test_a_dispute_is_noted_and_lost_money_has_gone(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card("4000 0000 0000 0259")
    collect_due(acme, ISSUED)
    for payload in told(api):
        post(payload)
    process_all()
    noted = StripeDispute.objects.get()
    assert (noted.amount, noted.reason, noted.status) == (invoice.gross, "fraudulent", "needs_response")
    assert noted.invoice == invoice
    assert InvoicePayment.objects.count() == 1
    api.v1.disputes.close(noted.stripe_id)
    for payload in told(api):
        post(payload)
    process_all()
    assert StripeDispute.objects.get().status == "lost"
    assert [one.amount for one in InvoicePayment.objects.order_by("pk")] == [invoice.gross, -invoice.gross]


def test_a_dispute_is_told_once_and_shown(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    api: stripe.StripeClient,
    olga: User,
    alice: User,
    bob: User,
    fiona_client: Client,
    told_facts: list[Fact],
    mailoutbox: list[EmailMessage],
    django_capture_on_commit_callbacks: Any,
) -> None:
    enter_card("4000 0000 0000 0259")
    collect_due(acme, ISSUED)
    dispute = api.v1.disputes.list().data[0]
    payment = InvoicePayment.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            for payload in told(api):
                post(payload)
            process_all()
            api.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "a letter"}})
    spread_facts()
    send_waiting()
    letters = sorted((mail.to[0], mail.subject) for mail in mailoutbox if "dispute" in mail.subject)
    amount = f"{invoice.gross / 100:,.2f} USD"
    assert letters == [
        ("alice@acme.test", f"A payment of Acme is disputed: ${invoice.gross / 100:,.2f}"),
        ("fiona@acme.test", f"A payment of Acme is disputed: ${invoice.gross / 100:,.2f}"),
        (olga.email, f"Acme disputes a payment of {amount}"),
    ]
    to_operator = next(mail for mail in mailoutbox if mail.to == [olga.email])
    assert payment.source in to_operator.body
    assert "Answer it at Stripe until" in to_operator.body
    [fact] = [one for one in told_facts if one.kind == "payment.disputed"]
    assert (fact.data["number"], fact.data["reason"]) == (invoice.number, "fraudulent")
    page = " ".join(fiona_client.get(f"/o/acme/billing/invoices/{invoice.number}/").content.decode().split())
    assert "of it is disputed" in page
    assert "Fraudulent, under review" in page


def test_a_dispute_lost_before_its_payment_was_told(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card("4000 0000 0000 0259")
    link = sending.at_stripe(invoice)
    api.v1.invoices.pay(str(link.stripe_id))
    api.v1.disputes.close(api.v1.disputes.list().data[0].id)
    newest_first = sorted(told(api), key=lambda payload: "dispute" not in json.loads(payload)["type"])
    for payload in newest_first:
        post(payload)
    process_all()
    assert [one.amount for one in InvoicePayment.objects.order_by("pk")] == [invoice.gross, -invoice.gross]
    assert StripeDispute.objects.get().invoice == invoice


def test_a_top_up_whose_answer_was_lost_is_completed_by_its_event(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card()
    top_up = TopUp.objects.create(organization=acme, amount_nanos=10**10, due_at=ISSUED)
    with unscoped("test"):
        customer = StripeCustomer.objects.get()
    api.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "customer": customer.stripe_id, "payment_method": customer.method_id,
         "confirm": True, "off_session": True, "metadata": {"top_up": str(top_up.pk)}}
    )  # fmt: skip
    for payload in told(api) * 2:
        post(payload)
    process_all()
    assert TopUp.objects.get(pk=top_up.pk).status == TopUpStatus.PAID


# ── What fails ──


def test_one_that_fails_leaves_nothing_half_done_and_is_replayed(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    api: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    link = sending.at_stripe(invoice)
    httpx.post(link.pay_url, data=CARD)
    payload = next(one for one in told(api) if json.loads(one)["type"] == "invoice.paid")
    post(payload)

    def dies(invoice_id: str) -> int:
        handlers.invoice_changed(invoice_id)
        raise MemoryError("killed behind its work")

    with monkeypatch.context() as patched:
        patched.setitem(handlers.HANDLERS, "invoice.paid", dies)
        process_all()
        process_all()
    (event,) = events()
    assert (event.processed_at, event.attempts) == (None, 2)
    assert "killed behind its work" in event.error
    assert not InvoicePayment.objects.exists()
    with pytest.raises(CommandError):
        call_command("replay_stripe_events")
    call_command("replay_stripe_events", "--failed")
    assert f"{event.stripe_id} invoice.paid: processed" in capsys.readouterr().out
    call_command("replay_stripe_events", event.stripe_id)
    assert InvoicePayment.objects.get().amount == invoice.gross
    with pytest.raises(CommandError, match="evt_none"):
        call_command("replay_stripe_events", "evt_none")


def test_events_of_nobody_are_nobodys_to_see(
    acme: Organization, connected: str, api: stripe.StripeClient, in_acme: Organization
) -> None:
    api.v1.customers.create({"name": "Somebody"})
    post(told(api)[0])
    assert not StripeEvent.objects.exists()
    assert not StripeInvoice.objects.exists()
