"""What an organization used on the day that ended: told once, an hour into the next, where somebody wants to know."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import Organization
from alerts.models import ChatChannel, Preference, ToldFact, Webhook
from alerts.webhooks.records import EVERYTHING
from core.facts import Fact, tell
from core.money import usd_text
from core.periods import day_start, local_day
from core.tenancy import organization_scope
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import UsageQuery

KIND = "usage.daily_summary"
# What comes late of a day mostly comes within it.
AFTER = dt.timedelta(hours=1)
MOST_MODELS = 5


def wanted_by() -> list[int]:
    """Organizations where a program, a person or a room is told of it. Needs `unscoped`."""
    hears = Q(events__contains=[KIND]) | Q(events__contains=[EVERYTHING])
    found = {
        *Webhook.objects.filter(hears, disabled_at=None).values_list("organization_id", flat=True),
        *Preference.objects.filter(kind=KIND, is_on=True).values_list("organization_id", flat=True),
        *ChatChannel.objects.filter(kinds__contains=[KIND], is_active=True).values_list("organization_id", flat=True),
    }
    return sorted(found)


def summarize(organization_id: int, at: dt.datetime) -> None:
    """Tell of the local yesterday, unless it was told or is too young."""
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        zone = organization.zone
        day = local_day(at - AFTER, zone) - dt.timedelta(days=1)
        if ToldFact.objects.filter(kind=KIND, key=_key(day)).exists():
            return
        models, whole = _used(organization, day)
        _, before = _used(organization, day - dt.timedelta(days=1))
        ends_at = day_start(day + dt.timedelta(days=1), zone)
        tell(
            Fact(
                KIND,
                organization_id,
                _key(day),
                _data(organization, day, models, whole, before),
                happened_at=ends_at,
            )
        )


def _key(day: dt.date) -> str:
    return f"day:{day}"


def _used(organization: Organization, day: dt.date) -> tuple[list[tuple[str | None, Figures]], Figures]:
    """The most expensive models, and all of the day."""
    zone = organization.zone
    result = run(
        UsageQuery(
            organization.pk,
            day_start(day, zone),
            day_start(day + dt.timedelta(days=1), zone),
            zone,
            group_by=("model",),
            order_by=("-cost_usd", "-total_tokens"),
            limit=MOST_MODELS,
        )
    )
    return [(row.group["model"].label, row.figures) for row in result.rows], result.totals


def _data(
    organization: Organization,
    day: dt.date,
    models: list[tuple[str | None, Figures]],
    whole: Figures,
    before: Figures,
) -> dict[str, Any]:
    page = reverse("reports:overview", args=[organization.slug])
    return {
        "page": f"{page}?{urlencode({'range': 'custom', 'from': day.isoformat(), 'to': day.isoformat()})}",
        "day": day.isoformat(),
        "timezone": organization.timezone,
        "requests": whole.requests,
        "errors": whole.errors,
        "prompt_tokens": whole.prompt_tokens,
        "completion_tokens": whole.completion_tokens,
        "total_tokens": whole.total_tokens,
        "cost_usd": usd_text(whole.cost_nanos),
        "cost_usd_before": usd_text(before.cost_nanos),
        "unpriced_tokens": whole.unpriced_tokens,
        "models": [
            {
                "model": name,
                "requests": figures.requests,
                "total_tokens": figures.total_tokens,
                "cost_usd": usd_text(figures.cost_nanos),
            }
            for name, figures in models
        ],
    }
