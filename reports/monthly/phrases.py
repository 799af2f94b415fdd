"""Figures as the report writes them."""

from __future__ import annotations

import datetime as dt

from billing.budgets.actuals import Actual
from core import figures as words
from core.money import NANOS_PER_USD, divide_half_even
from metering.models import LimitUnit
from metering.query.metrics import Figures
from reports.models import Insight
from reports.monthly.figures import MonthFigures

_MILLION = 1_000_000
_SIGNS = {"up": "+", "down": words.MINUS}


def signed(change: words.Delta) -> str:
    """+8.5%, −1.2%; paper has no arrows."""
    return f"{_SIGNS.get(change.direction, '')}{change.text}"


def alike(*amounts: int | None) -> list[str]:
    """Amounts that stand side by side, with the same digits: those of the smallest."""
    least = min((abs(one) for one in amounts if one), default=0)
    places = None if least * 100 >= NANOS_PER_USD or not least else 4
    return [words.money(one, places) for one in amounts]


def nanos_per_million(figures: Figures) -> int | None:
    if figures.cost_nanos is None or not figures.total_tokens:
        return None
    return divide_half_even(figures.cost_nanos * _MILLION, figures.total_tokens)


def per_million(figures: Figures) -> str:
    """What a million of the tokens cost on average."""
    return words.money(nanos_per_million(figures))


def in_unit(one: Actual, value: int) -> str:
    """An amount of a budget in what it is set in."""
    return words.money(value) if one.budget.unit == LimitUnit.COST else f"{words.tokens_compact(value)} tokens"


def budget_name(one: Actual) -> str:
    return one.budget.name or one.label or "Deleted"


def guess(nanos: int | None) -> str:
    """What is expected: whole dollars, where these say something."""
    return words.money_whole(nanos) if nanos is None or abs(nanos) >= 10 * NANOS_PER_USD else words.money(nanos)


def saving(one: Insight) -> str:
    return f"{guess(one.likely_nanos)} a month"


def whose_name(found: MonthFigures) -> str:
    """As a sentence begins."""
    return f"The team {found.whose.label}" if found.whose.team else found.whose.label


def day_text(day: dt.date) -> str:
    return f"{day.day} {day:%B}"


def year_day_text(day: dt.date) -> str:
    return f"{day.day} {day:%b %Y}"


def moment_text(at: dt.datetime, found: MonthFigures) -> str:
    """In the report's zone."""
    local = at.astimezone(found.month.zone)
    return f"{local.day} {local:%B %Y}, {local:%H:%M}"
