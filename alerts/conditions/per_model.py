"""More tokens than that of any one model on one day: an alert for each model."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Need, Reading, Span, Subject, Usage, widened, windows
from alerts.conditions.units import Unit
from alerts.models import AlertRule, RuleScope
from metering.query.metrics import Figures

_NOTHING = Figures()


class PerModel(Condition):
    name = "per_model"
    title = "Per model"
    about = "More tokens of any one model than this on one day."
    sentence = "{label} used {actual} of {about} on {when}, more than {bound}."
    metric = "total_tokens"
    unit = measured = Unit.TOKENS
    threshold = 500_000
    scopes = tuple(scope for scope in RuleScope if scope != RuleScope.MODEL)
    is_per_window = True

    def needs(self, rule: AlertRule, span: Span, zone: ZoneInfo) -> list[Need]:
        return [_usage(rule, span, zone)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        days = windows("day", span, material.zone)
        return [
            Reading(
                start,
                end,
                min(end, span.end),
                rows.get(start, _NOTHING).total_tokens,
                rule.threshold,
                about=model,
            )
            for model, rows in material.usage(_usage(rule, span, material.zone)).items()
            for start, end in days
        ]


def _usage(rule: AlertRule, span: Span, zone: ZoneInfo) -> Usage:
    return Usage("day", widened(span, "day", zone), Subject.of(rule), by_model=True)
