"""Which webhook is to be told what: a row a message, written before anything is sent.

Everything here needs the organization's scope; what is written is sent behind the commit (delivery.py).
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from alerts.catalogue import TEST
from alerts.models import DeliveryState, ToldFact, Webhook, WebhookDelivery
from alerts.webhooks import messages
from alerts.webhooks.records import EVERYTHING, hears, webhooks
from core.errors import ApiError
from metering.tasks import enqueue

KEPT = dt.timedelta(days=30)
MOST_REPLAYED = 10_000


def address(fact: ToldFact) -> None:
    """A channel of alerts.channels: every webhook that hears the fact's kind gets it, once."""
    hearing = [webhook for webhook in webhooks().filter(disabled_at=None) if _is_for(webhook, fact.kind)]
    if not hearing:
        return
    body = messages.of_fact(fact)
    WebhookDelivery.objects.bulk_create([_delivery(webhook, fact, body) for webhook in hearing], ignore_conflicts=True)
    for webhook in hearing:
        hasten(webhook)


def tell_one(webhook: Webhook, message_id: uuid.UUID, kind: str, data: dict[str, Any], at: dt.datetime) -> bool:
    """A message that is this webhook's alone; the same id again is the same message. Returns whether it is new."""
    _, is_new = WebhookDelivery.objects.get_or_create(
        webhook=webhook,
        message_id=message_id,
        defaults={
            "organization_id": webhook.organization_id,
            "kind": kind,
            "body": messages.body(kind, at, webhook.organization, data),
        },
    )
    if is_new:
        hasten(webhook)
    return is_new


def send_test(webhook: Webhook, *, by: Actor) -> WebhookDelivery:
    """Tried once. Raises ApiError 409 while it is disabled."""
    _refuse_disabled(webhook)
    message_id = uuid.uuid4()
    data = {"page": page_of(webhook), "webhook": webhook.pk, "asked_by": by.label}
    tell_one(webhook, message_id, TEST.name, data, now())
    audit.record(by, "webhook.test", webhook)
    delivery: WebhookDelivery = WebhookDelivery.objects.get(webhook=webhook, message_id=message_id)
    return delivery


def replay(delivery: WebhookDelivery, *, by: Actor) -> None:
    """Once more from the beginning of the schedule, with the id and the body it had. Raises ApiError 409."""
    webhook: Webhook = delivery.webhook
    _refuse_disabled(webhook)
    audit.record(by, "webhook.replay", webhook, {"message": (None, f"{delivery.kind} {delivery.message_id}")})
    _make_due(Q(pk=delivery.pk))
    hasten(webhook)


def replay_since(
    webhook: Webhook, since: dt.datetime, *, by: Actor, until: dt.datetime | None = None, with_delivered: bool = False
) -> int:
    """What happened from then on and was not taken, what nothing was written down for while it was disabled included.

    Its own thresholds happened when they were written; tests are none of it. With what was taken, too, when
    `with_delivered`. Returns how many messages. Raises ApiError 409, 422.
    """
    _refuse_disabled(webhook)
    moment = now()
    if not moment - KEPT <= since <= moment:
        raise ApiError(422, "invalid_parameter", f"Messages are kept for {KEPT.days} days.", param="since")
    if until is not None and until <= since:
        raise ApiError(422, "invalid_parameter", "The end lies behind the beginning.", param="until")
    _write_missing(webhook, since, until)
    wanted = WebhookDelivery.objects.filter(webhook=webhook).exclude(kind=TEST.name)
    wanted = wanted.annotate(happened_at=Coalesce("fact__happened_at", "created_at")).filter(happened_at__gte=since)
    if until is not None:
        wanted = wanted.filter(happened_at__lt=until)
    if not with_delivered:
        wanted = wanted.exclude(state=DeliveryState.DELIVERED)
    ids = list(wanted.order_by("pk").values_list("pk", flat=True)[:MOST_REPLAYED])
    _make_due(Q(pk__in=ids))
    audit.record(by, "webhook.replay", webhook, {"since": (None, since), "messages": (None, len(ids))})
    hasten(webhook)
    return len(ids)


def page_of(webhook: Webhook) -> str:
    return reverse("alerts:webhook", args=[webhook.organization.slug, webhook.pk])


def forget_old() -> None:
    """Messages of before KEPT, with their attempts. Needs `unscoped`."""
    WebhookDelivery.objects.filter(created_at__lt=now() - KEPT).delete()


def hasten(webhook: Webhook) -> None:
    # Not above: the tasks deliver, and what is concluded then is written here.
    from alerts.webhooks.tasks import deliver_webhook

    enqueue(deliver_webhook, webhook.organization_id, webhook.pk)


def _is_for(webhook: Webhook, kind: str) -> bool:
    has_its_own = kind == "credits.low" and webhook.credits_low_threshold is not None
    return hears(webhook, kind) and not has_its_own


def _delivery(webhook: Webhook, fact: ToldFact, body: str) -> WebhookDelivery:
    return WebhookDelivery(
        organization_id=fact.organization_id,
        webhook=webhook,
        fact=fact,
        message_id=fact.public_id,
        kind=fact.kind,
        body=body,
    )


def _write_missing(webhook: Webhook, since: dt.datetime, until: dt.datetime | None) -> None:
    facts = ToldFact.objects.select_related("organization").filter(happened_at__gte=since, spread_at__isnull=False)
    if until is not None:
        facts = facts.filter(happened_at__lt=until)
    if EVERYTHING not in webhook.events:
        facts = facts.filter(kind__in=webhook.events)
    written = WebhookDelivery.objects.filter(webhook=webhook, fact__isnull=False).values("fact")
    missing = facts.exclude(pk__in=written).order_by("happened_at", "pk")[:MOST_REPLAYED]
    WebhookDelivery.objects.bulk_create(
        [_delivery(webhook, fact, messages.of_fact(fact)) for fact in missing if _is_for(webhook, fact.kind)],
        ignore_conflicts=True,
    )


def _make_due(which: Q) -> None:
    """What a worker is at this moment stays its own: it is being sent."""
    WebhookDelivery.objects.filter(which, Q(claimed_until=None) | Q(claimed_until__lte=now())).update(
        state=DeliveryState.WAITING, due_at=now(), tries=0, claimed_until=None
    )


def _refuse_disabled(webhook: Webhook) -> None:
    if webhook.disabled_at is not None:
        raise ApiError(409, "webhook_disabled", "This webhook is disabled. Enable it first.")
