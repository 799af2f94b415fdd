"""Our invoices paid at Stripe with the default card.

Ours is the source; Stripe's is read for one thing, what was paid. Whatever is interrupted is done again: each call has
its idempotency key, and every payment, refund and refusal is recorded once.
"""

from __future__ import annotations

import datetime as dt

import stripe

from billing.dunning import facts
from billing.dunning.course import attempts_of, course_of
from billing.invoices.payments import Standing, paid_amount, standing_of
from billing.models import Invoice, InvoiceKind, StripeCustomer, StripeInvoice
from billing.providers.stripe import recording
from billing.providers.stripe.connection import connected
from billing.providers.stripe.sending import at_stripe
from core.periods import local_day
from core.tenancy import organization_scope

# What Stripe takes at least.
SMALLEST_AMOUNT = 50
NO_CARD = "no_card"


def is_collectable(invoice: Invoice, at: dt.datetime) -> bool:
    """Whether a card can be charged for it. Needs the organization's scope."""
    standing = standing_of(invoice, local_day(at, invoice.organization.zone))
    return standing in (Standing.OPEN, Standing.OVERDUE) and invoice.gross - paid_amount(invoice) >= SMALLEST_AMOUNT


def collect(invoice: Invoice, at: dt.datetime) -> None:
    """Bring the invoice to Stripe and charge the default card; without one, wait until it is overdue.

    Nothing for an invoice of which nothing is due. Raises stripe.StripeError when Stripe cannot be asked, and
    DifferentTotalError; another call goes on from there.
    """
    with organization_scope(invoice.organization_id):
        if invoice.kind != InvoiceKind.INVOICE or not is_collectable(invoice, at):
            return
    api = connected()
    link = at_stripe(invoice)
    recording.read(invoice, link, at)
    if link.is_paid:
        # Paid there, and still something is due: it went back.
        link = at_stripe(invoice)
    with organization_scope(invoice.organization_id):
        if link.is_paid or not is_collectable(invoice, at):
            return
        attempt = attempts_of(invoice) + 1
        has_card = StripeCustomer.objects.exclude(method_id="").exists()
        is_late = standing_of(invoice, local_day(at, invoice.organization.zone)) is Standing.OVERDUE
        is_dunned = course_of(invoice) is not None
    if has_card:
        _charge(api, invoice, link, attempt, at)
    elif is_late or is_dunned:
        message = "There is no card to charge."
        facts.refused(invoice, attempt, code=NO_CARD, message=message, pay_url=link.pay_url, at=at)


def _charge(api: stripe.StripeClient, invoice: Invoice, link: StripeInvoice, attempt: int, at: dt.datetime) -> None:
    try:
        api.v1.invoices.pay(
            str(link.stripe_id), {"off_session": True}, {"idempotency_key": f"{link.key}-pay-{attempt}"}
        )
    except stripe.CardError as error:
        message = error.user_message or recording.NO_REASON
        facts.refused(invoice, attempt, code=error.code or "", message=message, pay_url=link.pay_url, at=at)
        return
    except stripe.InvalidRequestError as error:
        # Somebody paid on its page at the same time.
        if error.code != "invoice_already_paid":
            raise
    recording.read(invoice, link, at)
