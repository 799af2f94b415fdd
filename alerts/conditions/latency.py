"""How long the slowest twentieth of the calls took."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Latencies, Need, Reading, Span, Subject, interval_of, widened, windows
from alerts.conditions.units import Unit
from alerts.models import AlertRule, Window


class Latency(Condition):
    name = "latency"
    title = "Latency"
    about = "One of twenty calls takes longer than this (the 95th percentile)."
    sentence = "One of twenty calls of {label} took {actual} or longer {when_in}, more than {bound}."
    metric = "latency_p95_ms"
    unit = measured = Unit.MS
    windows = (Window.QUARTER, Window.HOUR, Window.DAY)
    threshold = 30_000
    least_threshold = 1
    minimum = 20
    is_known_early = False
    calm = 2
    part = None

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_latencies(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        known = material.latencies(_latencies(rule, span, material.zone))
        found = []
        for start, end in windows(interval_of(rule.window), span, material.zone):
            value, calls = known.get(start, (None, 0))
            found.append(Reading(start, end, min(end, span.end), value or 0, rule.threshold, sample=calls))
        return found


def _latencies(rule: AlertRule, span: Span, zone: ZoneInfo) -> Latencies:
    interval = interval_of(rule.window)
    return Latencies(interval, widened(span, interval, zone), Subject.of(rule))
