"""What each kind of event means. Every handler gets an id, reads what it names from Stripe, and returns whose it is."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.timezone import now

from billing.dunning import facts
from billing.dunning.course import attempts_of, course_of
from billing.models import StripeCustomer, StripeInvoice
from billing.providers.stripe import customers, disputes, recording, subscriptions, top_ups
from billing.providers.stripe.connection import connected
from core.tenancy import organization_scope

# The organization's id, or None for what is none of ours.
Handler = Callable[[str], int | None]


def checkout_was_completed(session_id: str) -> int | None:
    """A card was entered, or credits were paid for."""
    organization = customers.adopt_card(session_id)
    return organization.pk if organization else checkout_has_ended(session_id)


def checkout_has_ended(session_id: str) -> int | None:
    top_up = top_ups.follow_checkout(session_id, now())
    return top_up.organization_id if top_up else None


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
    top_up = top_ups.of_payment(payment)
    if top_up is not None:
        top_ups.record_returns(top_up, now())
        return int(top_up.organization_id)
    if invoice is None:
        return _owner(charge.customer)
    recording.record_refunds(invoice, payment, now())
    return int(invoice.organization_id)


def payment_changed(payment_id: str) -> int | None:
    top_up = top_ups.follow(connected().v1.payment_intents.retrieve(payment_id), now())
    return top_up.organization_id if top_up else None


def _owner(customer: object) -> int | None:
    found = StripeCustomer.objects.filter(stripe_id=customer).first() if isinstance(customer, str) else None
    return found.organization_id if found else None


HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": checkout_was_completed,
    "checkout.session.expired": checkout_has_ended,
    "customer.subscription.created": subscriptions.follow,
    "customer.subscription.deleted": subscriptions.follow,
    "customer.subscription.updated": subscriptions.follow,
    "customer.updated": customer_changed,
    "invoice.paid": invoice_changed,
    "invoice.payment_failed": invoice_changed,
    "invoice.voided": invoice_changed,
    "charge.refunded": charge_was_refunded,
    "charge.dispute.created": disputes.follow,
    "charge.dispute.updated": disputes.follow,
    "charge.dispute.closed": disputes.follow,
    "payment_intent.succeeded": payment_changed,
}
