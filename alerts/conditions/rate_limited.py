"""Calls that were refused for coming too fast."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Need, Reading, Refusals, Span, Subject, interval_of, widened, windows
from alerts.conditions.units import Unit
from alerts.models import AlertRule, RuleScope, Window


class RateLimited(Condition):
    name = "rate_limited"
    title = "Frequent rate limiting"
    about = "More calls than this are refused for coming too fast."
    sentence = "{actual} of {label} were refused for coming too fast {when_in}, more than {bound}."
    kind = "rate_limit.frequent"
    metric = "refused"
    unit = measured = Unit.REQUESTS
    windows = (Window.HOUR, Window.DAY)
    # What is refused is no usage: only the key is known, and whose it is.
    scopes = (RuleScope.ORGANIZATION, RuleScope.PROJECT, RuleScope.MEMBER, RuleScope.API_KEY)
    threshold = 100
    part = None

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_refusals(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        quarters = material.refusals(_refusals(rule, span, material.zone))
        return [
            Reading(
                start,
                end,
                min(end, span.end),
                sum(count for at, count in quarters.items() if start <= at < end),
                rule.threshold,
            )
            for start, end in windows(interval_of(rule.window), span, material.zone)
        ]


def _refusals(rule: AlertRule, span: Span, zone: ZoneInfo) -> Refusals:
    return Refusals(widened(span, interval_of(rule.window), zone), Subject.of(rule))
