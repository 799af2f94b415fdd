"""An organization as Stripe's customer, and the card that pays for it."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, cast

import stripe
from django.db import transaction

from accounts.models import Organization
from billing.models import StripeCustomer
from billing.providers.stripe.connection import connected
from billing.signals import card_added
from core.tenancy import organization_scope, unscoped

if TYPE_CHECKING:
    from stripe.params import CustomerUpdateParams


def customer_of(organization: Organization) -> StripeCustomer:
    """Made at Stripe once, however many ask at once. Raises ApiError 409 without a key, or a stripe.StripeError."""
    known = find(organization)
    if known is not None:
        return known
    api = connected()
    made = api.v1.customers.create(
        {"metadata": {"organization": str(organization.pk)}},
        {"idempotency_key": f"tokenledger-customer-{organization.pk}-{organization.created_at.timestamp():.0f}"},
    )
    with organization_scope(organization.pk):
        customer: StripeCustomer = StripeCustomer.objects.get_or_create(
            organization=organization, defaults={"stripe_id": made.id}
        )[0]
    tell_details(organization.pk)
    return customer


def tell_details(organization_id: int) -> None:
    """Bring the customer's name, e-mail and address up to date. Nothing where it has them, or there is no customer.

    Its row is locked meanwhile, so that of several at once the last one tells what is there last. Raises
    stripe.StripeError when Stripe cannot be asked.
    """
    with organization_scope(organization_id), transaction.atomic():
        customer = StripeCustomer.objects.select_for_update().filter(organization=organization_id).first()
        if customer is None:
            return
        details = _details(Organization.objects.get(pk=organization_id))
        if details == customer.details:
            return
        connected().v1.customers.update(customer.stripe_id, details)
        StripeCustomer.objects.filter(pk=customer.pk).update(details=details)


def organizations_to_tell_of() -> list[int]:
    """Ids of those whose details are other ones than Stripe was told."""
    with unscoped("beat looks after every organization's customer"):
        known = list(StripeCustomer.objects.select_related("organization").order_by("pk"))
    return [one.organization_id for one in known if one.details != _details(cast("Organization", one.organization))]


def find(organization: Organization) -> StripeCustomer | None:
    with organization_scope(organization.pk):
        customer: StripeCustomer | None = StripeCustomer.objects.filter(organization=organization).first()
    return customer


def card_page(organization: Organization, *, back: str, done: str) -> str:
    """The address of Stripe's page that keeps a card; it leads to `done`, with `session` added, or `back`."""
    customer = customer_of(organization)
    session = connected().v1.checkout.sessions.create(
        {
            "mode": "setup",
            "customer": customer.stripe_id,
            "currency": "usd",
            "success_url": f"{done}?session={{CHECKOUT_SESSION_ID}}",
            "cancel_url": back,
        }
    )
    return str(session.url)


def adopt_card(session_id: str) -> Organization | None:
    """Make the card of a completed Checkout session the default. None where the session is none of ours, or not done.

    A session older than the one whose card is the default changes nothing.
    """
    api = connected()
    session = api.v1.checkout.sessions.retrieve(session_id, {"expand": ["setup_intent"]})
    setup = session.setup_intent
    if session.mode != "setup" or session.status != "complete" or not isinstance(setup, stripe.SetupIntent):
        return None
    with unscoped("whose customer it is"):
        customer = (
            StripeCustomer.objects.select_related("organization").filter(stripe_id=_id_of(session.customer)).first()
        )
    if customer is None:
        return None
    organization = cast("Organization", customer.organization)
    made_at = dt.datetime.fromtimestamp(session.created, dt.UTC)
    if session.id == customer.session_id or (customer.session_created_at and made_at < customer.session_created_at):
        return organization
    method = _id_of(setup.payment_method)
    api.v1.customers.update(customer.stripe_id, {"invoice_settings": {"default_payment_method": method}})
    read_card(customer.stripe_id)
    with organization_scope(organization.pk):
        StripeCustomer.objects.filter(pk=customer.pk).update(session_id=session.id, session_created_at=made_at)
        told = {"organization_id": organization.pk}
        transaction.on_commit(partial(card_added.send_robust, StripeCustomer, **told))
    return organization


def read_card(stripe_id: str) -> Organization | None:
    """Bring the default card up to date with Stripe's. None for a customer that is none of ours."""
    with unscoped("whose customer it is"):
        known = StripeCustomer.objects.select_related("organization").filter(stripe_id=stripe_id).first()
    if known is None:
        return None
    customer = connected().v1.customers.retrieve(stripe_id, {"expand": ["invoice_settings.default_payment_method"]})
    settings = customer.invoice_settings
    method = settings.default_payment_method if settings else None
    card = method.card if isinstance(method, stripe.PaymentMethod) else None
    organization = cast("Organization", known.organization)
    with organization_scope(organization.pk):
        StripeCustomer.objects.filter(pk=known.pk).update(
            method_id=_id_of(method),
            card_brand=card.brand if card else "",
            card_last4=(card.last4 or "") if card else "",
            card_exp_month=card.exp_month if card else None,
            card_exp_year=card.exp_year if card else None,
        )
    return organization


def _details(organization: Organization) -> CustomerUpdateParams:
    """As it is told, and kept beside the customer."""
    return {
        "name": organization.billing_name or organization.name,
        "email": organization.billing_email,
        "address": {
            "line1": organization.billing_address,
            "postal_code": organization.billing_postal_code,
            "city": organization.billing_city,
            "country": organization.country,
        },
    }


def _id_of(thing: object) -> str:
    """Stripe's reference to an object: its id, the object itself where it was asked for, or nothing."""
    return thing if isinstance(thing, str) else str(getattr(thing, "id", "") or "")
