"""Where the month stands: tokens of what may be used, cost so far, and what both will come to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from core.figures import share
from core.periods import local_day, next_month
from metering.limits.standing import Standing
from metering.query.ranges import Range, Span, named_range
from reports.bounds import Allowance, allowance_of
from reports.page import UsagePage
from reports.projection import Projection, projected


def position(page: UsagePage, limits: Sequence[Standing]) -> dict[str, Any]:
    """For templates/reports/_position.html. `limits` are those of the page (reports/bounds.py)."""
    month = named_range("month", page.chosen.zone, page.now)
    today = named_range("today", page.chosen.zone, page.now)
    so_far = page.run(Span(month.start, month.end))
    before = page.run(month.previous_so_far).totals if month.previous_so_far.end > month.previous_so_far.start else None
    today_totals = page.run(Span(today.start, today.end)).totals
    elapsed = Fraction(max(1, (page.now - month.start) // dt.timedelta(seconds=1)), 86_400)
    tokens, cost = so_far.totals.total_tokens, so_far.totals.cost_nanos
    ahead = projected(page, page.now)
    allowance = None if page.is_narrowed else allowance_of(page, limits, tokens)
    return {
        "tokens": tokens,
        "cost_nanos": cost,
        "previous_cost_nanos": before.cost_nanos if before and before.requests else None,
        "daily_tokens": round(tokens / elapsed),
        "daily_cost_nanos": None if cost is None else round(cost / elapsed),
        "today_tokens": today_totals.total_tokens,
        "today_cost_nanos": today_totals.cost_nanos,
        "coverage": so_far.coverage.shares,
        "allowance": _allowance(page, allowance, ahead.tokens if ahead else None, month) if allowance else None,
        "is_unlimited": allowance is None and not page.is_narrowed,
        # Of usage nobody knows the cost of, nobody knows what it will come to.
        "projected": _bill(page, ahead.cost) if ahead and cost is not None else None,
    }


def _bill(page: UsagePage, cost: Projection) -> dict[str, Any]:
    return {
        "label": "Projected cost" if page.fixed or page.is_narrowed else "Projected bill",
        "cost_nanos": cost.likely,
        "low_nanos": cost.low,
        "high_nanos": cost.high,
        "sentence": cost.basis,
    }


def _allowance(page: UsagePage, allowance: Allowance, tokens: Projection | None, month: Range) -> dict[str, Any]:
    shown = {
        "label": allowance.label,
        "limit": allowance.limit,
        "used": allowance.used,
        "share": allowance.share,
        "status": "" if allowance.status == "ok" else allowance.status,
        "is_shared": allowance.is_shared,
        "pace_share": None,
        "forecast_share": None,
    }
    if allowance.is_shared:
        # One's own part says nothing of how much of it is left for everybody.
        return shown | {"sentence": "It is included for the whole organization."}
    is_month = allowance.renews_on == next_month(local_day(page.now, page.chosen.zone))
    second = dt.timedelta(seconds=1)
    pace = Fraction((page.now - month.start) // second, (month.end - month.start) // second)
    return shown | {
        "pace_share": pace if is_month else None,
        "forecast_share": share(tokens.likely, allowance.limit) if tokens and is_month else None,
        "sentence": _sentence(page, allowance, tokens if is_month else None),
    }


def _sentence(page: UsagePage, allowance: Allowance, tokens: Projection | None) -> str:
    """When it is used up, or when it begins anew."""
    if allowance.used >= allowance.limit:
        return "It is used up."
    days = tokens.days_until(allowance.limit) if tokens else None
    if days is not None:
        day = local_day(page.now, page.chosen.zone) + dt.timedelta(days=days)
        return f"At this rate it runs out about {day:%a} {day.day} {day:%b}."
    if allowance.renews_on:
        return f"It begins anew on {allowance.renews_on.day} {allowance.renews_on:%b}."
    return ""
