"""The dates a budget counts, at a moment."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from billing.models import Budget, BudgetPeriod
from billing.periods import Period
from core.periods import local_day, month_start, next_month


def span_of(budget: Budget, at: dt.datetime, zone: ZoneInfo) -> Period:
    """The month that `at` is in, or the budget's own dates, whether they have begun, or are over, or not."""
    if budget.period == BudgetPeriod.MONTH:
        day = local_day(at, zone)
        return Period(month_start(day), next_month(day))
    if budget.starts_on is None or budget.ends_on is None:
        raise ValueError("a custom period has dates")
    return Period(budget.starts_on, budget.ends_on)


def is_running(budget: Budget, at: dt.datetime, zone: ZoneInfo) -> bool:
    return local_day(at, zone) in span_of(budget, at, zone)
