"""Alerts in words: one sentence that says what, how much, when, and against what."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from zoneinfo import ZoneInfo

from alerts.conditions import condition
from alerts.conditions.units import Unit
from alerts.models import Alert, Window
from core import figures as words


def sentence(alert: Alert, zone: ZoneInfo) -> str:
    judged_by, measured = condition(alert.condition), unit_of(alert)
    return judged_by.sentence.format(
        text=alert.explanation.get("text", ""),
        label=alert.label,
        about=alert.about or "calls without a model",
        actual=measured.text(alert.actual),
        bound=measured.text(alert.bound),
        expected=measured.text(alert.expected or 0),
        share=share_text(alert),
        when=when(alert, zone),
        when_in=when_in(alert, zone),
        sample="calls",
    )


def unit_of(alert: Alert) -> Unit:
    """Of its figures: a finding's own, else the condition's."""
    return Unit(alert.explanation.get("unit", condition(alert.condition).measured))


def part_unit_of(alert: Alert) -> Unit:
    """Of its parts: a share's are what is counted of it."""
    return _PART_UNITS.get(condition(alert.condition).part or "", unit_of(alert))


_PART_UNITS = {"errors": Unit.REQUESTS, "unpriced_tokens": Unit.TOKENS}


# What is new about usage, and no figure out of its range.
FINDINGS = {
    "new_model": "New model",
    "new_key": "New key",
    "dormant_key": "Key in use again",
    "unusual_hours": "Unusual hours",
    "model_switched": "Model switched",
}


def title_of(alert: Alert, rule_name: str) -> str:
    """What found it; of what is unusual, what that is."""
    if alert.condition != "anomaly":
        return rule_name
    said = alert.explanation
    return FINDINGS.get(said.get("kind", ""), f"Unusual {said.get('measure', 'usage')}")


def about_of(alert: Alert) -> str:
    """The model, of rules that watch each by itself."""
    return alert.about if alert.condition == "per_model" else ""


def share(alert: Alert) -> Fraction | None:
    """How much of what was to be expected, or of the allowance, it is."""
    if alert.condition == "hourly_spike" and alert.expected:
        return Fraction(alert.actual, alert.expected)
    if alert.condition == "allowance_share" and alert.bound:
        return Fraction(alert.actual * alert.threshold, alert.bound * 100_00)
    return None


def share_text(alert: Alert) -> str:
    found = share(alert)
    return "" if found is None else words.percent(found, 0)


def when(alert: Alert, zone: ZoneInfo) -> str:
    """The window's beginning: a day by its date, less by its time too."""
    start = alert.peak_starts_at.astimezone(zone)
    if alert.window in (Window.DAY, Window.BILLING):
        return day_text(start)
    if alert.window == Window.MONTH:
        return f"{start:%B %Y}"
    return f"{start:%H:%M} on {day_text(start)}"


def when_in(alert: Alert, zone: ZoneInfo) -> str:
    if alert.window == Window.QUARTER:
        return f"in the quarter hour from {when(alert, zone)}"
    if alert.window == Window.HOUR:
        return f"in the hour from {when(alert, zone)}"
    if alert.window == Window.MONTH:
        return f"in {when(alert, zone)}"
    return f"on {when(alert, zone)}"


def day_text(at: dt.datetime) -> str:
    return f"{at:%A} {at.day} {at:%B}"
