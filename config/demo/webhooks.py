"""The demo organization's webhook: it leads to a program beside the demo's own model (config/demo/model/hooks.py)."""

from __future__ import annotations

import datetime as dt
import re

from django.utils.timezone import now

from accounts.models import Organization
from alerts.models import Webhook
from alerts.webhooks import outbox, records
from config.demo.model.hooks import PATH
from config.demo.organization import BY
from core.tenancy import organization_scope

_OURS = re.compile(rf"http://127\.0\.0\.1:\d+{PATH}")
EVENTS = [
    "usage.threshold", "usage.anomaly", "usage.daily_summary", "budget.threshold", "credits.low", "invoice.finalized",
    "invoice.paid", "key.created",
]  # fmt: skip
# What happened in that time is told once the program runs, so that there is something in the log.
SINCE = dt.timedelta(days=21)


def create(organization: Organization, port: int) -> None:
    """Where there is none yet."""
    values = {"url": _address(port), "description": "Data warehouse", "events": EVENTS, "usage_threshold_percent": 80}
    with organization_scope(organization.pk):
        if not Webhook.objects.exists():
            webhook, _ = records.create(organization, values, by=BY)
            outbox.replay_since(webhook, now() - SINCE, by=BY)


def follow(organization: Organization, port: int) -> None:
    """The program listens on another port after each start. What people have pointed elsewhere stays."""
    with organization_scope(organization.pk):
        for webhook in Webhook.objects.all():
            if _OURS.fullmatch(webhook.url) and webhook.url != _address(port):
                records.change(webhook, {"url": _address(port)}, by=BY)


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}{PATH}"
