"""Conditions on what a day, an hour or a month comes to: one question of the day cube for all of them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material, running_sums
from alerts.conditions.reading import Need, Reading, Span, Subject, Usage, interval_of, widened, windows
from alerts.models import AlertRule, Window
from core.periods import Interval
from metering.query.metrics import Figures

_NOTHING = Figures()


class SumOfWindow(Condition):
    """What is summed over a window is held against the threshold. A month is read day by day, as it grows."""

    is_per_window = True

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_usage(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        need = _usage(rule, span, material.zone)
        rows = material.usage(need).get("", {})
        if rule.window == Window.MONTH:
            return self._of_months(rule, span, need, rows, material.zone)
        return [
            Reading(start, end, min(end, span.end), self.value_of(rows.get(start, _NOTHING)), rule.threshold)
            for start, end in windows(interval_of(rule.window), span, material.zone)
        ]

    def _of_months(
        self, rule: AlertRule, span: Span, need: Usage, rows: Mapping[dt.datetime, Figures], zone: ZoneInfo
    ) -> list[Reading]:
        days = windows("day", need.span, zone)
        found = []
        for start, end in windows("month", span, zone):
            inside = [day for day in days if start <= day[0] < end]
            sums = running_sums([self.value_of(rows.get(day, _NOTHING)) for day, _ in inside])
            found += [
                Reading(start, end, min(until, span.end), total, rule.threshold)
                for (_, until), total in zip(inside, sums, strict=True)
            ]
        return found


def _usage(rule: AlertRule, span: Span, zone: ZoneInfo) -> Usage:
    interval = interval_of(rule.window)
    bucket: Interval = "day" if interval == "month" else interval
    return Usage(bucket, widened(span, interval, zone), Subject.of(rule))


def since_first(
    spans: list[tuple[dt.datetime, dt.datetime]], rows: Mapping[dt.datetime, Figures]
) -> list[tuple[dt.datetime, dt.datetime]]:
    """Buckets behind the first one with a call: before it there was nobody to miss."""
    return list(itertools.dropwhile(lambda one: not rows.get(one[0], _NOTHING).requests, spans))[1:]
