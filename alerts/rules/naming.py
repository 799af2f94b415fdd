"""What rules and those they watch are called."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from accounts.models import Organization
from alerts.conditions import condition
from alerts.models import AlertRule, RuleScope, Window
from alerts.models.rules import TEXT_SCOPES
from core import figures as words
from metering.query.labels import name_refs


class Named(msgspec.Struct, frozen=True):
    """`of` goes back into the API's filters; `label` is for people, None when that was deleted."""

    of: str | None
    label: str | None


def name_subjects(organization: Organization, rules: Sequence[AlertRule]) -> dict[tuple[str, int, str], Named]:
    """By scope, ref and value: a question for each kind of entity. Needs the organization's scope."""
    refs: dict[str, set[int]] = {}
    for rule in rules:
        if rule.ref:
            refs.setdefault(str(rule.scope), set()).add(rule.ref)
    named = name_refs(organization.pk, refs) if refs else {}
    found = {}
    for rule in rules:
        key = subject_key(rule)
        if rule.scope == RuleScope.ORGANIZATION:
            found[key] = Named(None, organization.name)
        elif rule.scope in TEXT_SCOPES:
            found[key] = Named(rule.value, rule.value)
        else:
            value = named[rule.scope][rule.ref]
            found[key] = Named(value.key, value.label)
    return found


def name_subject(organization: Organization, rule: AlertRule) -> Named:
    return name_subjects(organization, [rule])[subject_key(rule)]


def subject_key(rule: AlertRule) -> tuple[str, int, str]:
    return str(rule.scope), rule.ref, rule.value


_EACH = {
    Window.QUARTER: "a quarter hour",
    Window.HOUR: "an hour",
    Window.DAY: "a day",
    Window.MONTH: "a month",
    Window.BILLING: "a billing period",
    Window.MOMENT: "",
}
_SIGNS = {"above": ">", "reached": "≥", "below": "<"}


def terms(rule: AlertRule) -> str:
    """What it watches for, short: > 1,000,000 tokens a day."""
    judged_by = condition(rule.condition)
    bound = f"{_SIGNS[judged_by.side]} {judged_by.unit.text(rule.threshold)}"
    if rule.condition == "hourly_spike":
        return f"{bound} of the average of the same hours"
    if rule.condition == "allowance_share":
        return f"{bound} of the plan’s allowance"
    if rule.condition == "anomaly":
        return "out of what is usual at this hour"
    if rule.condition == "no_data":
        return f"{bound} without a call"
    if rule.condition == "rate_limited":
        bound = f"> {judged_by.unit.text(rule.threshold)} refused"
    each = _EACH[Window(rule.window)]
    return f"{bound} in {each}" if judged_by.unit.value == "percent" else f"{bound} {each}".rstrip()


def name_of(rule: AlertRule) -> str:
    """Its own name, or what kind it is."""
    return rule.name or condition(rule.condition).title


def minimum_words(rule: AlertRule) -> str:
    judged_by = condition(rule.condition)
    return "" if not rule.minimum else f"from {judged_by.minimum_unit.text(rule.minimum)} on"


def renotify_words(minutes: int | None) -> str:
    return "once" if minutes is None else f"every {words.duration(minutes * 60_000)} while it goes on"
