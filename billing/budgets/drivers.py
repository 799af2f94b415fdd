"""What a budget went on: the largest parts of what was used of it, for whoever is told of a threshold."""

from __future__ import annotations

from typing import Any

from accounts.models import Organization
from billing.budgets.actuals import Actual
from billing.models import BudgetScope
from core.money import usd_text
from core.periods import day_start
from metering.models import LimitUnit
from metering.query.run import run
from metering.query.spec import UsageQuery

MOST = 3
# By what a scope is divided, besides the models.
_PARTS = {
    BudgetScope.ORGANIZATION: "team",
    BudgetScope.DEPARTMENT: "team",
    BudgetScope.TEAM: "project",
    BudgetScope.PROJECT: "member",
}


def drivers_of(organization: Organization, actual: Actual) -> list[dict[str, Any]]:
    """The largest first, by each dimension in turn, as the fact says them. Needs the organization's scope."""
    budget = actual.budget
    dimensions = [_PARTS[BudgetScope(budget.scope)]] if budget.scope in _PARTS else []
    if not budget.model:
        dimensions.append("model")
    return [driver for dimension in dimensions for driver in _by(organization, actual, dimension)]


def _by(organization: Organization, actual: Actual, dimension: str) -> list[dict[str, Any]]:
    budget, zone = actual.budget, organization.zone
    is_money = budget.unit == LimitUnit.COST
    filters: dict[str, tuple[Any, ...]] = {
        name: (value,) for name, value in (("model", budget.model), ("feature", budget.feature)) if value
    }
    if budget.scope != BudgetScope.ORGANIZATION:
        filters[str(budget.scope)] = (budget.ref,)
    result = run(
        UsageQuery(
            organization.pk,
            day_start(actual.span.starts_on, zone),
            day_start(actual.span.ends_on, zone),
            zone,
            group_by=(dimension,),
            filters=filters,
            order_by=("-cost_usd" if is_money else "-total_tokens",),
            limit=MOST,
        )
    )
    found = [(row.group[dimension].label, row.figures) for row in result.rows]
    return [
        {
            "dimension": dimension,
            "label": label,
            "usd": usd_text(figures.known_cost_nanos) if is_money else None,
            "tokens": None if is_money else figures.total_tokens,
        }
        for label, figures in found
        if label and (figures.known_cost_nanos if is_money else figures.total_tokens)
    ]
