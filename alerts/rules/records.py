"""Rules made, changed, paused and archived. Those that ever fired are kept: their alerts speak of them."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from accounts.organizations import validated
from alerts.conditions import condition
from alerts.evaluation import keeping
from alerts.evaluation.telling import tell
from alerts.models import Alert, AlertRule, AlertState, Resolution, RuleScope
from alerts.models.rules import TEXT_SCOPES
from alerts.rules.naming import minimum_words, name_of, name_subject, renotify_words, terms
from alerts.rules.reach import Reach
from core.errors import ApiError
from core.tenancy import organization_scope

FIELDS = (
    "name", "condition", "scope", "ref", "value", "window", "threshold", "minimum", "renotify_minutes", "is_enabled",
)  # fmt: skip
# A change of these makes it another rule: what it found until then is over.
_MEANING = frozenset(FIELDS) - {"name", "renotify_minutes"}
MOST_RULES = 200
LEAST_RENOTIFY_MINUTES, MOST_RENOTIFY_MINUTES = 5, 7 * 24 * 60


def open_rules(reach: Reach) -> list[AlertRule]:
    """Those that are not archived, as far as one may see them, by name. Needs the organization's scope."""
    return [rule for rule in _open() if reach.may_see(rule)]


def find(rule_id: int, reach: Reach) -> AlertRule:
    """Raises ApiError 404 for one that is not there, or not to be seen."""
    rule: AlertRule | None = _open().filter(pk=rule_id).first()
    if rule is None or not reach.may_see(rule):
        raise ApiError(404, "not_found", "There is no such rule.")
    return rule


def draft_rule(
    organization: Organization, values: Mapping[str, Any], reach: Reach, at: dt.datetime | None = None
) -> AlertRule:
    """A sound rule that is not saved: what is not given is the condition's own. Raises as `create_rule`."""
    at = at or now()
    rule = AlertRule(organization=organization, watches_from=at, judged_until=at, due_at=at)
    judged_by = condition(str(values.get("condition", "")))
    for name, value in (_defaults(judged_by.name) | dict(values)).items():
        setattr(rule, name, value)
    with organization_scope(organization.pk):
        _check(rule, reach)
    return rule


def create_rule(
    organization: Organization, values: Mapping[str, Any], reach: Reach, *, by: Actor, at: dt.datetime | None = None
) -> AlertRule:
    """`values` are of FIELDS. Raises ApiError 422 for nonsense, PermissionDenied beyond one's reach."""
    with organization_scope(organization.pk):
        rule = draft_rule(organization, values, reach, at)
        if _open().count() >= MOST_RULES:
            raise ApiError(409, "too_many_rules", f"An organization has at most {MOST_RULES} rules.")
        rule.created_by_label = by.label[:254]
        rule.save()
        said = _said(rule)
        changes = {name: (None, said.get(name, value)) for name, (_, value) in audit.creation(rule, FIELDS).items()}
        audit.record(by, "alert_rule.create", rule, changes, label=name_of(rule))
    return rule


def change_rule(
    rule: AlertRule, values: Mapping[str, Any], reach: Reach, *, by: Actor, at: dt.datetime | None = None
) -> AlertRule:
    """Raises as `create_rule`. What is open of a rule that now means something else is over."""
    at = at or now()
    with organization_scope(rule.organization_id):
        _lock(rule)
        _permit(reach, rule)
        draft = copy.copy(rule)
        if "condition" in values and values["condition"] != rule.condition:
            for name, value in _defaults(str(values["condition"])).items():
                setattr(draft, name, value)
        for name, value in values.items():
            setattr(draft, name, value)
        _check(draft, reach)
        changed = audit.change(by, "alert_rule.change", rule, {name: getattr(draft, name) for name in FIELDS}, _said)
        if _MEANING & set(changed):
            _end_alerts(rule, by, at)
            rule.watches_from = rule.judged_until = rule.due_at = at
            rule.save(update_fields=["watches_from", "judged_until", "due_at"])
    return rule


def archive_rule(rule: AlertRule, reach: Reach, *, by: Actor, at: dt.datetime | None = None) -> None:
    """It watches no more; one that never fired is deleted, alerts of others stay."""
    at = at or now()
    with organization_scope(rule.organization_id):
        _lock(rule)
        _permit(reach, rule)
        if not Alert.objects.filter(rule=rule).exists():
            audit.record(by, "alert_rule.delete", rule, label=name_of(rule))
            rule.delete()
            return
        audit.change(by, "alert_rule.archive", rule, {"archived_at": at})
        _end_alerts(rule, by, at)


def _defaults(name: str) -> dict[str, Any]:
    judged_by = condition(name)
    return {
        "condition": name,
        "window": judged_by.windows[0].value,
        "threshold": judged_by.threshold,
        "minimum": judged_by.minimum,
    }


def _lock(rule: AlertRule) -> None:
    """Nobody judges by a rule while it is changed."""
    AlertRule.objects.select_for_update(no_key=True).get(pk=rule.pk)


def _end_alerts(rule: AlertRule, by: Actor, at: dt.datetime) -> None:
    for alert in Alert.objects.filter(rule=rule).exclude(state=AlertState.RESOLVED):
        keeping.resolve(alert, Resolution.RULE_CHANGED, at, by.label)
        tell(rule.organization, rule, alert, "resolved", at)
        alert.save()


def _open() -> QuerySet[AlertRule]:
    return AlertRule.objects.filter(archived_at=None).order_by("pk")


def _said(rule: AlertRule) -> dict[str, str]:
    """For the audit log: the amount with its unit, whose it is by name."""
    named = name_subject(rule.organization, rule)
    return {
        "ref": str(named.label or named.of),
        "threshold": terms(rule),
        "minimum": minimum_words(rule),
        "renotify_minutes": renotify_words(rule.renotify_minutes),
    }


def _permit(reach: Reach, rule: AlertRule) -> None:
    if not reach.may_set(rule):
        raise PermissionDenied("You may not set this rule.")


def _check(rule: AlertRule, reach: Reach) -> None:
    judged_by = condition(rule.condition)
    _check_subject(rule)
    validated(
        rule, exclude=("organization", "created_at", "created_by_label", "judged_until", "due_at", "watches_from")
    )
    if rule.window not in judged_by.windows:
        raise _refusal(f"{judged_by.title} is of {_listed(judged_by.windows)}.", "window")
    if rule.scope not in judged_by.scopes:
        raise _refusal(f"{judged_by.title} is of {_listed(judged_by.scopes)}.", "scope")
    most = judged_by.most_threshold
    if rule.threshold < judged_by.least_threshold or (most is not None and rule.threshold > most):
        least = judged_by.unit.text(judged_by.least_threshold)
        bounds = f"from {least} on" if most is None else f"from {least} to {judged_by.unit.text(most)}"
        raise _refusal(f"The threshold of {judged_by.title.lower()} is {bounds}.", "threshold")
    if judged_by.minimum is None:
        rule.minimum = None
    elif rule.minimum is None or rule.minimum < 0:
        raise _refusal("Say from how much on it is judged; 0 is from anything on.", "minimum")
    minutes = rule.renotify_minutes
    if minutes is not None and not LEAST_RENOTIFY_MINUTES <= minutes <= MOST_RENOTIFY_MINUTES:
        raise _refusal(
            f"Telling again takes {LEAST_RENOTIFY_MINUTES} to {MOST_RENOTIFY_MINUTES:,} minutes.", "renotify_minutes"
        )
    _permit(reach, rule)


def _check_subject(rule: AlertRule) -> None:
    """Whose usage it is. Raises ApiError 422."""
    if rule.scope not in RuleScope.values:
        raise _refusal(f"scope is one of {', '.join(RuleScope.values)}.", "scope")
    if rule.scope == RuleScope.ORGANIZATION:
        rule.ref, rule.value = 0, ""
    elif rule.scope in TEXT_SCOPES:
        rule.ref = 0
        if not rule.value or "\0" in rule.value:
            raise _refusal(f"Name the {rule.scope} it is for.", "of")
    else:
        rule.value = ""
        if not rule.ref or name_subject(rule.organization, rule).label is None:
            raise _refusal(f"There is no such {rule.scope.replace('_', ' ')}.", "of")


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(str(value.value) for value in values)


def _refusal(message: str, param: str) -> ApiError:
    return ApiError(422, "invalid_parameter", message, param=param)
