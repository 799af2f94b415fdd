"""Thresholds that are reached become facts: once a budget, period and threshold, whoever looks how often."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.models import Organization
from billing.budgets.actuals import Actual, actuals
from billing.budgets.reach import Reach
from billing.budgets.records import open_budgets
from billing.budgets.spans import is_running
from billing.models import BudgetCrossing
from billing.signals import budget_crossed
from core.tenancy import organization_scope


def watch_budgets(organization: Organization, at: dt.datetime) -> list[BudgetCrossing]:
    """Note what was reached since somebody looked, and tell it after the commit. Returns what is new."""
    with organization_scope(organization.pk):
        running = [budget for budget in open_budgets(Reach.whole()) if is_running(budget, at, organization.zone)]
        new: list[BudgetCrossing] = []
        for actual in actuals(organization, running, at):
            new += _note(actual, at)
        for crossing in new:
            _tell(crossing)
    return new


def _note(actual: Actual, at: dt.datetime) -> list[BudgetCrossing]:
    reached = [one for one in actual.budget.thresholds if actual.used_part * 100 >= one["percent"]]
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


def _tell(crossing: BudgetCrossing) -> None:
    transaction.on_commit(
        lambda: budget_crossed.send(
            BudgetCrossing,
            organization_id=crossing.organization_id,
            budget_id=crossing.budget_id,
            crossing_id=crossing.pk,
        )
    )
