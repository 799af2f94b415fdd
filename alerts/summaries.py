"""What an organization used in the day and in the week that ended: told once, an hour into the next, where somebody
wants to know."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import Organization
from alerts.models import ChatChannel, Preference, ToldFact, Webhook
from alerts.webhooks.records import EVERYTHING
from billing.budgets.actuals import Actual, actuals
from billing.budgets.reach import Reach
from billing.budgets.records import open_budgets
from core.facts import Fact, tell
from core.money import usd_text
from core.periods import day_start, local_day, week_start
from core.tenancy import organization_scope
from metering.query.labels import GroupValue
from metering.query.metrics import Figures, rounded
from metering.query.run import run
from metering.query.spec import UsageQuery

DAILY = "usage.daily_summary"
WEEKLY = "usage.weekly_summary"
# What comes late of a day mostly comes within it.
AFTER = dt.timedelta(hours=1)
# Of models, teams, people, budgets.
MOST = 5
_DAY, _WEEK = dt.timedelta(days=1), dt.timedelta(weeks=1)


def wanted_by(kind: str) -> list[int]:
    """Organizations where a program, a person or a room is told of it. Needs `unscoped`."""
    hears = Q(events__contains=[kind]) | Q(events__contains=[EVERYTHING])
    found = {
        *Webhook.objects.filter(hears, disabled_at=None).values_list("organization_id", flat=True),
        *Preference.objects.filter(kind=kind, is_on=True).values_list("organization_id", flat=True),
        *ChatChannel.objects.filter(kinds__contains=[kind], is_active=True).values_list("organization_id", flat=True),
    }
    return sorted(found)


# ── The day ──


def summarize(organization_id: int, at: dt.datetime) -> None:
    """Tell of the local yesterday, unless it was told or is too young."""
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        day = local_day(at - AFTER, organization.zone) - _DAY
        key = f"day:{day}"
        if not _is_told(DAILY, key):
            _tell(organization, DAILY, key, day + _DAY, _of_day(organization, day))


def _of_day(organization: Organization, day: dt.date) -> dict[str, Any]:
    models, whole = _used(organization, day, day + _DAY, "model")
    _, before = _used(organization, day - _DAY, day, "model")
    return {
        "page": _page(organization, day, day + _DAY),
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
        "models": _models(models),
    }


# ── The week ──


def summarize_week(organization_id: int, at: dt.datetime) -> None:
    """Tell of the local week that ended last, Monday to Sunday, unless it was told or is too young."""
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        monday = week_start(local_day(at - AFTER, organization.zone)) - _WEEK
        key = f"week:{monday}"
        if not _is_told(WEEKLY, key):
            _tell(organization, WEEKLY, key, monday + _WEEK, _of_week(organization, monday, at))


def _of_week(organization: Organization, monday: dt.date, at: dt.datetime) -> dict[str, Any]:
    end = monday + _WEEK
    models, whole = _used(organization, monday, end, "model")
    teams, _ = _used(organization, monday, end, "team")
    members, _ = _used(organization, monday, end, "member")
    _, before = _used(organization, monday - _WEEK, monday, "model")
    return {
        "page": _page(organization, monday, end),
        "week_start": monday.isoformat(),
        "week_end": (end - _DAY).isoformat(),
        "timezone": organization.timezone,
        "requests": whole.requests,
        "errors": whole.errors,
        "total_tokens": whole.total_tokens,
        "cost_usd": usd_text(whole.cost_nanos),
        "requests_before": before.requests,
        "total_tokens_before": before.total_tokens,
        "cost_usd_before": usd_text(before.cost_nanos),
        "unpriced_tokens": whole.unpriced_tokens,
        "models": _models(models),
        "teams": [_part(*one) for one in teams],
        "members": [_part(*one) for one in members],
        "budgets": _standings(organization, at),
    }


def _standings(organization: Organization, at: dt.datetime) -> list[dict[str, Any]]:
    """Those of which most is used."""
    found = actuals(organization, open_budgets(Reach.whole()), at)
    found.sort(key=lambda one: (-one.used_part, one.budget.pk))
    return [_standing(one) for one in found[:MOST]]


def _standing(one: Actual) -> dict[str, Any]:
    return {
        "budget": {"id": one.budget.pk, "name": one.budget.name},
        "about": {"scope": str(one.budget.scope), "of": one.key or None, "label": one.label if one.key else None},
        "used_percent": rounded(one.used_part * 100, 1),
        "passed_percent": rounded(one.passed * 100, 1),
        "period_ends_on": one.span.ends_on.isoformat(),
        "is_exceeded": one.is_exceeded,
    }


# ── Both ──


def _is_told(kind: str, key: str) -> bool:
    return bool(ToldFact.objects.filter(kind=kind, key=key).exists())


def _tell(organization: Organization, kind: str, key: str, end: dt.date, data: dict[str, Any]) -> None:
    tell(Fact(kind, organization.pk, key, data, happened_at=day_start(end, organization.zone)))


def _used(
    organization: Organization, start: dt.date, end: dt.date, dimension: str
) -> tuple[list[tuple[GroupValue, Figures]], Figures]:
    """The most expensive values of a dimension, and everything, from one day until before another."""
    zone = organization.zone
    result = run(
        UsageQuery(
            organization.pk,
            day_start(start, zone),
            day_start(end, zone),
            zone,
            group_by=(dimension,),
            order_by=("-cost_usd", "-total_tokens"),
            limit=MOST,
        )
    )
    return [(row.group[dimension], row.figures) for row in result.rows], result.totals


def _page(organization: Organization, start: dt.date, end: dt.date) -> str:
    page = reverse("reports:overview", args=[organization.slug])
    return f"{page}?{urlencode({'range': 'custom', 'from': start.isoformat(), 'to': end.isoformat()})}"


def _models(found: list[tuple[GroupValue, Figures]]) -> list[dict[str, Any]]:
    return [
        {
            "model": value.label,
            "requests": figures.requests,
            "total_tokens": figures.total_tokens,
            "cost_usd": usd_text(figures.cost_nanos),
        }
        for value, figures in found
    ]


def _part(value: GroupValue, figures: Figures) -> dict[str, Any]:
    return {
        "of": value.key,
        "label": value.label,
        "requests": figures.requests,
        "total_tokens": figures.total_tokens,
        "cost_usd": usd_text(figures.cost_nanos),
    }
