"""What the demo's people watch, and what that found in the last two weeks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Organization, Project, Team
from alerts import acting
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule, AlertState
from alerts.rules.presets import PRESETS
from alerts.rules.reach import Reach
from alerts.rules.records import create_rule
from config.demo.usage import SPIKE_DAYS_AGO, SPIKE_HOURS
from core.money import NANOS_PER_USD
from core.periods import day_start, local_day
from core.tenancy import organization_scope

BY = Actor.of_command("demo")
DAYS = 14


def create(organization: Organization) -> None:
    """Rules as if they had been made two weeks ago, and judged at each midnight since: where there are none yet."""
    at, zone = now(), organization.zone
    today = local_day(at, zone)
    begins = today - dt.timedelta(days=DAYS)
    spike_day = day_start(today - dt.timedelta(days=SPIKE_DAYS_AGO), zone)
    with organization_scope(organization.pk):
        if AlertRule.objects.exists():
            return
        for values in (*PRESETS.values(), *_own()):
            # What is unusual takes weeks of hours to judge: from the day on that has something.
            made = spike_day if values["condition"] == "anomaly" else day_start(begins, zone)
            create_rule(organization, values, Reach.whole(), by=BY, at=made)
    midnights = [day_start(begins + dt.timedelta(days=number), zone) for number in range(1, DAYS + 1)]
    moments = [midnight + dt.timedelta(minutes=1) for midnight in midnights]
    for moment in sorted([*moments, spike_day + dt.timedelta(hours=SPIKE_HOURS[1], minutes=10), at]):
        evaluate(organization, moment)
    with organization_scope(organization.pk):
        first = Alert.objects.exclude(state=AlertState.RESOLVED).order_by("-opened_at").first()
        if first is not None:
            acting.acknowledge(first, Reach.whole(), by=Actor("alice@northbound.test", BY.role), at=at)


def _own() -> list[dict[str, Any]]:
    search, evals = Team.objects.get(slug="search"), Project.objects.get(slug="evals")
    return [
        {"condition": "error_rate", "threshold": 8_00, "window": "hour", "name": "Errors"},
        {
            "condition": "cost",
            "scope": "team",
            "ref": search.pk,
            "threshold": NANOS_PER_USD * 6 // 5,
            "name": "Search, dollars a day",
        },
        {"condition": "no_data", "scope": "project", "ref": evals.pk, "threshold": 36, "name": "Evals are silent"},
    ]
