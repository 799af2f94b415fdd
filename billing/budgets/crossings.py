"""Thresholds that are reached become facts: once a budget, period and threshold, whoever looks how often."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse

from accounts.models import Organization
from billing.budgets.actuals import Actual, actuals
from billing.budgets.drivers import drivers_of
from billing.budgets.reach import Reach
from billing.budgets.records import open_budgets
from billing.budgets.spans import is_running
from billing.models import BudgetCrossing, BudgetScope
from core.facts import Fact, tell
from core.money import usd_text
from core.tenancy import organization_scope
from metering.models import LimitUnit
from metering.query.labels import name_refs
from metering.query.metrics import rounded

WHOLE = 100


def watch_budgets(organization: Organization, at: dt.datetime) -> list[BudgetCrossing]:
    """Note what was reached since somebody looked, and tell it. Returns what is new."""
    with organization_scope(organization.pk):
        running = [budget for budget in open_budgets(Reach.whole()) if is_running(budget, at, organization.zone)]
        new: list[BudgetCrossing] = []
        for actual in actuals(organization, running, at):
            noted = _note(actual, at)
            drivers = drivers_of(organization, actual) if noted else []
            highest = max((crossing.percent for crossing in noted), default=0)
            for crossing in noted:
                _tell(organization, actual, crossing, drivers, is_highest=crossing.percent == highest)
            new += noted
    return new


def _note(actual: Actual, at: dt.datetime) -> list[BudgetCrossing]:
    reached = [one for one in _thresholds(actual) if actual.used_part * 100 >= one["percent"]]
    if not reached:
        return []
    known = set(
        actual.budget.crossings.filter(period_starts_on=actual.span.starts_on).values_list("percent", flat=True)
    )
    noted: list[BudgetCrossing] = []
    for one in reached:
        if one["percent"] in known:
            continue
        crossing, is_new = BudgetCrossing.objects.get_or_create(
            organization_id=actual.budget.organization_id,
            budget=actual.budget,
            period_starts_on=actual.span.starts_on,
            percent=one["percent"],
            defaults={
                "name": one["name"],
                "amount": actual.budget.amount,
                "actual": actual.used,
                "crossed_at": at,
            },
        )
        if is_new:
            noted.append(crossing)
    return noted


def _thresholds(actual: Actual) -> list[dict[str, Any]]:
    """Those of the budget, and the whole of it: that it is used up is told whatever was chosen."""
    own: list[dict[str, Any]] = actual.budget.thresholds
    if any(one["percent"] == WHOLE for one in own):
        return own
    return sorted([*own, {"percent": WHOLE, "name": "used up"}], key=lambda one: one["percent"])


def _tell(
    organization: Organization,
    actual: Actual,
    crossing: BudgetCrossing,
    drivers: list[dict[str, Any]],
    *,
    is_highest: bool,
) -> None:
    budget = actual.budget
    tell(
        Fact(
            "budget.threshold",
            organization.pk,
            key=f"crossing:{crossing.pk}",
            scope=str(budget.scope),
            ref=budget.ref,
            people=(budget.owner.user_id,) if budget.owner else (),
            happened_at=crossing.crossed_at,
            data={
                "page": reverse("reports:budget", args=[organization.slug, budget.pk]),
                "budget": {"id": budget.pk, "name": budget.name},
                "about": _about(actual),
                "model": budget.model or None,
                "feature": budget.feature or None,
                "threshold_percent": crossing.percent,
                "threshold_name": crossing.name,
                **_amounts(actual),
                "used_percent": rounded(actual.used_part * 100, 1),
                "passed_percent": rounded(actual.passed * 100, 1),
                "projected_percent": None if actual.pace is None else rounded(actual.pace * 100, 1),
                "runs_out_on": None if actual.runs_out_on is None else actual.runs_out_on.isoformat(),
                "period_starts_on": actual.span.starts_on.isoformat(),
                "period_ends_on": actual.span.ends_on.isoformat(),
                "is_hard": budget.is_hard,
                "is_exceeded": actual.is_exceeded,
                "drivers": drivers,
                "is_highest": is_highest,
            },
        )
    )


def _about(actual: Actual) -> dict[str, str | None]:
    budget = actual.budget
    if budget.scope == BudgetScope.ORGANIZATION:
        return {"scope": str(budget.scope), "of": None, "label": None}
    scope = str(budget.scope)
    named = name_refs(budget.organization_id, {scope: {budget.ref}})[scope][budget.ref]
    return {"scope": scope, "of": named.key, "label": actual.label}


def _amounts(actual: Actual) -> dict[str, Any]:
    """In the budget's unit; those of the other are null."""
    amount, used = actual.budget.amount, actual.used
    if actual.budget.unit == LimitUnit.COST:
        return {
            "amount_usd": usd_text(amount),
            "actual_usd": usd_text(used),
            "amount_tokens": None,
            "actual_tokens": None,
        }
    return {"amount_usd": None, "actual_usd": None, "amount_tokens": amount, "actual_tokens": used}
