"""Which messages of a webhook are sent now: the earliest due, a few at once, one worker each.

A claim is a row's `claimed_until`, committed before the request: of a worker that is killed it runs out, and the
message is sent again. A webhook that failed several times in a row is left alone for a while (its circuit is open);
then one message is tried, and the others wait for what comes of it.
"""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec
from django.db.models import Q, QuerySet

from alerts.models import DeliveryState, Webhook, WebhookDelivery
from alerts.webhooks.signing import secrets_of
from core.encryption import SecretLostError
from core.tenancy import organization_scope

MOST_AT_ONCE = 4
# Longer than a request may take.
LEASE = dt.timedelta(seconds=60)


class Claim(msgspec.Struct, frozen=True):
    """All that is needed to send, so that nothing is looked up while it is sent."""

    delivery: int
    until: dt.datetime
    url: str
    # None where no configured SECRET_KEY opens them.
    secrets: list[str]
    message_id: uuid.UUID
    body: str


def claim(organization_id: int, webhook_id: int, at: dt.datetime) -> list[Claim]:
    with organization_scope(organization_id):
        webhook: Webhook | None = (
            Webhook.objects.select_for_update(no_key=True).filter(pk=webhook_id, disabled_at=None).first()
        )
        if webhook is None or (webhook.open_until is not None and at < webhook.open_until):
            return []
        waiting = WebhookDelivery.objects.filter(webhook=webhook, state=DeliveryState.WAITING)
        room = (1 if webhook.open_until else MOST_AT_ONCE) - waiting.filter(claimed_until__gt=at).count()
        if room <= 0:
            return []
        try:
            secrets = secrets_of(webhook, at)
        except SecretLostError:
            secrets = []
        taken = list(due(waiting, at).select_for_update(skip_locked=True).order_by("due_at", "pk")[:room])
        for delivery in taken:
            delivery.claimed_until = at + LEASE
        WebhookDelivery.objects.bulk_update(taken, ["claimed_until"])
    return [Claim(one.pk, at + LEASE, webhook.url, secrets, one.message_id, one.body) for one in taken]


def due(waiting: QuerySet[WebhookDelivery], at: dt.datetime) -> QuerySet[WebhookDelivery]:
    return waiting.filter(Q(claimed_until=None) | Q(claimed_until__lte=at), due_at__lte=at)


def with_due(at: dt.datetime) -> list[tuple[int, int]]:
    """(organization, webhook) of those that something is due for. Needs `unscoped`."""
    may_be_sent = Q(webhook__open_until=None) | Q(webhook__open_until__lte=at)
    waiting = WebhookDelivery.objects.filter(may_be_sent, state=DeliveryState.WAITING, webhook__disabled_at=None)
    found = due(waiting, at).values_list("organization_id", "webhook_id").distinct()
    return list(found.order_by("webhook_id"))
