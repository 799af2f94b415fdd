"""Usage that is not what is usual (alerts/detection), and facts about who uses what: an alert for each finding."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Findings, Need, Reading, Span, Verdict
from alerts.conditions.units import Unit
from alerts.detection.finding import Finding
from alerts.detection.measures import Measure
from alerts.models import AlertRule, RuleScope, Window

UNITS = {
    Measure.TOKENS: Unit.TOKENS,
    Measure.COST: Unit.USD,
    Measure.REQUESTS: Unit.REQUESTS,
    Measure.ERRORS: Unit.REQUESTS,
}


class Anomaly(Condition):
    name = "anomaly"
    title = "Unusual usage"
    about = "What is far from usual for the hour and the day of the week: by organization, key, model and others."
    sentence = "{text}"
    kind = "usage.anomaly"
    metric = "usual_range"
    windows = (Window.HOUR,)
    # Whose usage it is, the detection says.
    scopes = (RuleScope.ORGANIZATION,)
    unit = Unit.COUNT
    threshold = 0
    most_threshold = 0
    part = None
    is_slow = True
    # Weeks of hours are read for it.
    pause = dt.timedelta(minutes=5)

    def needs(self, _rule: AlertRule, span: Span, _zone: ZoneInfo) -> list[Need]:
        return [Findings(span)]

    def read(self, _rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        """Those that say something a wider finding, or another measure's, does not say already."""
        readings: list[Reading] = []
        before: set[str] = set()
        for seen in material.findings(Findings(span)):
            leading = [found for found in seen.findings if found.within is None]
            readings += [_reading(found, seen.at) for found in leading]
            matters = {found.matter for found in leading}
            readings += [_gone(seen.at, matter) for matter in sorted(before - matters)]
            before = matters
        return readings

    def judge(self, _rule: AlertRule, reading: Reading) -> Verdict:
        return Verdict.CALM if reading.finding is None else Verdict.HOLDS

    def further(self, one: int, _other: int) -> int:
        """The newer one: it is of all hours so far, perhaps in another measure."""
        return one

    def absence(self, at: dt.datetime) -> list[tuple[Reading, Verdict]]:
        """What is not found any more is over."""
        return [(_gone(at), Verdict.CALM)]


def _reading(found: Finding, at: dt.datetime) -> Reading:
    return Reading(
        found.period_start,
        found.period_end,
        at,
        found.actual,
        found.expected,
        found.expected,
        about=found.matter,
        finding=found,
    )


def _gone(at: dt.datetime, matter: str = "") -> Reading:
    return Reading(at, at, at, None, 0, about=matter)
