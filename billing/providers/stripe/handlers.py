"""What each kind of event means. Every handler gets an id, reads what it names from Stripe, and returns whose it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import structlog
from django.utils.timezone import now

from billing.dunning import facts
from billing.dunning.course import attempts_of, course_of
from billing.invoices.payments import record_payment
from billing.models import StripeCustomer, StripeDispute, StripeInvoice
from billing.providers.stripe import customers, recording, top_ups
from billing.providers.stripe.connection import BY, connected
from core.periods import local_day
from core.tenancy import organization_scope

logger = structlog.get_logger(__name__)

# The organization's id, or None for what is none of ours.
Handler = Callable[[str], int | None]


def card_was_entered(session_id: str) -> int | None:
    organization = customers.adopt_card(session_id)
    return organization.pk if organization else None


def customer_changed(customer_id: str) -> int | None:
    organization = customers.read_card(customer_id)
    return organization.pk if organization else None


def invoice_changed(invoice_id: str) -> int | None:
    link = StripeInvoice.objects.select_related("invoice__organization").filter(stripe_id=invoice_id).first()
    if link is None:
        return None
    invoice, at = link.invoice, now()
    found = recording.read(invoice, link, at)
    with organization_scope(invoice.organization_id):
        is_new = course_of(invoice) is None
        attempt = attempts_of(invoice) + 1
    if found.status == "open" and found.attempted and found.amount_remaining and is_new:
        code, message = recording.refusal_of(found)
        facts.refused(invoice, attempt, code=code, message=message, pay_url=link.pay_url, at=at)
    return int(invoice.organization_id)


def charge_was_refunded(charge_id: str) -> int | None:
    charge = connected().v1.charges.retrieve(charge_id)
    payment = charge.payment_intent if isinstance(charge.payment_intent, str) else ""
    invoice = recording.invoice_of_payment(payment)
    if invoice is None:
        return _owner(charge.customer)
    recording.record_refunds(invoice, payment, now())
    return int(invoice.organization_id)


def dispute_changed(dispute_id: str) -> int | None:
    """It is noted; money that is lost by it has gone back."""
    dispute = connected().v1.disputes.retrieve(dispute_id, {"expand": ["charge"]})
    payment = dispute.payment_intent if isinstance(dispute.payment_intent, str) else ""
    invoice = recording.invoice_of_payment(payment)
    owner = invoice.organization_id if invoice else _owner(getattr(dispute.charge, "customer", None))
    if owner is None:
        return None
    values = {"amount": dispute.amount, "reason": dispute.reason, "status": dispute.status, "invoice": invoice}
    more = {
        "organization_id": owner,
        "payment_id": payment,
        "currency": dispute.currency.upper(),
        "opened_at": dt.datetime.fromtimestamp(dispute.created, dt.UTC),
    }
    with organization_scope(owner):
        StripeDispute.objects.update_or_create(
            stripe_id=dispute.id, defaults=values, create_defaults={**values, **more}
        )
    logger.warning("payment disputed", dispute=dispute.id, organization_id=owner, status=dispute.status)
    if dispute.status == "lost" and invoice is not None:
        today = local_day(now(), invoice.organization.zone)
        record_payment(
            invoice, -dispute.amount, received_on=today, method="disputed card payment", source=dispute.id, by=BY
        )
    return owner


def payment_changed(payment_id: str) -> int | None:
    top_up = top_ups.follow(connected().v1.payment_intents.retrieve(payment_id), now())
    return top_up.organization_id if top_up else None


def _owner(customer: object) -> int | None:
    found = StripeCustomer.objects.filter(stripe_id=customer).first() if isinstance(customer, str) else None
    return found.organization_id if found else None


HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": card_was_entered,
    "customer.updated": customer_changed,
    "invoice.paid": invoice_changed,
    "invoice.payment_failed": invoice_changed,
    "invoice.voided": invoice_changed,
    "charge.refunded": charge_was_refunded,
    "charge.dispute.created": dispute_changed,
    "charge.dispute.updated": dispute_changed,
    "charge.dispute.closed": dispute_changed,
    "payment_intent.succeeded": payment_changed,
}
