"""Budgets as a page and a file list them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from billing.budgets.actuals import Actual
from billing.budgets.reach import Reach
from billing.models import BudgetPeriod, BudgetScope
from billing.models.budgets import default_thresholds
from core import figures as words
from core.csvcells import csv_text
from core.money import usd_text
from metering.models import LimitUnit

SCOPE_ICONS = {
    "organization": "building",
    "department": "diagram-3",
    "team": "people",
    "project": "folder",
    "member": "person",
    "api_key": "key",
}
# How thresholds look; one of another name looks as what it is among the budget's.
_LOOKS = ("warning", "caution", "critical")
_ICONS = {
    "ok": "check-lg",
    "warning": "exclamation-triangle",
    "caution": "exclamation-triangle-fill",
    "critical": "exclamation-octagon-fill",
}


def rows_of(found: Sequence[Actual], reach: Reach, slug: str) -> list[dict[str, Any]]:
    return [
        {
            "actual": one,
            "budget": one.budget,
            "icon": SCOPE_ICONS[one.budget.scope],
            "scope": _words(one.budget.scope),
            "narrowed": [text for text in (one.budget.model, one.budget.feature) if text],
            "is_money": one.budget.unit == LimitUnit.COST,
            "is_custom": one.budget.period == BudgetPeriod.CUSTOM,
            "has_usual_marks": one.budget.thresholds == default_thresholds(),
            "look": look_of(one),
            "status_icon": _ICONS[look_of(one)],
            "status": status_of(one),
            "url": reverse("reports:budget", args=[slug, one.budget.pk]),
            "used_text": words.money(one.used) if one.budget.unit == LimitUnit.COST else words.tokens(one.used),
            "usage_url": usage_url(one, reach, slug),
        }
        for one in found
    ]


def usage_url(one: Actual, reach: Reach, slug: str) -> str | None:
    """The usage that the budget counts, in its period, with the same filters; None where that is not theirs to see."""
    budget = one.budget
    if not (reach.sees_all or (budget.scope, budget.ref) in reach.explores):
        return None
    asked = {
        "range": "custom",
        **{name: f"{day}T00:00" for name, day in (("from", one.span.starts_on), ("to", one.span.ends_on))},
        "measure": "cost" if budget.unit == LimitUnit.COST else "tokens",
    }
    if budget.scope != BudgetScope.ORGANIZATION:
        asked[str(budget.scope)] = one.key
    asked |= {name: text for name, text in (("model", budget.model), ("feature", budget.feature)) if text}
    return f"{reverse('reports:usage', args=[slug])}?{urlencode(asked)}"


def summary_of(found: Sequence[Actual]) -> dict[str, Any]:
    """The organization's own budget in money, where there is one, and how many budgets need attention."""
    whole = next((one for one in found if _is_whole(one)), None)
    attention = Counter(status_of(one).lower() for one in found if look_of(one) != "ok")
    return {
        "whole": whole,
        "count": len(found),
        "attention": sum(attention.values()),
        "words": ", ".join(f"{number} {word}" for word, number in attention.most_common()),
    }


def look_of(actual: Actual) -> str:
    if actual.is_exceeded:
        return "critical"
    status = actual.status
    if status is None:
        return "ok"
    if status in _LOOKS:
        return status
    behind = [one["name"] for one in reversed(actual.budget.thresholds)].index(status)
    return _LOOKS[max(0, len(_LOOKS) - 1 - behind)]


def status_of(actual: Actual) -> str:
    if actual.is_exceeded:
        return "Over budget"
    return (actual.status or "on track").capitalize()


def csv_of(found: Sequence[Actual]) -> str:
    header = (
        "for", "scope", "model", "feature", "from", "until_before", "unit", "actual", "budget", "used_percent",
        "at_the_limit", "status", "unpriced_tokens",
    )  # fmt: skip
    return csv_text([header, *(_csv_row(one) for one in found)])


def _csv_row(one: Actual) -> tuple[Any, ...]:
    budget = one.budget
    is_money = budget.unit == LimitUnit.COST
    return (
        budget.name or one.label or "",
        budget.scope,
        budget.model,
        budget.feature,
        str(one.span.starts_on),
        str(one.span.ends_on),
        "usd" if is_money else "tokens",
        usd_text(one.used) if is_money else one.used,
        usd_text(budget.amount) if is_money else budget.amount,
        f"{round(one.used_part * 1000) / 10}",
        "refuse" if budget.is_hard else "warn",
        status_of(one),
        one.figures.unpriced_tokens,
    )


def _is_whole(one: Actual) -> bool:
    budget = one.budget
    is_plain = not (budget.model or budget.feature) and budget.period == BudgetPeriod.MONTH
    return budget.scope == BudgetScope.ORGANIZATION and is_plain and budget.unit == LimitUnit.COST


def _words(scope: str) -> str:
    return "key" if scope == BudgetScope.API_KEY else BudgetScope(scope).label.lower()
