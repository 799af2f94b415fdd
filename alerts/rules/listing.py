"""Alerts and rules as pages list them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from accounts.models import Organization
from alerts.conditions.units import Unit
from alerts.evaluation.wording import about_of, part_unit_of, sentence, title_of
from alerts.models import Alert, AlertRule, AlertState, RuleScope
from alerts.models.rules import TEXT_SCOPES
from alerts.rules.forms import UNIT_WORDS
from alerts.rules.naming import Named, name_of, renotify_words, subject_key, terms
from alerts.rules.reach import Reach
from core import figures as words

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

# The usage page's measure of a condition, or of what a finding is of.
_MEASURES = {"cost": "cost", "error_rate": "requests", "requests": "requests", "errors": "requests"}


def alert_row(alert: Alert, organization: Organization, reach: Reach) -> dict[str, Any]:
    tone, icon = LOOKS[AlertState(alert.state)]
    return {
        "alert": alert,
        "title": title_of(alert, name_of(alert.rule)),
        "about": about_of(alert),
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
    if about_of(alert):
        filters["model"] = about_of(alert)
    span = {
        "range": "custom",
        "from": alert.peak_starts_at.astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
        "to": alert.peak_ends_at.astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
    }
    measure = _MEASURES.get(alert.explanation.get("measure", alert.condition), "tokens")
    query = urlencode(span | filters | {"measure": measure} | more)
    return f"{reverse('reports:usage', args=[organization.slug])}?{query}"


def part_rows(alert: Alert, organization: Organization, of: str | None) -> list[dict[str, Any]]:
    """Explanations by dimension: parts with their words, shares and the way to their usage."""
    unit = part_unit_of(alert)
    found = []
    for one in alert.explanation.get("by", []):
        parts: Sequence[dict[str, Any]] = one["parts"]
        largest = max((abs(_weight(part)) for part in parts), default=0) or 1
        found.append(
            {
                "dimension": one["dimension"],
                "label": _DIMENSIONS.get(one["dimension"], one["dimension"].capitalize()),
                "words": "API key" if one["dimension"] == "api_key" else one["dimension"].replace("_", " "),
                "unit": UNIT_WORDS[unit.value],
                "has_expected": any(part["expected"] is not None for part in parts),
                "total": _plain(unit, sum(part["actual"] for part in parts)),
                "total_expected": _plain(unit, sum(part["expected"] or 0 for part in parts)),
                "total_change": _change(unit, parts),
                "remainder": _signed(unit, one["remainder"]) if one.get("remainder") else None,
                "parts": [
                    {
                        "label": part["label"],
                        "actual": _plain(unit, part["actual"]),
                        "expected": "—" if part["expected"] is None else _plain(unit, part["expected"]),
                        "change": _change(unit, [part]),
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


def _change(unit: Unit, parts: Sequence[Mapping[str, Any]]) -> str:
    if any(part["expected"] is None for part in parts):
        return ""
    return _signed(unit, sum(_weight(part) for part in parts))


def _plain(unit: Unit, value: int) -> str:
    """In a column that says what it counts."""
    return unit.text(value) if unit is Unit.USD else words.count(value)


def _signed(unit: Unit, change: int) -> str:
    sign = "+" if change > 0 else "−" if change < 0 else ""
    return f"{sign}{_plain(unit, abs(change))}"
