"""Steps of a course become rows: the alert, what became of it, and the facts that tell it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from accounts.models import Organization
from alerts.conditions.reading import Reading
from alerts.detection.finding import Finding
from alerts.evaluation.course import Spell, Step, Turn
from alerts.evaluation.explaining import explain, explain_finding
from alerts.evaluation.telling import tell
from alerts.models import ActKind, Alert, AlertAct, AlertRule, AlertState, Resolution, RuleScope
from alerts.models.rules import TEXT_SCOPES
from alerts.rules.naming import name_subject

_CHANGING = (
    "period_ends_at", "peak_starts_at", "peak_ends_at", "actual", "bound", "expected", "explanation", "state",
    "snoozed_until", "held_until", "resolved_at", "resolution", "told", "told_at", "is_told",
)  # fmt: skip


def keep(
    organization: Organization, rule: AlertRule, steps: Sequence[Step], known: Mapping[int, Alert], at: dt.datetime
) -> list[Alert]:
    """Returns the alerts that are new; `known` ones are changed and saved. Needs the scope and the rule's lock."""
    alerts = dict(known)
    new: list[Alert] = []
    changed: set[int] = set()
    for step in steps:
        if step.turn is Turn.OPENED:
            alert = _open(organization, rule, step.spell, at)
            alerts[alert.pk] = alert
            new.append(alert)
        else:
            alert = alerts[_number(step.spell)]
        changed.add(alert.pk)
        _take(organization, rule, alert, step.spell, at)
        if step.turn is Turn.REOPENED:
            alert.state, alert.resolved_at, alert.resolution = AlertState.OPEN, None, ""
            note(alert, ActKind.REOPENED, at)
        elif step.turn is Turn.RESOLVED:
            resolve(alert, Resolution.OVER, step.spell.resolved_at or at)
            if alert in new:
                alert.is_told = False
            tell(organization, rule, alert, "resolved", at)
            # Saved before the next one opens: there is one open at a time.
            alert.save(update_fields=_CHANGING)
            changed.discard(alert.pk)
    for pk in sorted(changed):
        alerts[pk].save(update_fields=_CHANGING)
    return new


def tell_again(organization: Organization, rule: AlertRule, alerts: Sequence[Alert], at: dt.datetime) -> None:
    """What still holds when its snooze is over, and what the rule wants told again while nobody has taken note."""
    for alert in alerts:
        due = told_next(rule, alert)
        if due is None or due > at:
            continue
        if alert.state == AlertState.SNOOZED:
            alert.state, alert.snoozed_until = AlertState.OPEN, None
            note(alert, ActKind.WOKEN, at)
        else:
            note(alert, ActKind.TOLD_AGAIN, at)
        tell(organization, rule, alert, "firing", at)
        alert.save(update_fields=_CHANGING)


def told_next(rule: AlertRule, alert: Alert) -> dt.datetime | None:
    """When it is to be told again, if it goes on; None: never."""
    if alert.state == AlertState.SNOOZED:
        return alert.snoozed_until
    if alert.state != AlertState.OPEN or rule.renotify_minutes is None or alert.told_at is None:
        return None
    return alert.told_at + dt.timedelta(minutes=rule.renotify_minutes)


def resolve(alert: Alert, resolution: Resolution, at: dt.datetime, by_label: str = "") -> None:
    """Not saved here."""
    alert.state, alert.resolution = AlertState.RESOLVED, resolution
    alert.resolved_at, alert.snoozed_until = at, None
    note(alert, ActKind.RESOLVED, at, by_label, resolution.label)


def note(alert: Alert, kind: ActKind, at: dt.datetime, by_label: str = "", words: str = "") -> None:
    AlertAct.objects.create(
        organization_id=alert.organization_id, alert=alert, kind=kind, at=at, by_label=by_label[:254], note=words[:200]
    )


def reading_of(alert: Alert) -> Reading:
    return Reading(
        alert.peak_starts_at,
        alert.peak_ends_at,
        alert.held_until,
        alert.actual,
        alert.bound,
        alert.expected,
        about=alert.about,
    )


def _open(organization: Organization, rule: AlertRule, spell: Spell, at: dt.datetime) -> Alert:
    label = name_subject(organization, rule).label
    alert = Alert(
        organization=organization,
        rule=rule,
        condition=rule.condition,
        scope=rule.scope,
        ref=rule.ref,
        value=rule.value,
        label=(label or "Deleted")[:254],
        about=spell.reading.about[:220],
        window=rule.window,
        period_starts_at=spell.start,
        period_ends_at=spell.end,
        threshold=spell.threshold,
        opened_at=at,
    )
    _take(organization, rule, alert, spell, at)
    if spell.reading.finding is not None:
        _be_about(alert, spell.reading.finding)
    alert.save()
    note(alert, ActKind.OPENED, at)
    tell(organization, rule, alert, "firing", at)
    spell.alert = alert.pk
    return alert


def _be_about(alert: Alert, finding: Finding) -> None:
    """The detection says whose usage it is; what no rule can be of is the organization's."""
    is_text = finding.scope in TEXT_SCOPES
    if finding.scope in RuleScope.values:
        alert.scope = finding.scope
        alert.ref = 0 if is_text else int(finding.ref)
        alert.value = str(finding.ref)[:200] if is_text else ""
    alert.label = finding.label[:254]


def _take(organization: Organization, rule: AlertRule, alert: Alert, spell: Spell, at: dt.datetime) -> None:
    """The furthest reading with its parts: asked for when it moves and only then, so that whatever ends the alert finds
    the parts of its value."""
    reading = spell.reading
    has_moved = (alert.peak_starts_at, alert.actual) != (reading.start, reading.value or 0)
    alert.peak_starts_at, alert.peak_ends_at = reading.start, reading.end
    alert.actual, alert.bound, alert.expected = reading.value or 0, reading.bound, reading.expected
    alert.held_until = spell.held_until
    if reading.finding is not None:
        alert.explanation = explain_finding(reading.finding)
        alert.period_ends_at = max(alert.period_ends_at, reading.end)
    elif has_moved:
        alert.explanation = explain(organization, rule, alert, at)


def _number(spell: Spell) -> int:
    if spell.alert is None:
        raise ValueError("an alert that goes on is stored")
    return spell.alert
