"""Money that went back is due again: asked for by another invoice at Stripe, with its own page and its own course."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import httpx
import pytest
import stripe
from django.test import Client

from accounts.models import Organization
from billing.dunning.course import course_of
from billing.invoices.crediting import take_back
from billing.invoices.payments import Standing, paid_amount, standing_of
from billing.models import DunningFact, Invoice, StripeInvoice
from billing.providers.stripe import refunding
from billing.providers.stripe.schedule import collect_due
from billing.providers.stripe.tasks import follow_invoice
from billing.views.dunning import pay_url_of
from tests.billing.invoices.selling import BY

from .conftest import CARD, DECLINES_LATER, ISSUED
from .test_inbox import post, process_all, told

pytestmark = pytest.mark.django_db
EnterCard = Callable[..., str]
DISPUTED = "4000 0000 0000 0259"


def hear(api: stripe.StripeClient) -> None:
    for payload in told(api):
        post(payload)
    process_all()


def lose(api: stripe.StripeClient) -> None:
    """The dispute that is open."""
    hear(api)
    (dispute,) = [one for one in api.v1.disputes.list().data if one.status == "needs_response"]
    api.v1.disputes.close(dispute.id)
    hear(api)


def again(invoice: Invoice) -> Invoice:
    return Invoice.objects.select_related("organization").get(pk=invoice.pk)


def at_stripe(api: stripe.StripeClient) -> list[stripe.Invoice]:
    return [api.v1.invoices.retrieve(str(link.stripe_id)) for link in StripeInvoice.objects.order_by("pk")]


def billed_at_stripe(api: stripe.StripeClient) -> int:
    """What all of them ask for, less what was credited there."""
    return sum(
        one.total - one.post_payment_credit_notes_amount - one.pre_payment_credit_notes_amount for one in at_stripe(api)
    )


def kept_at_stripe(api: stripe.StripeClient) -> int:
    """Charged, less what went back."""
    charges = [one for one in api.v1.charges.list({"limit": 100}).data if one.paid]
    lost = sum(one.amount for one in api.v1.disputes.list().data if one.status == "lost")
    return sum(one.amount - one.amount_refunded for one in charges) - lost


def test_a_lost_dispute_is_collected_again(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    api: stripe.StripeClient,
    fiona_client: Client,
) -> None:
    enter_card(DISPUTED)
    collect_due(acme, ISSUED)
    lose(api)
    assert standing_of(again(invoice), ISSUED.date()) is Standing.OPEN
    assert pay_url_of(again(invoice)) == "", "the page of what was paid asks for nothing"
    enter_card(DECLINES_LATER)
    for day in range(16):
        for hours in (0, 1):
            collect_due(acme, ISSUED + dt.timedelta(days=day, hours=hours))
    kinds = list(DunningFact.objects.order_by("pk").values_list("kind", "attempt"))
    assert kinds == [*(("refused", attempt) for attempt in range(1, 6)), ("suspended", 5)]
    first, second = at_stripe(api)
    assert (first.status, second.status, second.amount_remaining) == ("paid", "open", invoice.gross)
    assert first.number != second.number
    page = pay_url_of(again(invoice))
    assert page == second.hosted_invoice_url
    assert page in fiona_client.get(f"/o/acme/billing/invoices/{invoice.number}/").content.decode()
    httpx.post(page, data=CARD)
    hear(api)
    assert standing_of(again(invoice), ISSUED.date()) is Standing.PAID
    assert course_of(invoice) is None
    assert billed_at_stripe(api) == kept_at_stripe(api) == paid_amount(invoice) == invoice.gross
    collect_due(acme, ISSUED + dt.timedelta(days=20))
    assert len(at_stripe(api)) == 2


def test_without_a_card_there_is_a_page_to_pay_at(
    acme: Organization, connected: str, invoice: Invoice, api: stripe.StripeClient
) -> None:
    collect_due(acme, ISSUED)
    httpx.post(pay_url_of(again(invoice)), data={**CARD, "number": DISPUTED})
    lose(api)
    follow_invoice(acme.pk, invoice.pk)
    httpx.post(pay_url_of(again(invoice)), data={**CARD, "number": DISPUTED})
    lose(api)
    follow_invoice(acme.pk, invoice.pk)
    httpx.post(pay_url_of(again(invoice)), data=CARD)
    hear(api)
    assert [one.status for one in at_stripe(api)] == ["paid"] * 3
    assert billed_at_stripe(api) == kept_at_stripe(api) == paid_amount(invoice) == invoice.gross


def test_a_partial_refund_is_due_again(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card()
    collect_due(acme, ISSUED)
    api.v1.refunds.create({"charge": api.v1.charges.list().data[0].id, "amount": 500})
    hear(api)
    for _ in range(2):
        collect_due(acme, ISSUED)
    assert [one.total for one in at_stripe(api)] == [invoice.gross, 500]
    assert [one.amount for one in api.v1.charges.list().data] == [500, invoice.gross]
    assert billed_at_stripe(api) == kept_at_stripe(api) == paid_amount(invoice) == invoice.gross


def test_what_is_interrupted_goes_on_from_there(
    acme: Organization,
    connected: str,
    enter_card: EnterCard,
    invoice: Invoice,
    api: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter_card()
    collect_due(acme, ISSUED)
    api.v1.refunds.create({"charge": api.v1.charges.list().data[0].id, "amount": 500})
    hear(api)
    for name in ("create", "add_lines", "finalize_invoice", "pay"):
        original = getattr(stripe.InvoiceService, name)

        def act(*args: object, original: Callable[..., object] = original, **kwargs: object) -> object:
            original(*args, **kwargs)
            raise stripe.APIConnectionError("the line went dead")

        with monkeypatch.context() as patched:
            patched.setattr(stripe.InvoiceService, name, act)
            with pytest.raises(stripe.APIConnectionError):
                collect_due(acme, ISSUED)
    collect_due(acme, ISSUED)
    assert [one.amount for one in api.v1.charges.list().data] == [500, invoice.gross]
    assert len(api.v1.invoices.list().data) == 2
    assert paid_amount(invoice) == invoice.gross


def test_taken_back_after_it_was_paid_again(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    """What a dispute took has gone: only the second payment is refunded."""
    enter_card(DISPUTED)
    collect_due(acme, ISSUED)
    lose(api)
    enter_card()
    collect_due(acme, ISSUED)
    note = take_back(again(invoice), reason="Wrong plan", by=BY, at=ISSUED)
    for _ in range(2):
        refunding.refund(note, ISSUED)
    assert [one.amount for one in api.v1.refunds.list().data] == [invoice.gross]
    assert billed_at_stripe(api) == kept_at_stripe(api) == paid_amount(invoice) == 0


def test_taken_back_before_it_was_paid_again(
    acme: Organization, connected: str, enter_card: EnterCard, invoice: Invoice, api: stripe.StripeClient
) -> None:
    enter_card(DISPUTED)
    collect_due(acme, ISSUED)
    lose(api)
    enter_card(DECLINES_LATER)
    collect_due(acme, ISSUED)
    note = take_back(again(invoice), reason="", by=BY, at=ISSUED)
    refunding.refund(note, ISSUED)
    assert [one.status for one in at_stripe(api)] == ["paid", "void"]
    assert api.v1.refunds.list().data == []
