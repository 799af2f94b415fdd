"""Fewer tokens than that on a whole day: somebody may have stopped sending."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.days import since_first
from alerts.conditions.reading import Need, Reading, Span, Subject, Usage, widened, windows
from alerts.conditions.units import Unit
from alerts.models import AlertRule
from metering.query.metrics import Figures

# A subject is missed once it had a call; that long before the span is looked for one.
LOOKBACK = dt.timedelta(days=28)
_NOTHING = Figures()


class LowUsage(Condition):
    name = "low_usage"
    title = "Low usage"
    about = "Fewer tokens than this on a day, told when the day is over."
    sentence = "{label} used only {actual} on {when}, less than {bound}."
    metric = "total_tokens"
    unit = measured = Unit.TOKENS
    threshold = 10_000
    least_threshold = 1
    side = "below"

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_usage(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        need = _usage(rule, span, material.zone)
        rows = material.usage(need).get("", {})
        begins = widened(span, "day", material.zone).start
        return [
            Reading(start, end, min(end, span.end), rows.get(start, _NOTHING).total_tokens, rule.threshold)
            for start, end in since_first(windows("day", need.span, material.zone), rows)
            if start >= begins
        ]


def _usage(rule: AlertRule, span: Span, zone: ZoneInfo) -> Usage:
    return Usage("day", widened(Span(span.start - LOOKBACK, span.end), "day", zone), Subject.of(rule))
