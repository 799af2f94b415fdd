"""So many percent of what the plan includes for its month."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material, running_sums
from alerts.conditions.reading import Allowances, Need, Reading, Span, Subject, Usage, windows
from alerts.conditions.units import Unit
from alerts.models import AlertRule, Window
from core.periods import day_start, local_day
from metering.query.metrics import Figures

_NOTHING = Figures()
# Two billing periods at most: the one a span begins in may have begun that long before.
_LONGEST_PERIOD = dt.timedelta(days=32)


class AllowanceShare(Condition):
    name = "allowance_share"
    title = "Share of the allowance"
    about = "This share of the tokens that the plan includes for a billing period is used."
    sentence = "{label} used {actual} of the plan’s allowance in this billing period: {share} of it."
    metric = "allowance_percent"
    unit = Unit.PERCENT
    measured = Unit.TOKENS
    windows = (Window.BILLING,)
    threshold = 80_00
    least_threshold = 1
    most_threshold = 1_000_00
    side = "reached"
    is_per_window = True

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [Allowances(), _usage(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        """Day by day, as the period's use grows. Nothing where the plan includes any number of tokens."""
        contract = material.contract(Allowances())
        if contract is None:
            return []
        zone = material.zone
        need = _usage(rule, span, zone)
        rows = material.usage(need).get("", {})
        days = windows("day", need.span, zone)
        found = []
        period = contract.period(local_day(span.start, zone))
        while day_start(period.starts_on, zone) < span.end:
            start, end = period.instants(zone)
            allowance = contract.allowance(period)
            inside = [day for day in days if start <= day[0] < end]
            sums = running_sums([rows.get(day, _NOTHING).total_tokens for day, _ in inside])
            if allowance is not None:
                # Reached when used ÷ allowance is: the first whole token that is that much.
                bound = -(-allowance * rule.threshold // 100_00)
                found += [
                    Reading(start, end, min(until, span.end), used, max(1, bound), allowance)
                    for (_, until), used in zip(inside, sums, strict=True)
                ]
            period = contract.period(period.ends_on)
        return found


def _usage(rule: AlertRule, span: Span, zone: ZoneInfo) -> Usage:
    begins = day_start(local_day(span.start - _LONGEST_PERIOD, zone), zone)
    return Usage("day", Span(begins, span.end), Subject.of(rule))
