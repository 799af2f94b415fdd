"""Budgets made, changed and archived, and pushed to metering as limits in the same transaction."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from accounts.organizations import validated
from billing.budgets.reach import Reach
from billing.models import Budget, BudgetPeriod, BudgetScope
from core import figures as words
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.dimensions import HOUR_DIMENSIONS
from metering.models import Limit, LimitKind, LimitPeriod, LimitUnit
from metering.query.labels import name_refs

FIELDS = (
    "name", "scope", "ref", "model", "feature", "period", "starts_on", "ends_on", "unit", "amount", "thresholds",
    "is_hard", "owner",
)  # fmt: skip
MOST_THRESHOLDS = 10
LARGEST_PERCENT = 1_000


def open_budgets(reach: Reach) -> list[Budget]:
    """Those that are not archived, as far as one may see them. Needs the organization's scope."""
    return [budget for budget in _open().select_related("owner__user") if reach.may_see(budget)]


def find(budget_id: int, reach: Reach) -> Budget:
    """Raises ApiError 404 for one that is not there, or not to be seen."""
    budget: Budget | None = _open().select_related("owner__user").filter(pk=budget_id).first()
    if budget is None or not reach.may_see(budget):
        raise ApiError(404, "not_found", "There is no such budget.")
    return budget


def create_budget(organization: Organization, values: Mapping[str, Any], reach: Reach, *, by: Actor) -> Budget:
    """`values` are of FIELDS. Raises ApiError 422 for nonsense, PermissionDenied beyond one's reach."""
    with organization_scope(organization.pk):
        budget = Budget(organization=organization, created_by_label=by.label[:254])
        for name, value in values.items():
            setattr(budget, name, value)
        _check(budget, reach)
        budget.save()
        said = _said(budget)
        changes = {name: (None, said.get(name, value)) for name, (_, value) in audit.creation(budget, FIELDS).items()}
        audit.record(by, "budget.create", budget, changes, label=_label(budget))
        push(budget)
    return budget


def change_budget(budget: Budget, values: Mapping[str, Any], reach: Reach, *, by: Actor) -> Budget:
    """Raises as `create_budget`."""
    with organization_scope(budget.organization_id):
        _permit(reach, budget)
        draft = copy.copy(budget)
        for name, value in values.items():
            setattr(draft, name, value)
        _check(draft, reach)
        audit.change(by, "budget.change", budget, {name: getattr(draft, name) for name in FIELDS}, _said)
        push(budget)
    return budget


def archive_budget(budget: Budget, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> None:
    """It bounds and tells nothing any more; what was told stays."""
    with organization_scope(budget.organization_id):
        _permit(reach, budget)
        audit.change(by, "budget.archive", budget, {"archived_at": at or now()})
        push(budget)


def push(budget: Budget) -> None:
    """Make metering's row what a budget says: a hard one refuses, others only tell. Needs the organization's scope."""
    source = f"budget:{budget.pk}"
    if budget.archived_at is not None or not (budget.is_hard or _is_quickly_read(budget)):
        Limit.objects.filter(source=source).delete()
        return
    is_monthly = budget.period == BudgetPeriod.MONTH
    chosen = {} if budget.scope == BudgetScope.ORGANIZATION else {f"{budget.scope}_id": budget.ref}
    selectors = {name: chosen.get(name, 0) for name in _SELECTORS}
    Limit.objects.update_or_create(
        organization_id=budget.organization_id,
        source=source,
        defaults={
            "kind": LimitKind.BUDGET,
            "label": f"The budget {f'“{budget.name}”' if budget.name else _label(budget)}"[:120],
            "unit": budget.unit,
            "amount": budget.amount,
            "period": LimitPeriod.MONTH if is_monthly else LimitPeriod.FIXED,
            "starts_on": budget.starts_on,
            "ends_on": budget.ends_on,
            "model": budget.model,
            "feature": budget.feature,
            "is_hard": budget.is_hard,
            **selectors,
        },
    )


def _is_quickly_read(budget: Budget) -> bool:
    """Whether a roll-up tells its usage: how limits stand is asked behind every batch of events."""
    narrowed = [name for name in ("model", "feature") if getattr(budget, name)]
    if budget.scope != BudgetScope.ORGANIZATION:
        narrowed.append(budget.scope)
    return len(narrowed) <= 1 or set(narrowed) <= set(HOUR_DIMENSIONS)


_SELECTORS = ("project_id", "team_id", "department_id", "member_id", "api_key_id")


def _open() -> QuerySet[Budget]:
    return Budget.objects.filter(archived_at=None).order_by("pk")


def _said(budget: Budget) -> dict[str, str]:
    """For the audit log: the amount with its unit, whose it is by name, the thresholds in words."""
    is_cost = budget.unit == LimitUnit.COST
    return {
        "scope": BudgetScope(budget.scope).label,
        "ref": _whose(budget),
        "period": BudgetPeriod(budget.period).label,
        "unit": LimitUnit(budget.unit).label,
        "amount": words.money_exact(budget.amount) if is_cost else f"{words.tokens(budget.amount)} {budget.unit}",
        "thresholds": ", ".join(f"{one['name']} at {one['percent']}%" for one in budget.thresholds),
    }


def _whose(budget: Budget) -> str:
    if budget.scope == BudgetScope.ORGANIZATION:
        return "the organization"
    named = name_refs(budget.organization_id, {str(budget.scope): [budget.ref]})[str(budget.scope)]
    return str(named[budget.ref].label or named[budget.ref].key)


def _label(budget: Budget) -> str:
    """Its name, or whose it is."""
    if budget.name:
        return budget.name
    return " ".join([f"of {_whose(budget)}", *(f"for {text}" for text in (budget.model, budget.feature) if text)])


def _permit(reach: Reach, budget: Budget) -> None:
    if not reach.may_set(budget.scope, budget.ref):
        raise PermissionDenied("You may not set this budget.")


def _check(budget: Budget, reach: Reach) -> None:
    if budget.scope == BudgetScope.ORGANIZATION:
        budget.ref = 0
    validated(budget, exclude=("organization", "owner", "created_at", "thresholds"))
    if budget.amount <= 0:
        raise ApiError(422, "invalid_parameter", "A budget is more than nothing.", param="amount")
    if budget.scope != BudgetScope.ORGANIZATION:
        named = name_refs(budget.organization_id, {budget.scope: [budget.ref]})[budget.scope]
        if named[budget.ref].label is None:
            raise ApiError(422, "invalid_parameter", f"There is no such {budget.scope.replace('_', ' ')}.", param="of")
    if budget.period == BudgetPeriod.MONTH:
        budget.starts_on = budget.ends_on = None
    elif budget.starts_on is None or budget.ends_on is None or budget.ends_on <= budget.starts_on:
        raise ApiError(422, "invalid_parameter", "Own dates are a first day and a later one.", param="ends_on")
    budget.thresholds = _thresholds(budget.thresholds)
    _permit(reach, budget)


def _thresholds(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In ascending order. Raises ApiError 422."""
    if len(given) > MOST_THRESHOLDS:
        raise ApiError(422, "invalid_parameter", f"At most {MOST_THRESHOLDS} thresholds.", param="thresholds")
    found = []
    for one in given:
        percent, name = one.get("percent"), one.get("name")
        is_whole = isinstance(percent, int) and not isinstance(percent, bool)
        if not is_whole or not 1 <= percent <= LARGEST_PERCENT or not isinstance(name, str) or not 0 < len(name) <= 40:  # type: ignore[operator]
            raise ApiError(
                422, "invalid_parameter", f"A threshold has a percent from 1 to {LARGEST_PERCENT} and a name.",
                param="thresholds",
            )  # fmt: skip
        found.append({"percent": percent, "name": name})
    if len({one["percent"] for one in found}) < len(found):
        raise ApiError(422, "invalid_parameter", "Two thresholds are at the same percent.", param="thresholds")
    return sorted(found, key=lambda one: one["percent"])
