"""One budget: actual against it over its period, its thresholds, where the figure comes from, and who set it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from accounts.audit_log import changes_of
from accounts.models import AuditEntry
from accounts.requests import OrganizationRequest
from billing.budgets import records
from billing.budgets.actuals import Actual, actuals, by_time
from billing.budgets.listing import rows_of
from billing.budgets.reach import Reach
from billing.models import Budget, BudgetCrossing, BudgetPeriod
from billing.periods import Period
from billing.views.budgets import sees_budgets
from core import figures as words
from core.days import is_within_years
from core.errors import ApiError
from core.money import divide_half_even
from core.periods import Interval, local_day, month_start
from metering.models import LimitUnit
from metering.query.latest import latest_event_at
from metering.query.ranges import Span, intervals_for
from metering.query.run import UsageResult
from reports.forecasting.exhaustion import exhaustion_of
from reports.forecasting.lasting import shown as lasting_of
from reports.series import INTERVAL_NAMES, MEASURES, Measure, bucket_label, bucket_title, running_words

MOST_CROSSINGS = 30
MOST_ENTRIES = 20
# How far back a month's budget can be looked at.
MOST_MONTHS_BACK = 24
_DAY = dt.timedelta(days=1)


@require_safe
@sees_budgets
def detail(request: OrganizationRequest, budget: int) -> HttpResponse:
    """`?month=2026-10` looks at another period of a budget that is set by month."""
    organization, at = request.organization, now()
    reach = Reach.of(request.membership)
    try:
        row = records.find(budget, reach)
    except ApiError as error:
        raise Http404 from error
    today = local_day(at, organization.zone)
    asked = _moment(request, row, at)
    actual = actuals(organization, [row], asked)[0]
    used = by_time(organization, row, actual.span, _interval(request, actual.span))
    shown = rows_of([actual], reach, organization.slug)[0]
    context = {
        "page": {"title": row.name or actual.label or "Budget"},
        "row": shown,
        "actual": actual,
        "budget": row,
        "last_day": actual.span.ends_on - _DAY,
        "is_now": today in actual.span,
        "may_set": reach.may_set(row.scope, row.ref),
        "lasting": _lasting(request, actual, at),
        "chart": _chart(request, actual, used, at),
        # The chart's buckets are another question than the budget's own: both give the same sum.
        "proof": {
            "sum": used.totals.known_cost_nanos if shown["is_money"] else used.totals.total_tokens,
            "events": used.totals.requests,
            "difference": _sum(actual, used) - actual.used,
            "unpriced_tokens": used.totals.unpriced_tokens,
            "last_event_at": latest_event_at(organization.pk),
        },
        "crossings": list(
            BudgetCrossing.objects.filter(budget=row).order_by("-period_starts_on", "-percent")[:MOST_CROSSINGS]
        ),
        "entries": _history(row) if reach.may_set(row.scope, row.ref) else [],
        **_periods(request, row, actual.span, today),
    }
    return render(request, "reports/budget.html", context)


def _lasting(request: OrganizationRequest, actual: Actual, at: dt.datetime) -> dict[str, Any] | None:
    """When it is likely used up, as the forecast page has it; None of a period that is not running."""
    if local_day(at, request.organization.zone) not in actual.span:
        return None
    return lasting_of(exhaustion_of(request.organization, actual, at), request.organization.slug)


# What the audit log calls a budget's fields → what its form does.
_CALLED = {
    "ref": "for",
    "scope": "counts the usage of one",
    "unit": "in",
    "starts on": "from",
    "ends on": "until before",
    "is hard": "refuses calls beyond it",
    "archived at": "archived",
}


def _history(budget: Budget) -> list[tuple[AuditEntry, list[tuple[str, str | None, str]]]]:
    entries = AuditEntry.objects.filter(target="budget", target_id=str(budget.pk)).order_by("-at", "-id")
    return [
        (entry, [(_CALLED.get(name, name), before, after) for name, before, after in changes_of(entry)])
        for entry in entries[:MOST_ENTRIES]
    ]


def _moment(request: OrganizationRequest, budget: Budget, at: dt.datetime) -> dt.datetime:
    """A moment of the period that is asked for. Raises Http404 for a month there is none of."""
    text = request.GET.get("month", "")
    if not text or budget.period != BudgetPeriod.MONTH:
        return at
    try:
        month = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=request.organization.zone)
    except ValueError as error:
        raise Http404("no month") from error
    if not is_within_years(month):
        raise Http404("no month")
    if month.date() not in _months(local_day(at, request.organization.zone)):
        raise Http404("too long ago, or to come")
    last = (month.replace(day=28) + 4 * _DAY).replace(day=1) - dt.timedelta(seconds=1)
    return min(at, last)


def _months(today: dt.date) -> list[dt.date]:
    """The months that can be looked at, the present one first."""
    months = [month_start(today)]
    while len(months) < MOST_MONTHS_BACK:
        months.append(month_start(months[-1] - _DAY))
    return months


def _periods(request: OrganizationRequest, budget: Budget, span: Period, today: dt.date) -> dict[str, Any]:
    """The way to the month before and behind the one that is shown."""
    if budget.period != BudgetPeriod.MONTH:
        return {"before": None, "behind": None}
    months = _months(today)
    place = months.index(span.starts_on)
    path = reverse("reports:budget", args=[request.organization.slug, budget.pk])

    def link(month: dt.date) -> dict[str, str]:
        return {"label": f"{month:%B %Y}", "url": path if month == months[0] else f"{path}?month={month:%Y-%m}"}

    return {
        "before": link(months[place + 1]) if place + 1 < len(months) else None,
        "behind": link(months[place - 1]) if place else None,
    }


# ── The chart ──


def _interval(request: OrganizationRequest, span: Period) -> Interval:
    return intervals_for(Span(*span.instants(request.organization.zone)))[0]


def _measure(actual: Actual) -> Measure:
    return MEASURES["cost" if actual.budget.unit == LimitUnit.COST else "tokens"]


def _sum(actual: Actual, used: UsageResult) -> int:
    value = _measure(actual).lines[0].value
    return sum(value(one.figures) for one in used.rows)


def _chart(request: OrganizationRequest, actual: Actual, used: UsageResult, at: dt.datetime) -> dict[str, Any]:
    """What was used so far, added up bucket by bucket, beside an even pace towards the budget."""
    zone, interval, measure = request.organization.zone, _interval(request, actual.span), _measure(actual)
    value, rows = measure.lines[0].value, used.rows
    start, end = actual.span.instants(zone)
    second = dt.timedelta(seconds=1)
    parts = [value(one.figures) for one in rows]
    sums = [sum(parts[: place + 1]) for place in range(len(parts))]
    paces = [
        divide_half_even(actual.budget.amount * ((min(one.end, end) - start) // second), (end - start) // second)
        for one in rows
    ]
    begun, over = [one.start <= at for one in rows], [one.end <= at for one in rows]
    texts = [measure.text(total) if has else None for total, has in zip(sums, begun, strict=True)]
    titles = [bucket_title(one.start, one.end, interval, zone) for one in rows]
    budget_words = measure.text(actual.budget.amount)
    series: list[dict[str, Any]] = [
        {
            "label": "Actual, added up",
            "role": "now",
            "data": [measure.drawn(total) if done else None for total, done in zip(sums, over, strict=True)],
            "texts": texts,
        },
        {
            "label": "Even pace",
            "role": "previous",
            "data": [measure.drawn(pace) for pace in paces],
            "texts": [measure.text(pace) for pace in paces],
        },
    ]
    running = [has and not done for has, done in zip(begun, over, strict=True)]
    if any(running):
        series.insert(
            1,
            {
                "label": "Actual, added up",
                "role": "partial",
                "key": running_words(interval),
                "data": [measure.drawn(total) if is_now else None for total, is_now in zip(sums, running, strict=True)],
                "texts": texts,
            },
        )
    return {
        "id": "budget-chart",
        "title": "Actual against budget",
        "description": f"{measure.text(actual.used)} used of {budget_words}",
        "json": {
            "kind": "lines",
            "unit": measure.unit,
            "measure": measure.label,
            "title": "Actual against budget",
            "subtitle": f"{actual.span.starts_on:%-d %B %Y} to {actual.span.ends_on - _DAY:%-d %B %Y}",
            "labels": [bucket_label(one.start, interval, zone) for one in rows],
            "titles": titles,
            "series": series,
            "marks": [{"y": measure.drawn(actual.budget.amount), "label": f"Budget {budget_words}", "role": "budget"}],
        },
        "table": {
            "columns": [INTERVAL_NAMES[interval], "Used", "Added up", "Even pace"],
            "rows": [
                {
                    "label": title,
                    "cells": [
                        *([_exact(measure, part), _exact(measure, total)] if has else [words.UNKNOWN, words.UNKNOWN]),
                        measure.text(pace),
                    ],
                }
                for title, part, total, pace, has in zip(titles, parts, sums, paces, begun, strict=True)
            ],
        },
    }


def _exact(measure: Measure, value: int) -> str:
    return words.money_exact(value) if measure.unit == "usd" else words.tokens(value)
