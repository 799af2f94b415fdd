"""What a webhook asked for beside its events: its own percent of the allowance, its own number of credits.

Messages are its alone. Their ids follow from what they say, so whoever looks how often, each is sent once.
"""

from __future__ import annotations

import datetime as dt
import uuid
from fractions import Fraction

from django.conf import settings
from django.db.models import Q
from django.urls import reverse

from accounts.models import Organization
from alerts.models import Webhook
from alerts.webhooks.outbox import tell_one
from alerts.webhooks.records import hears
from core.facts import moment
from core.money import NANOS_PER_USD, usd_text
from core.periods import day_start
from core.tenancy import organization_scope
from metering.limits.standing import Standing, of_organization
from metering.limits.summary import read_balance
from metering.models import LimitKind, LimitUnit
from metering.query.metrics import rounded

_IDS = uuid.UUID("0b9e4e0e-6d0f-4c1e-9a55-3a7e2f1c8d10")


def with_settings() -> list[int]:
    """Organizations that have such webhooks. Needs `unscoped`."""
    asked = Q(usage_threshold_percent__isnull=False) | Q(credits_low_threshold__isnull=False)
    return list(
        Webhook.objects.filter(asked, disabled_at=None).order_by().values_list("organization_id", flat=True).distinct()
    )


def watch(organization_id: int, at: dt.datetime) -> None:
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        # Locked, so that two that watch at once do so one after the other.
        asked = list(Webhook.objects.select_for_update(no_key=True).filter(disabled_at=None).order_by("pk"))
        percents = [one for one in asked if one.usage_threshold_percent is not None and hears(one, "usage.threshold")]
        credits_ = [one for one in asked if one.credits_low_threshold is not None and hears(one, "credits.low")]
        if percents:
            _watch_allowance(organization, percents, at)
        if credits_:
            _watch_credits(organization, credits_, at)


def _watch_allowance(organization: Organization, webhooks: list[Webhook], at: dt.datetime) -> None:
    allowance = _allowance(organization, at)
    if allowance is None or not allowance.amount:
        return
    span = allowance.rule.span(at, organization.zone)
    if span is None:
        return
    used = Fraction(allowance.used * 100, allowance.amount)
    for webhook in webhooks:
        percent = webhook.usage_threshold_percent
        if percent is None or used < percent or webhook.usage_told_of == span.starts_on:
            continue
        webhook.usage_told_of = span.starts_on
        webhook.save(update_fields=["usage_told_of"])
        data = {
            "page": reverse("reports:overview", args=[organization.slug]),
            "state": "firing",
            "rule": None,
            "about": {"scope": "organization", "of": None, "label": None},
            "metric": "allowance_percent",
            "unit": "percent",
            "value": str(rounded(used, 1)),
            "threshold": str(percent),
            "window_start": moment(day_start(span.starts_on, organization.zone)),
            "window_end": moment(at),
            "summary": (
                f"{rounded(used, 1)}% of the allowance is used: {allowance.used:,} of {allowance.amount:,} tokens."
            ),
        }
        message_id = uuid.uuid5(_IDS, f"allowance {webhook.pk} {span.starts_on} {percent}")
        tell_one(webhook, message_id, "usage.threshold", data, at)


def _allowance(organization: Organization, at: dt.datetime) -> Standing | None:
    """The tightest one that bounds the whole organization."""
    found = [
        one
        for one in of_organization(organization.pk, at)
        if one.rule.kind == LimitKind.ALLOWANCE
        and one.rule.unit == LimitUnit.TOKENS
        and one.amount is not None
        and not any(one.rule.selection)
    ]
    return min(found, key=lambda one: one.remaining or 0, default=None)


def _watch_credits(organization: Organization, webhooks: list[Webhook], at: dt.datetime) -> None:
    left = read_balance(organization.pk, {}, at).credits_remaining
    if left is None:
        return
    for webhook in webhooks:
        threshold = webhook.credits_low_threshold
        if threshold is None or (left < threshold) == (webhook.credits_low_since is not None):
            continue
        webhook.credits_low_since = at if left < threshold else None
        webhook.save(update_fields=["credits_low_since"])
        if left < threshold:
            data = {
                "page": reverse("billing:credits", args=[organization.slug]),
                "available_usd": _usd(left),
                "threshold_usd": _usd(threshold),
                "auto_top_up": None,
            }
            tell_one(webhook, uuid.uuid5(_IDS, f"credits {webhook.pk} {at.isoformat()}"), "credits.low", data, at)


def _usd(credits_: int) -> str | None:
    return usd_text(credits_ * NANOS_PER_USD // settings.CREDITS_PER_USD)
