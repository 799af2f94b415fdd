"""Alerts and rules as pages list them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.urls import reverse

from accounts.models import Organization
from alerts.conditions import condition
from alerts.evaluation.wording import sentence
from alerts.models import Alert, AlertRule, AlertState, RuleScope
from alerts.models.rules import TEXT_SCOPES
from alerts.rules.naming import Named, name_of, renotify_words, subject_key, terms
from alerts.rules.reach import Reach

SCOPE_ICONS = {
    "organization": "building",
    "department": "diagram-3",
    "team": "people",
    "project": "folder",
    "member": "person",
    "api_key": "key",
    "model": "cpu",
    "feature": "puzzle",
    "integration": "plug",
}
# How a state looks: the class and the icon.
LOOKS = {
    AlertState.OPEN: ("caution", "exclamation-triangle-fill"),
    AlertState.ACKNOWLEDGED: ("warning", "eye"),
    AlertState.SNOOZED: ("neutral", "clock"),
    AlertState.RESOLVED: ("ok", "check-lg"),
}


class Tab(msgspec.Struct, frozen=True):
    label: str
    url: str
    is_current: bool


def tabs(slug: str, current: str) -> list[Tab]:
    """What the place Budgets and alerts holds."""
    return [
        Tab(label, reverse(name, args=[slug]), name == current)
        for label, name in (("Budgets", "billing:budgets"), ("Alerts", "alerts:alerts"), ("Rules", "alerts:rules"))
    ]


def alert_row(alert: Alert, organization: Organization, reach: Reach) -> dict[str, Any]:
    tone, icon = LOOKS[AlertState(alert.state)]
    return {
        "alert": alert,
        "title": name_of(alert.rule),
        "sentence": sentence(alert, organization.zone),
        "state": AlertState(alert.state).label,
        "tone": tone,
        "icon": icon,
        "scope": RuleScope(alert.scope).label.lower() if alert.scope != RuleScope.API_KEY else "key",
        "scope_icon": SCOPE_ICONS[alert.scope],
        "url": reverse("alerts:alert", args=[organization.slug, alert.pk]),
        "is_over": alert.state == AlertState.RESOLVED,
        "may_settle": alert.state != AlertState.RESOLVED and reach.may_set(alert),
    }


def rule_row(
    rule: AlertRule, named: Named, last: dt.datetime | None, open_alerts: int, reach: Reach, slug: str
) -> dict[str, Any]:
    return {
        "rule": rule,
        "name": name_of(rule),
        "terms": terms(rule),
        "renotify": renotify_words(rule.renotify_minutes),
        "label": named.label or "Deleted",
        "scope": RuleScope(rule.scope).label if rule.scope != RuleScope.API_KEY else "Key",
        "icon": SCOPE_ICONS[rule.scope],
        "last": last,
        "open": open_alerts,
        "url": reverse("alerts:rule", args=[slug, rule.pk]),
        "may_set": reach.may_set(rule),
    }


def subject_of(rule: AlertRule, named: Mapping[tuple[str, int, str], Named]) -> Named:
    return named[subject_key(rule)]


def explorer_url(organization: Organization, alert: Alert, of: str | None, **more: str) -> str:
    """The usage of the alert's window, with its scope as the filter."""
    zone = organization.zone
    filters: dict[str, str] = {}
    if alert.scope != RuleScope.ORGANIZATION:
        filters[alert.scope] = alert.value if alert.scope in TEXT_SCOPES else (of or str(alert.ref))
    if alert.about:
        filters["model"] = alert.about
    span = {
        "range": "custom",
        "from": alert.peak_starts_at.astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
        "to": alert.peak_ends_at.astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
    }
    measure = {"cost": "cost", "error_rate": "requests"}.get(alert.condition, "tokens")
    query = urlencode(span | filters | {"measure": measure} | more)
    return f"{reverse('reports:usage', args=[organization.slug])}?{query}"


def part_rows(alert: Alert, organization: Organization, of: str | None) -> list[dict[str, Any]]:
    """Explanations by dimension: parts with their words, shares and the way to their usage."""
    unit = condition(alert.condition)
    value_unit = unit.measured if unit.part != "errors" and unit.part != "unpriced_tokens" else None
    found = []
    for one in alert.explanation.get("by", []):
        parts: Sequence[dict[str, Any]] = one["parts"]
        largest = max((abs(_weight(part)) for part in parts), default=0) or 1
        found.append(
            {
                "dimension": one["dimension"],
                "label": _DIMENSIONS.get(one["dimension"], one["dimension"]),
                "has_expected": any(part["expected"] is not None for part in parts),
                "total": _text(value_unit, sum(part["actual"] for part in parts)),
                "total_change": _change(value_unit, parts),
                "parts": [
                    {
                        "label": part["label"],
                        "actual": _text(value_unit, part["actual"]),
                        "expected": "—" if part["expected"] is None else _text(value_unit, part["expected"]),
                        "change": _change(value_unit, [part]),
                        "share": abs(_weight(part)) / largest,
                        "url": None
                        if part["is_rest"]
                        else explorer_url(organization, alert, of, **{one["dimension"]: part["key"] or "none"}),
                    }
                    for part in parts
                ],
            }
        )
    return found


_DIMENSIONS = {"model": "Model", "api_key": "API key", "member": "Member", "feature": "Feature"}


def _weight(part: Mapping[str, Any]) -> int:
    return int(part["actual"]) - int(part["expected"] or 0)


def _text(unit: Any, value: int) -> str:
    return f"{value:,}" if unit is None else unit.text(value)


def _change(unit: Any, parts: Sequence[Mapping[str, Any]]) -> str:
    if any(part["expected"] is None for part in parts):
        return ""
    change = sum(_weight(part) for part in parts)
    sign = "+" if change > 0 else "−" if change < 0 else ""
    return f"{sign}{_text(unit, abs(change))}"
