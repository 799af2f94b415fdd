"""An invoice that was taken back, at Stripe: a draft goes, an open one is void, a paid one is refunded."""

from __future__ import annotations

import datetime as dt

from billing.models import Invoice, StripeInvoice
from billing.providers.stripe import recording
from billing.providers.stripe.connection import connected
from core.tenancy import organization_scope


def refund(note: Invoice, at: dt.datetime) -> None:
    """Follow a credit note of ours. Nothing where the invoice never was at Stripe; again changes nothing."""
    invoice = note.corrects
    if invoice is None:
        raise ValueError(f"{note.number} is no credit note")
    with organization_scope(note.organization_id):
        links = list(StripeInvoice.objects.filter(invoice=invoice).exclude(stripe_id=None).order_by("pk"))
    for link in links:
        _take_back(note, invoice, link, at)


def _take_back(note: Invoice, invoice: Invoice, link: StripeInvoice, at: dt.datetime) -> None:
    api = connected()
    found = api.v1.invoices.retrieve(str(link.stripe_id))
    if found.status == "draft":
        api.v1.invoices.delete(str(link.stripe_id))
    elif found.status == "open":
        api.v1.invoices.void_invoice(str(link.stripe_id), {}, {"idempotency_key": f"{link.key}-void"})
    elif found.status == "paid":
        _give_back(note, invoice, link, at)


def _give_back(note: Invoice, invoice: Invoice, link: StripeInvoice, at: dt.datetime) -> None:
    """All that a card paid, as far as it did not go back before."""
    api = connected()
    by_card = recording.card_payments(recording.read(invoice, link, at))
    if not by_card:
        return
    found = recording.credit_what_went_back(link)
    left = found.amount_paid - found.post_payment_credit_notes_amount
    if left > 0:
        api.v1.credit_notes.create(
            {
                "invoice": str(link.stripe_id),
                "amount": left,
                "refund_amount": left,
                "memo": note.reason or f"Credit note {note.number}",
                "metadata": {"credit_note": note.number},
            },
            {"idempotency_key": f"{link.key}-refund-{note.number}"},
        )
    for payment in by_card:
        recording.record_refunds(invoice, payment, at)
