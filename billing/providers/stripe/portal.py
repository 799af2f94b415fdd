"""Stripe's customer portal, with as much in it as who opens it may do here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.models import Organization
from billing.providers.stripe.connection import connected
from billing.providers.stripe.customers import customer_of

if TYPE_CHECKING:
    from stripe.params.billing_portal import ConfigurationCreateParamsFeatures

_MARK = "tokenledger"


def portal_page(organization: Organization, *, back: str, may_cancel: bool) -> str:
    """The address of cards and past payments at Stripe; who `may_cancel` ends or keeps the plan there, too."""
    customer = customer_of(organization)
    session = connected().v1.billing_portal.sessions.create(
        {"customer": customer.stripe_id, "return_url": back, "configuration": _configuration(may_cancel=may_cancel)}
    )
    return session.url


def _configuration(*, may_cancel: bool) -> str:
    """Stripe's id of what such a portal offers; made where there is none."""
    api = connected()
    name = "plan" if may_cancel else "cards"
    for known in api.v1.billing_portal.configurations.list({"active": True, "limit": 100}).auto_paging_iter():
        if known.metadata and _MARK in known.metadata and known.metadata[_MARK] == name:
            return known.id
    features: ConfigurationCreateParamsFeatures = {
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": may_cancel, "mode": "at_period_end"},
    }
    made = api.v1.billing_portal.configurations.create(
        {"features": features, "metadata": {_MARK: name}}, {"idempotency_key": f"{_MARK}-portal-{name}"}
    )
    return made.id
