"""When a rule would have fired: its windows of the last 90 days, judged and followed as live ones are."""

from __future__ import annotations

import datetime as dt

import msgspec

from accounts.models import Organization
from alerts.conditions import condition
from alerts.conditions.reading import Reading, Span, Verdict
from alerts.evaluation.course import Spell, Turn, follow
from alerts.evaluation.judging import judge
from alerts.models import AlertRule
from core.periods import day_start, local_day
from core.tenancy import organization_scope

DAYS = 90


class Firing(msgspec.Struct, frozen=True):
    """An alert that would have been: of which window, at what reading, and when it would have been over."""

    about: str
    spell: Spell

    @property
    def at(self) -> dt.datetime:
        return self.spell.reading.at


class Preview(msgspec.Struct, frozen=True):
    """`firings` in order of time; `judged` are all readings of [start, end)."""

    rule: AlertRule
    start: dt.datetime
    end: dt.datetime
    firings: tuple[Firing, ...]
    judged: tuple[tuple[Reading, Verdict], ...]


def preview(organization: Organization, rule: AlertRule, at: dt.datetime, days: int = DAYS) -> Preview:
    """Of a rule that need not be saved. Opens the organization's scope."""
    zone = organization.zone
    start = day_start(local_day(at, zone) - dt.timedelta(days=days), zone)
    with organization_scope(organization.pk):
        by_about = judge(organization, {0: Span(start, at)}, [rule], at, is_live=False)[0]
    firings = []
    for about, judged in by_about.items():
        steps = follow(condition(rule.condition), rule.threshold, judged, at=at)
        firings += [Firing(about, step.spell) for step in steps if step.turn is Turn.OPENED]
    return Preview(
        rule,
        start,
        at,
        tuple(sorted(firings, key=lambda firing: (firing.spell.start, firing.about))),
        tuple(one for judged in by_about.values() for one in judged),
    )
