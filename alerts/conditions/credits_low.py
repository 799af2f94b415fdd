"""Less prepaid money than that."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from alerts.conditions.condition import Condition, Material
from alerts.conditions.reading import Credits, Need, Reading, Span
from alerts.conditions.units import Unit
from alerts.models import AlertRule, RuleScope, Window
from core.money import NANOS_PER_USD


class CreditsLow(Condition):
    name = "credits_low"
    title = "Credits low"
    about = "Less credit than this is left."
    sentence = "{actual} of credits are left, less than {bound}."
    kind = "credits.low"
    metric = "credits_available_usd"
    unit = measured = Unit.USD
    windows = (Window.MOMENT,)
    scopes = (RuleScope.ORGANIZATION,)
    threshold = 10 * NANOS_PER_USD
    least_threshold = 1
    side = "below"
    is_about_money = True
    part = None

    def needs(self, _rule: AlertRule, span: Span, _zone: ZoneInfo) -> list[Need]:
        return [Credits(span)]

    def read(self, rule: AlertRule, span: Span, material: Material) -> list[Reading]:
        """At each entry of the ledger, and now. An organization that never had credits misses none."""
        return [Reading(at, at, at, nanos, rule.threshold) for at, nanos in material.credits(Credits(span))]
