"""The way to Stripe: its own library, at the address the settings name. Without a key nothing is asked of it."""

from __future__ import annotations

import stripe
from django.conf import settings

from accounts.audit import Actor
from core.errors import ApiError

BY = Actor.of_command("stripe")
# Of connections that broke; Stripe does one thing once, by its idempotency key.
NETWORK_RETRIES = 2


def is_connected() -> bool:
    return bool(settings.STRIPE_API_KEY)


def connected() -> stripe.StripeClient:
    """Raises ApiError 409 on an installation that takes no cards."""
    if not is_connected():
        raise ApiError(409, "card_payments_off", "Cards are not taken here. Pay by transfer, as the invoice says.")
    return stripe.StripeClient(
        settings.STRIPE_API_KEY,
        base_addresses={"api": settings.STRIPE_API_BASE},
        max_network_retries=NETWORK_RETRIES,
    )
