"""Where the month stands: tokens of what may be used, cost so far, and what both will come to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from core import figures as words
from core.figures import share
from core.periods import local_day, month_start, next_month
from metering.limits.standing import Standing
from metering.query.ranges import Span, named_range
from reports.bounds import Allowance, allowance_of, state_of
from reports.forecasting.viewed import NOT_FORECAST, Viewed, viewed
from reports.models import ForecastMeasure
from reports.page import UsagePage

COST, TOKENS = ForecastMeasure.COST.value, ForecastMeasure.TOKENS.value
_SECOND = dt.timedelta(seconds=1)


def position(page: UsagePage, limits: Sequence[Standing]) -> dict[str, Any]:
    """For templates/reports/_position.html. `limits` are those of the page (reports/bounds.py)."""
    month = named_range("month", page.chosen.zone, page.now)
    today = named_range("today", page.chosen.zone, page.now)
    so_far = page.run(Span(month.start, month.end))
    before = page.run(month.previous_so_far).totals if month.previous_so_far.end > month.previous_so_far.start else None
    today_totals = page.run(Span(today.start, today.end)).totals
    elapsed = Fraction(max(1, (page.now - month.start) // _SECOND), 86_400)
    tokens, cost = so_far.totals.total_tokens, so_far.totals.cost_nanos
    ahead = viewed(page)
    allowance = None if page.is_narrowed else allowance_of(page, limits)
    return {
        "tokens": tokens,
        "cost_nanos": cost,
        "previous_cost_nanos": before.cost_nanos if before and before.requests else None,
        "daily_tokens": round(tokens / elapsed),
        "daily_cost_nanos": None if cost is None else round(cost / elapsed),
        "today_tokens": today_totals.total_tokens,
        "today_cost_nanos": today_totals.cost_nanos,
        "coverage": so_far.coverage.shares,
        "allowance": _allowance(page, allowance, ahead, tokens) if allowance else None,
        "is_unlimited": allowance is None and not page.is_narrowed,
        # Of usage nobody knows the cost of, nobody knows what it will come to.
        "projected": _bill(page, ahead, so_far.totals.known_cost_nanos) if cost is not None else None,
    }


def _bill(page: UsagePage, ahead: Viewed | None, so_far: int) -> dict[str, Any]:
    until = next_month(local_day(page.now, page.chosen.zone))
    band = None if ahead is None else ahead.until(until, COST, so_far)
    return {
        "label": "Projected cost" if page.fixed or page.is_narrowed else "Projected bill",
        "cost_nanos": None if band is None else band.likely,
        "low_nanos": None if band is None else band.low,
        "high_nanos": None if band is None else band.high,
        "sentence": NOT_FORECAST if ahead is None else ahead.sentence(until),
        "url": None if ahead is None else ahead.url,
    }


# ── The allowance ──


def _allowance(page: UsagePage, allowance: Allowance, ahead: Viewed | None, month_tokens: int) -> dict[str, Any]:
    """Its own period may be another than the month: its use is that of its period then."""
    span, today = allowance.span, local_day(page.now, page.chosen.zone)
    is_month = (span.starts_on, span.ends_on) == (month_start(today), next_month(today))
    ends_at = span.ends_at or page.now + dt.timedelta(days=1)
    used = month_tokens if is_month else page.run(Span(span.starts_at, ends_at)).totals.total_tokens
    part = share(used, allowance.limit) if allowance.limit else Fraction(1)
    state = "ok" if allowance.is_shared else state_of(part)
    shown = {
        "label": allowance.label,
        "headline": f"{allowance.label}: {words.percent(part)} used.",
        "limit": allowance.limit,
        "used": used,
        "share": part,
        "status": "" if state == "ok" else state,
        "since": None if is_month else span.starts_on,
    }
    if allowance.is_shared:
        # One's own part says nothing of how much of it is left for everybody.
        whose = f"Team {page.team.name}'s part" if page.team else "Your part"
        return shown | {
            "label": f"{whose}: {allowance.label}",
            "headline": f"{whose}: {words.percent(part)} of {words.tokens(allowance.limit)} tokens.",
            "pace_share": None,
            "forecast_share": None,
            "sentence": f"{allowance.label} is shared by everybody, and the others' part is not in this.",
        }
    whole = ahead.until(span.ends_on, TOKENS, used) if ahead and span.ends_on else None
    return shown | {
        "pace_share": Fraction((page.now - span.starts_at) // _SECOND, (ends_at - span.starts_at) // _SECOND)
        if span.ends_on
        else None,
        "forecast_share": share(whole.likely, allowance.limit) if whole and allowance.limit else None,
        "sentence": _sentence(allowance, used, ahead),
    }


def _sentence(allowance: Allowance, used: int, viewed: Viewed | None) -> str:
    """When it is used up and what then, or when it begins anew."""
    if used >= allowance.limit:
        return f"It is used up; {_beyond(allowance)}."
    ahead = viewed.ahead(TOKENS) if viewed else None
    day = ahead.runs_out(allowance.limit - used).before(allowance.span.ends_on).likely if ahead else None
    if day is not None:
        return f"It likely runs out on {day:%a} {day.day} {day:%b}; then {_beyond(allowance)}."
    renews = allowance.span.ends_on
    return f"It begins anew on {renews.day} {renews:%b}." if renews else ""


def _beyond(allowance: Allowance) -> str:
    if allowance.is_charged_beyond:
        return "further tokens are charged"
    return "calls are refused" if allowance.is_hard else "calls still go through"
