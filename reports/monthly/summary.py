"""The first page: what was spent, against what, why it changed, what the next month will come to, what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from billing.budgets.actuals import Actual
from core import figures as words
from core.figures import share
from core.money import divide_half_even
from core.periods import local_day
from metering.query.metrics import Figures
from reports.models import Insight
from reports.monthly import charts
from reports.monthly.around import Around
from reports.monthly.drivers import drivers_of
from reports.monthly.figures import MonthFigures, is_part
from reports.monthly.month import Month
from reports.monthly.phrases import (
    alike,
    budget_name,
    day_text,
    guess,
    in_unit,
    nanos_per_million,
    saving,
    signed,
    whose_name,
    year_day_text,
)

_MICRO = dt.timedelta(microseconds=1)


def lead(found: MonthFigures, around: Around) -> str:
    """The month in a sentence or two."""
    cost, month = found.totals.cost_nanos, found.month
    if cost is None:
        return f"{whose_name(found)} used {words.tokens(found.totals.total_tokens)} tokens; none of them has a price."
    against = [
        _than(cost, other.cost_nanos, name)
        for other, name in ((found.before, f"{month.before.first:%B}"), (found.year_before, month.year_before.name))
        if other is not None
    ]
    said = " and ".join(one for one in against if one)
    since = f" since {day_text(found.began_on)}, when its record begins" if found.is_part and found.began_on else ""
    text = f"{whose_name(found)} spent {words.money(cost)} on language models{since}" + (f", {said}." if said else ".")
    return f"{text} {_of_budget(around.whole)}" if around.whole else text


def _of_budget(whole: Actual) -> str:
    text = f"That is {words.percent(whole.used_part)} of the budget of {words.money(whole.budget.amount)}"
    return f"{text}, {words.money(whole.used - whole.budget.amount)} over it." if whole.is_exceeded else f"{text}."


def _than(cost: int, other: int | None, name: str) -> str:
    change = words.delta(cost, other)
    if change.direction in ("up", "down"):
        return f"{change.text} {'more' if change.direction == 'up' else 'less'} than in {name}"
    return f"as much as in {name}" if change.direction == "flat" else ""


def lead_of_nothing(found: MonthFigures) -> str:
    text = f"{whose_name(found)} used nothing in {found.month.name}: no call was recorded, and nothing was spent."
    month, figures = found.months[-2]
    if figures is not None and figures.requests:
        since = f", recorded since {day_text(found.began_on)}," if found.before is None and found.began_on else ""
        text += f" In {month.name}{since} it had spent {words.money(figures.cost_nanos)}."
    return text


def cards(found: MonthFigures, around: Around) -> list[dict[str, str]]:
    totals, before, month, whole = found.totals, found.before, found.month, around.whole
    budget = (
        {
            "label": "Budget used",
            "value": words.percent(whole.used_part),
            "note": f"of {words.money(whole.budget.amount)}",
        }
        if whole
        else None
    )
    cards = [
        {"label": "Spend", "value": words.money(totals.cost_nanos), "note": _unpriced_note(totals)},
        _change_card(found, before, f"From {month.before.first:%B}"),
        _change_card(found, found.year_before, f"From {month.year_before.first:%b %Y}"),
        budget,
        {"label": "Tokens", "value": words.tokens_compact(totals.total_tokens),
         "note": _from(words.delta(totals.total_tokens, before.total_tokens) if before else None)},
        {"label": "Requests", "value": words.tokens_compact(totals.requests),
         "note": _from(words.delta(totals.requests, before.requests) if before else None)},
    ]  # fmt: skip
    return [card for card in cards if card is not None]


def _change_card(found: MonthFigures, before: Figures | None, label: str) -> dict[str, str]:
    if before is None:
        began = found.began_on
        return {
            "label": label,
            "value": words.UNKNOWN,
            "note": f"recorded since {year_day_text(began)}" if began else "nothing recorded yet",
        }
    change = words.delta(found.totals.cost_nanos, before.cost_nanos)
    return {"label": label, "value": signed(change), "note": f"{words.money(before.cost_nanos)} then"}


def _from(change: words.Delta | None) -> str:
    if change is None or change.direction == "unknown":
        return ""
    return "as many as before" if change.direction == "flat" else f"{signed(change)} from before"


def _unpriced_note(totals: Figures) -> str:
    if not totals.unpriced_tokens:
        return "every call has a price"
    return f"{words.percent(totals.coverage.share(totals.coverage.unpriced))} of tokens without a price"


def trend(found: MonthFigures, around: Around) -> dict[str, Any]:
    bars = [
        charts.Bar(
            one.short,
            None if figures is None else figures.known_cost_nanos,
            _kind(found, one),
        )
        for one, figures in found.months
    ]
    said = f"{words.money(found.totals.cost_nanos)} in {found.month.name}"
    if around.outlook is not None:
        band = around.outlook.totals[-1]
        bars.append(charts.Bar(found.month.following.short, band.likely, "ahead", band.low, band.high))
        said += f", likely {guess(band.likely)} in {found.month.following.name}"
    budget = around.whole.budget.amount if around.whole else None
    return {
        "title": "Spend by month" + (", and the next one" if around.outlook else ""),
        "part": _part(found),
        "svg": charts.month_bars(f"Spend by month: {said}", bars, budget),
    }


def _kind(found: MonthFigures, month: Month) -> str:
    if month == found.month:
        return "now"
    if is_part(found.began_on, month):
        return "partial"
    return "compared" if month == found.month.year_before else "past"


def _part(found: MonthFigures) -> str:
    """Which of the bars is of a part of its month only."""
    if found.began_on is None or not any(is_part(found.began_on, month) for month, _ in found.months):
        return ""
    return f"{found.began_on:%B %Y} is recorded since {day_text(found.began_on)}, which is a part of the month."


def ahead(found: MonthFigures, around: Around) -> dict[str, Any]:
    name = found.month.following.name
    if around.outlook is None:
        return {"name": name, "is_known": False}
    band, outlook = around.outlook.totals[-1], around.outlook
    budget = around.whole.budget.amount if around.whole else None
    past = found.history[-(found.month.end - found.month.before.first).days :]
    days = [charts.Fan(one.low, one.likely, one.high) for one in outlook.days]
    starts = [found.month.before, found.month, found.month.following]
    first = found.month.end - dt.timedelta(days=len(past))
    marks = [((one.first - first).days, one.name) for one in starts if one.first >= first]
    measured = outlook.measured
    return {
        "name": name,
        "is_known": True,
        "likely": guess(band.likely),
        "range": f"{guess(band.low)} to {guess(band.high)}",
        "change": "" if found.is_part else signed(words.delta(band.likely, found.totals.known_cost_nanos)),
        "budget": _against_budget(band.likely, band.high, budget),
        "basis": outlook.basis,
        "coverage": words.percent(measured.total_coverage.share) if measured else "",
        "svg": charts.fan(
            f"Spend by day: the last {len(past)} days, then {name}, likely {guess(band.likely)} in all",
            past,
            days,
            marks,
        ),
    }


def _against_budget(likely: int, high: int, budget: int | None) -> str:
    if budget is None:
        return ""
    amount = words.money(budget)
    if likely > budget:
        return f"Likely {guess(likely - budget)} over the budget of {amount}."
    if high > budget:
        return f"Likely within the budget of {amount}, at its high end over it."
    return f"Within the budget of {amount}, at its high end too."


def units(found: MonthFigures) -> list[tuple[str, str, str]]:
    """What stays comparable when volume changes: this month and the one before."""
    now, before = found.totals, found.before
    rows = []
    for label, of in _UNIT_COSTS.items():
        cost, cost_before = alike(of(now), of(before) if before is not None else None)
        rows.append((label, cost, cost_before))
    for label, said in _UNITS.items():
        rows.append((label, said(now), said(before) if before is not None else words.UNKNOWN))
    return rows


def _latency(figures: Figures) -> str:
    average = figures.average_latency_ms
    return words.UNKNOWN if average is None else words.duration(round(average))


def _per_request(figures: Figures) -> int | None:
    cost = figures.cost_nanos
    return None if cost is None or not figures.requests else divide_half_even(cost, figures.requests)


_UNIT_COSTS: dict[str, Callable[[Figures], int | None]] = {
    "Cost per million tokens": nanos_per_million,
    "Cost per request": _per_request,
}
_UNITS: dict[str, Callable[[Figures], str]] = {
    "Tokens per request": lambda one: words.tokens(one.average_tokens),
    "Prompt tokens from cache": lambda one: words.percent(share(one.cache_read, one.prompt_tokens)),
    "Failed requests": lambda one: words.percent(share(one.errors, one.requests), 2),
    "Average latency": _latency,
}


def drivers(found: MonthFigures) -> dict[str, Any]:
    """Why it cost more or less than the month before; without one, what it went on."""
    month, change, rows = found.month, found.change, drivers_of(found)
    largest = max((abs(one.nanos) for one in rows), default=0)
    table = {
        "rows": [
            {
                "label": one.label,
                "why": one.why,
                "bar": charts.change_bar(one.nanos, largest),
                "amount": words.money(one.nanos) if change is None else words.money_change(one.nanos),
            }
            for one in rows
        ],
        "bars": "Share" if change is None else "Less, more",
    }
    cost = words.money(found.totals.cost_nanos)
    if change is None or found.before is None:
        return table | {"title": f"What it went on in {month.first:%B}", "total": "Together", "amount": cost}
    before = f"{month.before.first:%B}"
    more = "more" if change > 0 else "less"
    return table | {
        "title": f"Why {month.first:%B} cost {words.money(abs(change))} {more} than {before}"
        if change
        else f"Why {month.first:%B} cost as much as {before}",
        "total": f"From {words.money(found.before.cost_nanos)} in {before} to {cost}",
        "amount": words.money_change(change),
    }


def to_do(found: MonthFigures, around: Around) -> dict[str, Any]:
    """What saves most, then budgets that were exceeded; three lines. `of` says of which days the savings are."""
    saving_most = [one for one in around.advice if one.likely_nanos]
    lines = [{"title": one.title, "amount": f"saves {saving(one)}"} for one in saving_most]
    lines += [
        {
            "title": f"{budget_name(one)} went over its budget of {in_unit(one, one.budget.amount)}: raise it, or look"
            " at what it went on",
            "amount": f"+{in_unit(one, one.used - one.budget.amount)}",
        }
        for one in around.budgets
        if one.is_exceeded
    ]
    return {"lines": lines[:3], "of": advised_on(found, saving_most[:3])}


def advised_on(found: MonthFigures, advice: Sequence[Insight]) -> str:
    """The days whose usage advice is of: those before it was looked for, not the month's."""
    if not advice:
        return ""
    zone = found.month.zone
    first = local_day(min(one.starts_at for one in advice), zone)
    last = local_day(max(one.ends_at for one in advice) - _MICRO, zone)
    return f"{f'{first.day} {first:%b}' if first.year == last.year else year_day_text(first)} to {year_day_text(last)}"
