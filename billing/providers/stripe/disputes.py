"""A payment that a cardholder's bank questions: noted, told once, and gone back when it is lost."""

from __future__ import annotations

import datetime as dt

import stripe
import structlog
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Organization, User
from billing.invoices.telling import money
from billing.models import Invoice, StripeCustomer, StripeDispute
from billing.providers.stripe import recording, top_ups
from billing.providers.stripe.connection import connected
from core import emails
from core.facts import Fact, moment, tell
from core.tenancy import organization_scope

logger = structlog.get_logger(__name__)


def follow(dispute_id: str) -> int | None:
    """Note a dispute as it stands at Stripe; the first time it is told. Returns whose it is, None where nobody's.

    Needs `unscoped`.
    """
    found = connected().v1.disputes.retrieve(dispute_id, {"expand": ["charge"]})
    payment = found.payment_intent if isinstance(found.payment_intent, str) else ""
    invoice = recording.invoice_of_payment(payment)
    owner = invoice.organization_id if invoice else _owner(getattr(found.charge, "customer", None))
    if owner is None:
        return None
    values = {"amount": found.amount, "reason": found.reason, "status": found.status, "invoice": invoice}
    more = {
        "organization_id": owner,
        "payment_id": payment,
        "currency": found.currency.upper(),
        "opened_at": dt.datetime.fromtimestamp(found.created, dt.UTC),
    }
    with organization_scope(owner):
        dispute, is_new = StripeDispute.objects.update_or_create(
            stripe_id=found.id, defaults=values, create_defaults={**values, **more}
        )
        if is_new:
            _tell(dispute, invoice, found)
    logger.warning("payment disputed", dispute=found.id, organization_id=owner, status=found.status)
    if invoice is not None:
        recording.record_disputes(invoice, payment, now())
    top_up = top_ups.of_payment(payment)
    if top_up is not None:
        top_ups.record_returns(top_up, now())
    return owner


def _owner(customer: object) -> int | None:
    found = StripeCustomer.objects.filter(stripe_id=customer).first() if isinstance(customer, str) else None
    return found.organization_id if found else None


def _tell(dispute: StripeDispute, invoice: Invoice | None, found: stripe.Dispute) -> None:
    """A fact, for those who may ask their bank to drop it; a letter to operators, who answer it."""
    organization = Organization.objects.get(pk=dispute.organization_id)
    due_by = found.evidence_details.due_by if found.evidence_details else None
    page = (
        reverse("billing:invoice", args=[organization.slug, invoice.number])
        if invoice
        else reverse("billing:plan", args=[organization.slug])
    )
    tell(
        Fact(
            "payment.disputed",
            organization.pk,
            key=dispute.stripe_id,
            data={
                "page": page,
                "number": invoice.number if invoice else None,
                "currency": dispute.currency,
                "amount": money(dispute.amount),
                "reason": dispute.reason,
                "status": dispute.status,
                "answer_until": moment(dt.datetime.fromtimestamp(due_by, dt.UTC)) if due_by else None,
            },
        )
    )
    context = {
        "organization": organization,
        "invoice": invoice,
        "amount": f"{dispute.amount / 100:,.2f} {dispute.currency}",
        "reason": dispute.reason.replace("_", " "),
        "payment": dispute.payment_id,
        "answer_by": dt.datetime.fromtimestamp(due_by, dt.UTC) if due_by else None,
        "operator_url": emails.absolute(reverse("operator:organization", args=[organization.slug])),
    }
    for address in User.objects.filter(is_operator=True, is_active=True).order_by("pk").values_list("email", flat=True):
        emails.send("payment_disputed_operator", address, context)
