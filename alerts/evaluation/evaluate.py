"""One organization's rules against its usage, now.

Rules are locked while they are judged, so of two that evaluate at once the second one reads what the first has told.
Behind the lock stand unique keys: an alert a rule, subject, period and threshold, and one open one.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence

from django.db.models import QuerySet

from accounts.models import Organization
from alerts.conditions import condition
from alerts.conditions.reading import Span, interval_of
from alerts.evaluation import keeping
from alerts.evaluation.course import Spell, follow
from alerts.evaluation.judging import judge
from alerts.models import Alert, AlertRule, AlertState, Resolution, Window
from core.periods import bucket_start, next_bucket
from core.tenancy import organization_scope

# An evaluation that was not asked for comes by itself, if the clock has nothing to say before.
CATCH_UP = dt.timedelta(minutes=10)
# How far back a rule looks that was not evaluated for long.
FURTHEST = dt.timedelta(days=3)
_SETTLED = dt.timedelta(seconds=2)
# Alerts that are over that long play no part any more.
_KNOWN = dt.timedelta(days=4)


def evaluate(organization: Organization, at: dt.datetime) -> None:
    """Opens, carries on, ends and tells alerts. Safe to repeat, and to run twice at once."""
    with organization_scope(organization.pk):
        rules = [rule for rule in _locked_rules() if not _rests(rule, at)]
        if not rules:
            return
        alerts = _alerts(rules, at)
        spans = {place: _span(organization, rule, alerts[rule.pk], at) for place, rule in enumerate(rules)}
        judged = judge(organization, spans, rules, at)
        for place, rule in enumerate(rules):
            known = alerts[rule.pk]
            by_about: dict[str, list[Alert]] = defaultdict(list)
            for alert in known:
                by_about[alert.about].append(alert)
            judged_by = condition(rule.condition)
            for about in [*judged[place], *(about for about in by_about if about not in judged[place])]:
                past = [_spell(alert) for alert in by_about[about] if alert.threshold == rule.threshold]
                found = judged[place].get(about) or judged_by.absence(at)
                steps = follow(judged_by, rule.threshold, found, past, at=at)
                known += keeping.keep(organization, rule, steps, {alert.pk: alert for alert in by_about[about]}, at)
            keeping.tell_again(organization, rule, known, at)
            rule.judged_until = max(rule.judged_until, at)
            rule.due_at = _due(organization, rule, known, at)
        AlertRule.objects.bulk_update(rules, ["judged_until", "due_at"])


def _locked_rules() -> QuerySet[AlertRule]:
    return AlertRule.objects.select_for_update(no_key=True).filter(archived_at=None, is_enabled=True).order_by("pk")


def _rests(rule: AlertRule, at: dt.datetime) -> bool:
    """Whether it was evaluated so lately that it need not be again."""
    is_new = rule.judged_until <= rule.watches_from
    return not is_new and at < rule.judged_until + condition(rule.condition).pause


def _alerts(rules: Sequence[AlertRule], at: dt.datetime) -> dict[int, list[Alert]]:
    """By rule: what is open, what was over lately, and what is of a period that runs."""
    found: dict[int, list[Alert]] = {rule.pk: [] for rule in rules}
    recent = Alert.objects.filter(rule__in=found).exclude(
        state=AlertState.RESOLVED, resolved_at__lt=at - _KNOWN, period_ends_at__lt=at
    )
    for alert in recent.order_by("period_starts_at", "pk"):
        found[alert.rule_id].append(alert)
    return found


def _spell(alert: Alert) -> Spell:
    return Spell(
        alert.period_starts_at,
        alert.period_ends_at,
        alert.threshold,
        alert.held_until,
        keeping.reading_of(alert),
        alert.resolved_at,
        alert.resolution == Resolution.BY_HAND,
        alert.pk,
    )


def _span(organization: Organization, rule: AlertRule, alerts: Sequence[Alert], at: dt.datetime) -> Span:
    """From one window before what was judged, so that what came a little late still counts; and from what still holds,
    so that a calm is seen whole."""
    since = max(rule.judged_until, at - FURTHEST)
    held = [alert.held_until for alert in alerts if alert.state != AlertState.RESOLVED]
    if rule.window in (Window.MOMENT, Window.BILLING, Window.MONTH):
        # The window that ended a moment ago has its last word, too.
        return Span(max(since, rule.watches_from) if rule.window == Window.MOMENT else since, at)
    interval = interval_of(rule.window)
    before = bucket_start(
        bucket_start(since, interval, organization.zone) - dt.timedelta(seconds=1), interval, organization.zone
    )
    first = bucket_start(rule.watches_from, interval, organization.zone)
    return Span(max(min([before, *held, at]), at - FURTHEST, first), at)


def _due(organization: Organization, rule: AlertRule, alerts: Sequence[Alert], at: dt.datetime) -> dt.datetime:
    """When the clock alone may change something: a window ends, a snooze is over, it is to be told again."""
    moments = [at + CATCH_UP]
    if rule.window not in (Window.MOMENT, Window.BILLING):
        interval = interval_of(rule.window)
        moments.append(
            next_bucket(bucket_start(at, interval, organization.zone), interval, organization.zone) + _SETTLED
        )
    moments += [moment for alert in alerts if (moment := keeping.told_next(rule, alert)) is not None and moment > at]
    return min(moments)
