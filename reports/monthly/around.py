"""What stands beside the month's figures: budgets, what was unusual, advice, and what the next month will come to."""

from __future__ import annotations

import datetime as dt

import msgspec
from django.db.models import Q

from accounts.models import Project, Role
from alerts.models import Alert
from billing.budgets.actuals import Actual, actuals
from billing.models import Budget, BudgetPeriod, BudgetScope, ClosedPeriod
from metering.models import LimitUnit
from reports.advice.records import open_insights
from reports.forecasting.engine import forecast
from reports.forecasting.outlook import Outlook
from reports.models import Insight
from reports.monthly.figures import MonthFigures, Whose
from reports.monthly.month import Month
from reports.unusual import CONDITION

MOST_BUDGETS, MOST_UNUSUAL, MOST_ADVICE = 25, 12, 8
# Whose budgets a report has; those of people and keys are on the page of budgets.
_SCOPES = (BudgetScope.ORGANIZATION, BudgetScope.DEPARTMENT, BudgetScope.TEAM, BudgetScope.PROJECT)
_MICRO = dt.timedelta(microseconds=1)


class Around(msgspec.Struct, frozen=True):
    """`budgets` are those whose period ended in the month; `whole` is the one of the report's own usage in money.

    `more_…` say how many were left out. `closed` are the billing periods that ended in the month, `outlook` is None
    where there is too little history.
    """

    budgets: list[Actual]
    more_budgets: int
    whole: Actual | None
    unusual: list[Alert]
    more_unusual: int
    advice: list[Insight]
    more_advice: int
    outlook: Outlook | None
    closed: list[ClosedPeriod]


def look_around(found: MonthFigures) -> Around:
    """Needs the organization's scope."""
    whose, month = found.whose, found.month
    budgets = _budgets(whose, month)
    unusual = _unusual(whose, month)
    # What every reader of the report may see; a team's usage is not looked through by itself.
    advice = [] if whose.team else open_insights(whose.organization.pk, Role.VIEWER)
    return Around(
        budgets=budgets[:MOST_BUDGETS],
        more_budgets=len(budgets[MOST_BUDGETS:]),
        whole=next((one for one in budgets if _is_whole(one, whose)), None),
        unusual=unusual[:MOST_UNUSUAL],
        more_unusual=len(unusual[MOST_UNUSUAL:]),
        advice=advice[:MOST_ADVICE],
        more_advice=len(advice[MOST_ADVICE:]),
        # Of the month that follows, from its first day on: forecasts that are kept begin on the day they were made.
        outlook=forecast(found.history, found.history_from, month.following.days),
        closed=list(
            ClosedPeriod.objects.filter(ends_on__gt=month.first, ends_on__lte=month.end).order_by(
                "starts_on", "revision"
            )
        ),
    )


def _budgets(whose: Whose, month: Month) -> list[Actual]:
    """Those of its usage, then by how much of them was used."""
    rows = Budget.objects.filter(scope__in=_SCOPES, created_at__lt=month.ends_at).exclude(archived_at__lt=month.ends_at)
    # One that is over the month's end is not decided yet.
    rows = rows.filter(
        Q(period=BudgetPeriod.MONTH) | Q(period=BudgetPeriod.CUSTOM, ends_on__gt=month.first, ends_on__lte=month.end)
    )
    if whose.team:
        projects = Project.objects.filter(team=whose.team).values("pk")
        rows = rows.filter(
            Q(scope=BudgetScope.TEAM, ref=whose.team.pk) | Q(scope=BudgetScope.PROJECT, ref__in=projects)
        )
    by_period: dict[str, list[Budget]] = {}
    for budget in rows.order_by("pk"):
        by_period.setdefault(budget.period, []).append(budget)
    found = [
        one for budgets in by_period.values() for one in actuals(whose.organization, budgets, month.ends_at - _MICRO)
    ]
    return sorted(found, key=lambda one: (not _is_whole(one, whose), -one.used_part))


def _is_whole(one: Actual, whose: Whose) -> bool:
    """Whether it is the month's budget in money of exactly the usage that is told."""
    budget = one.budget
    own = (BudgetScope.TEAM, whose.team.pk) if whose.team else (BudgetScope.ORGANIZATION, 0)
    is_plain = budget.period == BudgetPeriod.MONTH and not (budget.model or budget.feature)
    return (budget.scope, budget.ref) == own and is_plain and budget.unit == LimitUnit.COST


def _unusual(whose: Whose, month: Month) -> list[Alert]:
    rows = Alert.objects.filter(
        condition=CONDITION, period_starts_at__lt=month.ends_at, period_ends_at__gt=month.starts_at
    )
    if whose.team:
        projects = Project.objects.filter(team=whose.team).values("pk")
        rows = rows.filter(Q(scope="team", ref=whose.team.pk) | Q(scope="project", ref__in=projects))
    return list(rows.order_by("period_starts_at", "pk"))
