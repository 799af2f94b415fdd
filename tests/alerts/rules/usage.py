"""Rules and usage for the tests of alerts. Berlin's days; the clock is each test's own."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.timezone import now

from accounts.audit import Actor
from accounts.models import Organization
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule, ToldFact
from alerts.rules.reach import Reach
from alerts.rules.records import create_rule
from core.tenancy import organization_scope
from metering.events import Usage
from tests.metering.query.usage import make_event, write

BERLIN = ZoneInfo("Europe/Berlin")
BY = Actor.of_command("test")
_numbers = itertools.count()


def berlin(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(dt.UTC)


def use(organization: Organization, at: dt.datetime, tokens: int, model: str = "gpt-4o", **fields: Any) -> None:
    use_all(organization, [(at, tokens)], model, **fields)


def use_all(
    organization: Organization, calls: list[tuple[dt.datetime, int]], model: str = "gpt-4o", **fields: Any
) -> None:
    """A call each."""
    write(
        organization.pk,
        [make_event(f"use-{next(_numbers)}", at, model, Usage(input=tokens), **fields) for at, tokens in calls],
    )


def rule(organization: Organization, condition: str, made: str | dt.datetime, **values: Any) -> AlertRule:
    at = berlin(made) if isinstance(made, str) else made
    return create_rule(organization, {"condition": condition, **values}, Reach.whole(), by=BY, at=at)


def evaluate_at(organization: Organization, text: str | dt.datetime) -> list[Alert]:
    """All alerts there are behind it, the oldest first."""
    evaluate(organization, berlin(text) if isinstance(text, str) else text)
    return alerts_of(organization)


def alerts_of(organization: Organization) -> list[Alert]:
    with organization_scope(organization.pk):
        return list(Alert.objects.order_by("pk"))


def told_of(organization: Organization) -> list[tuple[str, str]]:
    """Kind and state of everything that was told, in order."""
    with organization_scope(organization.pk):
        return [
            (fact.kind, fact.data.get("state", "firing"))
            for fact in ToldFact.objects.filter(key__startswith="alert:").order_by("pk")
        ]


def open_alert(made: AlertRule, number: int = 0) -> Alert:
    """As if it had fired; one for each number. Needs the organization's scope."""
    at = now() - dt.timedelta(minutes=30)
    return Alert.objects.create(
        organization_id=made.organization_id,
        rule=made,
        condition=made.condition,
        scope=made.scope,
        ref=made.ref,
        value=made.value,
        label=f"Subject {number}",
        about=f"model-{number}" if number else "",
        window=made.window,
        period_starts_at=at,
        period_ends_at=at + dt.timedelta(hours=20),
        peak_starts_at=at,
        peak_ends_at=at + dt.timedelta(hours=20),
        threshold=made.threshold,
        actual=2 * made.threshold,
        bound=made.threshold,
        opened_at=at,
        held_until=at,
    )
