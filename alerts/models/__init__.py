"""Tables of alerts."""

from alerts.models.chat import ChatChannel, Dialect
from alerts.models.facts import ToldFact
from alerts.models.notices import Dispatch, Notice, Preference, Rhythm, Timing, Way
from alerts.models.push import PushDevice, PushKey
from alerts.models.webhooks import DeliveryState, DisabledBy, Webhook, WebhookAttempt, WebhookDelivery

__all__ = [
    "ChatChannel",
    "DeliveryState",
    "Dialect",
    "DisabledBy",
    "Dispatch",
    "Notice",
    "Preference",
    "PushDevice",
    "PushKey",
    "Rhythm",
    "Timing",
    "ToldFact",
    "Way",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
]
