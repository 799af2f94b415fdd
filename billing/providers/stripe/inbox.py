"""Stripe's events: stored as they come, then processed one by one, as often as it takes.

A handler gets the id of the object an event is about and reads it from Stripe as it stands now. So it does not matter
in which order events come, or how often.
"""

from __future__ import annotations

import json

import stripe
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from billing.models import StripeEvent
from billing.providers.stripe.handlers import HANDLERS
from core.tenancy import unscoped

logger = structlog.get_logger(__name__)

# Seconds between Stripe's signature and now, so that what somebody recorded cannot be sent again later.
TOLERANCE_SECONDS = 300
# After that many failures only the operator tries again.
MOST_ATTEMPTS = 10


def receive(payload: bytes, signature: str) -> StripeEvent | None:
    """Store an event; None when it is there already. Raises ValueError for what Stripe has not signed, or no event."""
    try:
        event = stripe.Webhook.construct_event(payload, signature, settings.STRIPE_WEBHOOK_SECRET, TOLERANCE_SECONDS)
        fields = {"stripe_id": str(event.id), "type": str(event.type), "payload": json.loads(payload)}
        str(fields["payload"]["data"]["object"]["object"])
    except (stripe.SignatureVerificationError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("this is no event that Stripe has signed") from error
    try:
        with unscoped("whose it is turns out later"):
            stored: StripeEvent = StripeEvent.objects.create(**fields)
    except IntegrityError:
        return None
    return stored


def process(event_id: int) -> bool:
    """Do what an event asks for, whole or not at all. False when it was done, is being done, or failed again."""
    with unscoped("whose it is turns out now"):
        event = StripeEvent.objects.select_for_update(skip_locked=True).filter(pk=event_id, processed_at=None).first()
        if event is None:
            return False
        handle = HANDLERS.get(event.type)
        try:
            with transaction.atomic():
                owner = handle(event.payload["data"]["object"]["id"]) if handle else None
        except Exception as error:
            # Whatever it was, it is kept beside the event, for the next attempt and for the operator.
            logger.exception("stripe event failed", stripe_event=event.stripe_id, type=event.type)
            StripeEvent.objects.filter(pk=event.pk).update(attempts=event.attempts + 1, error=repr(error))
            return False
        StripeEvent.objects.filter(pk=event.pk).update(
            processed_at=now(), error="", organization_id=owner or event.organization_id
        )
    return True


def replay(event_id: int) -> bool:
    """Process an event again as if it had just come."""
    with unscoped("the operator replays whatever came"):
        StripeEvent.objects.filter(pk=event_id).update(processed_at=None, attempts=0)
    return process(event_id)
