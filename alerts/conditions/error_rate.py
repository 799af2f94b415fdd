"""The share of calls that failed."""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Need, Reading, Span, Subject, Usage, interval_of, widened, windows
from alerts.conditions.units import Unit, hundredths
from alerts.models import AlertRule, Window
from metering.query.metrics import Figures

_NOTHING = Figures()


class ShareOfWindow(Condition):
    """A part of a window's whole, judged when the window is over: before that it may go either way."""

    unit = measured = Unit.PERCENT
    windows: ClassVar[tuple[Window, ...]] = (Window.QUARTER, Window.HOUR, Window.DAY)
    most_threshold = 100_00
    is_known_early = False

    def part_and_whole(self, figures: Figures) -> tuple[int, int]:
        raise NotImplementedError

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_usage(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        rows = material.usage(_usage(rule, span, material.zone)).get("", {})
        found = []
        for start, end in windows(interval_of(rule.window), span, material.zone):
            part, whole = self.part_and_whole(rows.get(start, _NOTHING))
            value = hundredths(part, whole) if whole else 0
            found.append(Reading(start, end, min(end, span.end), value, rule.threshold, sample=whole))
        return found


class ErrorRate(ShareOfWindow):
    name = "error_rate"
    title = "Error rate"
    about = "More of the calls than this fail."
    sentence = "{actual} of {label}’s {sample} failed {when_in}, more than {bound}."
    metric = "error_percent"
    threshold = 5_00
    minimum = 20
    calm = 2
    part = "errors"

    def part_and_whole(self, figures: Figures) -> tuple[int, int]:
        return figures.errors, figures.requests


def _usage(rule: AlertRule, span: Span, zone: ZoneInfo) -> Usage:
    interval = interval_of(rule.window)
    return Usage(interval, widened(span, interval, zone), Subject.of(rule))
