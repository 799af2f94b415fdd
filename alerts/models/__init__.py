"""Tables of alerts."""

from alerts.models.chat import ChatChannel, Dialect
from alerts.models.facts import ToldFact
from alerts.models.notices import Dispatch, Notice, Preference, Rhythm, Timing, Way
from alerts.models.push import PushDevice, PushKey
from alerts.models.rules import ActKind, Alert, AlertAct, AlertRule, AlertState, Resolution, RuleScope, Window
from alerts.models.webhooks import DeliveryState, DisabledBy, Webhook, WebhookAttempt, WebhookDelivery

__all__ = [
    "ActKind",
    "Alert",
    "AlertAct",
    "AlertRule",
    "AlertState",
    "ChatChannel",
    "DeliveryState",
    "Dialect",
    "DisabledBy",
    "Dispatch",
    "Notice",
    "Preference",
    "PushDevice",
    "PushKey",
    "Resolution",
    "Rhythm",
    "RuleScope",
    "Timing",
    "ToldFact",
    "Way",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "Window",
]
