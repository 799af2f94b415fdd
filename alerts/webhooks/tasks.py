"""What workers do for webhooks. Tasks only hasten: what waits is in the database, and beat looks after it."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from alerts.webhooks import claiming, outbox, thresholds
from alerts.webhooks.delivery import deliver
from core.tenancy import unscoped
from metering.tasks import enqueue

# Whose turn has not come when the next round begins is in that one.
ROUND_SECONDS = 60


@shared_task(name="alerts.deliver_webhook")
def deliver_webhook(organization_id: int, webhook_id: int) -> None:
    again = deliver(organization_id, webhook_id)
    if again is not None:
        enqueue(deliver_webhook, organization_id, webhook_id, after_seconds=again)


@shared_task(name="alerts.deliver_webhooks")
def deliver_webhooks() -> None:
    """Beat: what is to be tried again, and what lost its task with the queue or its worker."""
    with unscoped("beat looks after every organization's webhooks"):
        found = claiming.with_due(now())
    for organization_id, webhook_id in found:
        deliver_webhook.delay(organization_id, webhook_id)


@shared_task(name="alerts.watch_webhook_thresholds")
def watch_webhook_thresholds() -> None:
    """Beat: what webhooks set as their own percent of the allowance, or as low credits."""
    with unscoped("beat looks after every organization's webhooks"):
        organizations = thresholds.with_settings()
    for organization_id in organizations:
        watch_webhook_thresholds_of.apply_async((organization_id,), expires=ROUND_SECONDS)


@shared_task(name="alerts.watch_webhook_thresholds_of")
def watch_webhook_thresholds_of(organization_id: int) -> None:
    thresholds.watch(organization_id, now())


@shared_task(name="alerts.forget_webhook_deliveries")
def forget_webhook_deliveries() -> None:
    """Beat: the delivery log is of the last month."""
    with unscoped("beat clears every organization's delivery log"):
        outbox.forget_old()
