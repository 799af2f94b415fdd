"""Credits that are bought by themselves, charged to the default card."""

from __future__ import annotations

import datetime as dt

import stripe

from billing.credits import wallets
from billing.dunning.facts import people_who_pay
from billing.models import StripeCustomer, TopUp, TopUpStatus
from billing.providers.stripe.connection import BY, connected
from billing.providers.stripe.recording import NO_REASON
from core import emails
from core.tenancy import organization_scope

NANOS_PER_CENT = 10_000_000


def pay(top_up: TopUp, at: dt.datetime) -> None:
    """Charge the card, and the credits are there; refused, it has failed and is told. Without a card it stays due.

    Raises stripe.StripeError when Stripe cannot be asked.
    """
    organization = top_up.organization
    with organization_scope(organization.pk):
        customer = StripeCustomer.objects.exclude(method_id="").first()
    if customer is None or top_up.status != TopUpStatus.DUE:
        return
    # A part of a cent is charged as a whole one.
    cents = -(-top_up.amount_nanos // NANOS_PER_CENT)
    try:
        intent = connected().v1.payment_intents.create(
            {
                "amount": cents,
                "currency": "usd",
                "customer": customer.stripe_id,
                "payment_method": customer.method_id,
                "off_session": True,
                "confirm": True,
                "description": "Credits (auto top-up)",
                "metadata": {"top_up": str(top_up.pk)},
            },
            {"idempotency_key": f"tokenledger-top-up-{top_up.pk}-{top_up.due_at.timestamp():.0f}"},
        )
    except stripe.CardError as error:
        _refused(top_up, cents, error.user_message or NO_REASON, at)
        return
    if intent.status == "succeeded":
        wallets.complete_top_up(top_up, by=BY, at=at)


def follow(intent: stripe.PaymentIntent, at: dt.datetime) -> TopUp | None:
    """What a payment intent says of a top-up. None for one of something else. Needs `unscoped`."""
    number = intent.metadata["top_up"] if "top_up" in (intent.metadata or {}) else ""
    customer = intent.customer if isinstance(intent.customer, str) else ""
    owner = StripeCustomer.objects.filter(stripe_id=customer).first()
    if not number.isdigit() or owner is None:
        return None
    top_up: TopUp | None = (
        TopUp.objects.select_related("organization").filter(pk=int(number), organization=owner.organization_id).first()
    )
    if top_up is not None and intent.status == "succeeded":
        wallets.complete_top_up(top_up, by=BY, at=at)
    return top_up


def _refused(top_up: TopUp, cents: int, message: str, at: dt.datetime) -> None:
    organization = top_up.organization
    with organization_scope(organization.pk):
        wallets.fail_top_up(top_up, at)
        context = {
            "organization": organization,
            "amount": f"{cents / 100:,.2f} USD",
            "message": message,
            "pay_url": emails.absolute(f"/o/{organization.slug}/"),
        }
        for address in people_who_pay(organization):
            emails.send("top_up_refused", address, context)
