"""Whether an amount lasts, as pages show it: the same day and the same words wherever it stands."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.urls import reverse

from core import figures as words
from core.figures import share
from reports.forecasting.exhaustion import Exhaustion, State
from reports.models import ForecastMeasure

# State → how it looks, and in which words.
LOOKS: dict[State, tuple[str, str, str]] = {
    State.USED_UP: ("critical", "exclamation-octagon-fill", "Used up"),
    State.LIKELY: ("caution", "exclamation-triangle-fill", "Runs out"),
    State.POSSIBLE: ("warning", "exclamation-triangle", "May run out"),
    State.LASTS: ("ok", "check-lg", "Lasts"),
    State.BEYOND: ("ok", "check-lg", "Lasts so far"),
    State.TOO_LITTLE_HISTORY: ("", "question-circle", "Not known"),
}


def shown(one: Exhaustion, slug: str) -> dict[str, Any]:
    """For templates/reports/_forecast_bounds.html and a budget's own page."""
    look, icon, state = LOOKS[one.state]
    urls = {
        "budget": one.budget and reverse("reports:budget", args=[slug, one.budget.pk]),
        "credits": reverse("billing:credits", args=[slug]),
    }
    return {
        "bound": one,
        "label": one.label,
        "url": urls.get(one.kind),
        "used": _known(one.used, one.measure),
        "amount": _known(one.amount, one.measure),
        "share": share(one.used, one.amount) if one.amount else None,
        "last_day": None if one.ends_on is None else one.ends_on - dt.timedelta(days=1),
        "when": _when(one),
        "between": _between(one),
        "look": look,
        "icon": icon,
        "words": state,
    }


def _when(one: Exhaustion) -> str:
    """The likely day, or why there is none."""
    likely = one.runs_out.likely
    if likely is not None:
        return f"{likely:%a} {likely.day} {likely:%b}"
    return {
        State.USED_UP: "Already",
        State.POSSIBLE: "Not likely",
        State.BEYOND: "Not in the days that are forecast",
        State.TOO_LITTLE_HISTORY: words.UNKNOWN,
    }.get(one.state, "Not within the period")


def _known(value: int, measure: str) -> str:
    """What is no guess: to the cent, and tokens short."""
    return words.money(value) if measure == ForecastMeasure.COST else "".join(words.compact_parts(value))


def _between(one: Exhaustion) -> str:
    """The days between which it is used up in eight of ten cases."""
    early, late = one.runs_out.early, one.runs_out.late
    if early is None:
        return ""
    if late is None:
        return f"{early:%-d %b} to {'after its end' if one.ends_on else 'later'}"
    return "hardly any other day" if early == late else f"{early:%-d %b} to {late:%-d %b}"
