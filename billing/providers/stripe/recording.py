"""What Stripe says was paid and given back, recorded for our invoices; each once, whoever asks and how often."""

from __future__ import annotations

import datetime as dt

import stripe
import structlog

from billing.dunning import facts
from billing.invoices.payments import paid_amount, record_payment
from billing.models import Invoice, InvoicePayment, StripeDispute, StripeInvoice
from billing.providers.stripe.connection import BY, connected
from core.errors import ApiError
from core.periods import local_day
from core.tenancy import organization_scope

logger = structlog.get_logger(__name__)

NO_REASON = "The bank gave no reason."
_PAYMENTS = "payments.data.payment.payment_intent"


def read(invoice: Invoice, link: StripeInvoice, at: dt.datetime) -> stripe.Invoice:
    """Record what was paid at Stripe, then tell Stripe what was paid elsewhere. Returns the invoice as it was there."""
    api = connected()
    found = api.v1.invoices.retrieve(str(link.stripe_id), {"expand": [_PAYMENTS]})
    for payment in found.payments.data if found.payments else ():
        intent = payment.payment.payment_intent
        if payment.status == "paid" and isinstance(intent, stripe.PaymentIntent):
            _record(api, invoice, intent, int(payment.amount_paid or 0), at)
    with organization_scope(invoice.organization_id):
        due = 0 if invoice.credit_notes.exists() else invoice.gross - paid_amount(invoice)
    if found.status == "open" and due < found.amount_remaining:
        _tell_paid_elsewhere(api, link, due, found.amount_remaining - due)
    if found.status == "paid" and not link.is_paid:
        # Behind what was paid, so that what is due from now on is due again.
        link.is_paid = True
        with organization_scope(invoice.organization_id):
            StripeInvoice.objects.filter(pk=link.pk).update(is_paid=True)
    facts.recover(invoice, at=at)
    return found


def card_payments(found: stripe.Invoice) -> list[str]:
    """Stripe's ids of what cards paid of an invoice, as `read` found it."""
    paid = [payment for payment in found.payments.data if payment.status == "paid"] if found.payments else []
    intents = [payment.payment.payment_intent for payment in paid]
    return [intent.id for intent in intents if isinstance(intent, stripe.PaymentIntent)]


def credit_what_went_back(link: StripeInvoice) -> stripe.Invoice:
    """A credit note at Stripe for money that went back without one: what is due again is not billed twice there.

    Returns the paid invoice as it is then. Again changes nothing.
    """
    api = connected()
    found = api.v1.invoices.retrieve(str(link.stripe_id), {"expand": [_PAYMENTS]})
    gone = sum(_gone(api, payment, link.organization_id) for payment in card_payments(found))
    missing = min(gone, found.amount_paid) - found.post_payment_credit_notes_amount
    if missing <= 0:
        return found
    api.v1.credit_notes.create(
        {
            "invoice": str(link.stripe_id),
            "amount": missing,
            "out_of_band_amount": missing,
            "memo": "The payment went back",
        },
        {"idempotency_key": f"{link.key}-went-back-{gone}"},
    )
    return api.v1.invoices.retrieve(str(link.stripe_id), {"expand": [_PAYMENTS]})


def refusal_of(found: stripe.Invoice) -> tuple[str, str]:
    """Why the last attempt was refused, as `read` found it: Stripe's code, and words for people."""
    intents = [payment.payment.payment_intent for payment in found.payments.data] if found.payments else []
    last = intents[-1] if intents else None
    error = last.last_payment_error if isinstance(last, stripe.PaymentIntent) else None
    return (error.code or "" if error else "", (error.message if error else None) or NO_REASON)


def record_refunds(invoice: Invoice, payment_id: str, at: dt.datetime) -> None:
    """Money that went back to the card, whoever gave it back."""
    for refund in connected().v1.refunds.list({"payment_intent": payment_id, "limit": 100}).auto_paging_iter():
        if refund.status == "succeeded":
            record_payment(
                invoice,
                -refund.amount,
                received_on=_day(invoice, refund.created, at),
                method="refund to card",
                source=refund.id,
                by=BY,
            )


def record_disputes(invoice: Invoice, payment_id: str, at: dt.datetime) -> None:
    """Money that went back because the cardholder's bank decided so."""
    with organization_scope(invoice.organization_id):
        disputes = StripeDispute.objects.filter(payment_id=payment_id)
        disputes.filter(invoice=None).update(invoice=invoice)
        lost = list(disputes.filter(status="lost").order_by("opened_at"))
    for dispute in lost:
        record_payment(
            invoice,
            -dispute.amount,
            received_on=local_day(at, invoice.organization.zone),
            method="disputed card payment",
            source=dispute.stripe_id,
            by=BY,
        )


def invoice_of_payment(payment_id: str) -> Invoice | None:
    """The invoice that a payment of Stripe's was recorded for. Sees every organization's: needs `unscoped`."""
    payment = (
        InvoicePayment.objects.select_related("invoice__organization").filter(source=payment_id, amount__gt=0).first()
    )
    return payment.invoice if payment else None


def _gone(api: stripe.StripeClient, payment_id: str, organization_id: int) -> int:
    """What went back of a payment, in minor units: refunded, or lost in a dispute."""
    refunds = api.v1.refunds.list({"payment_intent": payment_id, "limit": 100}).auto_paging_iter()
    refunded = sum(refund.amount for refund in refunds if refund.status == "succeeded")
    with organization_scope(organization_id):
        lost = StripeDispute.objects.filter(payment_id=payment_id, status="lost").values_list("amount", flat=True)
        return int(refunded + sum(lost))


def _record(
    api: stripe.StripeClient, invoice: Invoice, intent: stripe.PaymentIntent, amount: int, at: dt.datetime
) -> None:
    with organization_scope(invoice.organization_id):
        if InvoicePayment.objects.filter(source=intent.id).exists():
            return
    try:
        record_payment(
            invoice,
            amount,
            received_on=_day(invoice, intent.created, at),
            method=_card_words(api, intent),
            source=intent.id,
            by=BY,
        )
    except ApiError as surplus:
        if surplus.code not in ("nothing_due", "invalid_parameter"):
            raise
        # It came by another way at the same time, or was taken back: what nobody owes goes back to the card.
        logger.warning("card payment given back", payment=intent.id, invoice=invoice.number, reason=surplus.message)
        api.v1.refunds.create({"payment_intent": intent.id}, {"idempotency_key": f"surplus-{intent.id}"})
        return
    # A refund or dispute may be told before the payment that it is of.
    record_refunds(invoice, intent.id, at)
    record_disputes(invoice, intent.id, at)


def _card_words(api: stripe.StripeClient, intent: stripe.PaymentIntent) -> str:
    method = intent.payment_method
    found = api.v1.payment_methods.retrieve(method) if isinstance(method, str) else method
    card = found.card if found else None
    return f"{card.brand.capitalize()} card ending {card.last4}" if card else "Stripe"


def _tell_paid_elsewhere(api: stripe.StripeClient, link: StripeInvoice, due: int, difference: int) -> None:
    """So that Stripe's page asks nobody for what came by transfer."""
    if due <= 0:
        api.v1.invoices.pay(
            str(link.stripe_id), {"paid_out_of_band": True}, {"idempotency_key": f"{link.key}-paid-elsewhere"}
        )
        return
    api.v1.credit_notes.create(
        {"invoice": str(link.stripe_id), "amount": difference, "memo": "Paid by other means"},
        {"idempotency_key": f"{link.key}-elsewhere-{due}"},
    )


def _day(invoice: Invoice, seconds: int, at: dt.datetime) -> dt.date:
    """Stripe's clock may be ahead of ours, and no payment comes on a day to come."""
    happened = min(dt.datetime.fromtimestamp(seconds, dt.UTC), at)
    return local_day(happened, invoice.organization.zone)
