"""A budget's threshold is reached: how much of it, how fast, until when, and by what."""

from __future__ import annotations

import datetime as dt

from accounts.models import Organization
from alerts.letters.letter import Letter, Tone, day, enough, percent, usd
from alerts.payloads import BudgetThreshold
from core import figures

_TONES: dict[str, Tone] = {"warning": "warning", "caution": "caution", "critical": "critical", "used up": "critical"}
# From here on it is said at any hour.
URGENT_PERCENT = 95


def threshold(data: BudgetThreshold, organization: Organization) -> Letter:
    whose = _whose(data, organization)
    used = usd(data.actual_usd) if data.actual_tokens is None else figures.tokens(data.actual_tokens)
    of = f"{used} of {_amount(data.amount_usd, data.amount_tokens)}"
    last = data.period_ends_on - dt.timedelta(days=1)
    return Letter(
        subject=f"{whose} has {_reached(data)} its budget{_named(data)}: {of}",
        lead=f"{of} is used, and {percent(data.passed_percent)} of the time from {day(data.period_starts_on)} to"
        f" {day(last)} has passed.",
        path=data.page,
        table=enough(
            ("Budget", _amount(data.amount_usd, data.amount_tokens)),
            ("Used", f"{_amount(data.actual_usd, data.actual_tokens)} ({percent(data.used_percent)})"),
            ("Threshold reached", f"{data.threshold_percent}%, {data.threshold_name}"),
            ("Time passed", percent(data.passed_percent)),
            ("Used up at this pace", _exhaustion(data)),
            ("Counts only", ", ".join(text for text in (data.model, data.feature) if text)),
            *(
                (f"By {driver.dimension.replace('_', ' ')}", f"{driver.label}: {_amount(driver.usd, driver.tokens)}")
                for driver in data.drivers
            ),
        ),
        text=(_consequence(data),),
        action="See the budget",
        tone="critical" if data.is_exceeded else _TONES.get(data.threshold_name, "warning"),
        is_urgent=data.threshold_percent >= URGENT_PERCENT,
    )


def _whose(data: BudgetThreshold, organization: Organization) -> str:
    if data.about.scope == "organization":
        return organization.name
    return data.about.label or f"A {data.about.scope.replace('_', ' ')}"


def _named(data: BudgetThreshold) -> str:
    """Which of its budgets: by the name it was given, else by what it counts alone."""
    if data.budget.name:
        return f" “{data.budget.name}”"
    alone = " and ".join(text for text in (data.model, data.feature) if text)
    return f" for {alone}" if alone else ""


def _reached(data: BudgetThreshold) -> str:
    return "used up" if data.threshold_percent == 100 else f"reached {data.threshold_percent}% of"


def _amount(dollars: str | None, tokens: int | None) -> str:
    return usd(dollars) if tokens is None else f"{figures.tokens(tokens)} tokens"


def _exhaustion(data: BudgetThreshold) -> str | None:
    """The day on which all of it is used when the rest is used as fast as what was used so far."""
    if data.is_exceeded:
        return "It is used up"
    if data.used_percent <= 0:
        return None
    days = (data.period_ends_on - data.period_starts_on).days * data.passed_percent / data.used_percent
    reached = data.period_starts_on + dt.timedelta(days=int(days))
    return day(reached) if reached < data.period_ends_on else "Not before the period ends"


def _consequence(data: BudgetThreshold) -> str:
    if not data.is_hard:
        return "Nothing is stopped: this budget only tells."
    if data.is_exceeded:
        return "The limit is hard: gateway calls that it counts are refused until the period ends or it is raised."
    return "The limit is hard: gateway calls that it counts are refused when it is used up."
