"""So many whole hours in a row without a call."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Need, Reading, Span, Subject, Usage, Verdict, widened, windows
from alerts.conditions.units import Unit
from alerts.models import AlertRule, Window
from metering.query.metrics import Figures

_NOTHING = Figures()


class NoData(Condition):
    name = "no_data"
    title = "No data"
    about = "So many hours in a row without a single call."
    sentence = "Nothing came in from {label} for {actual}."
    metric = "hours_without_calls"
    unit = measured = Unit.HOURS
    windows = (Window.HOUR,)
    threshold = 24
    least_threshold = 1
    most_threshold = 24 * 14
    side = "reached"
    is_known_early = False
    part = None

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_usage(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        """The value of an hour is how many have been empty up to it; the hour that runs adds none."""
        need = _usage(rule, span, material.zone)
        rows = material.usage(need).get("", {})
        begins = widened(span, "hour", material.zone).start
        empty: int | None = None
        found = []
        for start, end in windows("hour", need.span, material.zone):
            if rows.get(start, _NOTHING).requests:
                empty = 0
            elif empty is not None and end <= span.end:
                empty += 1
            if start >= begins:
                found.append(Reading(start, end, min(end, span.end), empty, rule.threshold, sample=empty or 0))
        return found

    def judge(self, rule: AlertRule, reading: Reading) -> Verdict:
        return Verdict.CALM if reading.value == 0 else super().judge(rule, reading)


def _usage(rule: AlertRule, span: Span, zone: ZoneInfo) -> Usage:
    before = dt.timedelta(hours=rule.threshold + 2)
    return Usage("hour", widened(Span(span.start - before, span.end), "hour", zone), Subject.of(rule))
