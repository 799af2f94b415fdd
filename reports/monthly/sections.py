"""The pages behind the first one: the month by day, by each dimension, its budgets, what was unusual, advice."""

from __future__ import annotations

from typing import Any

from accounts.models import Team
from alerts.evaluation.wording import sentence, title_of, unit_of
from alerts.models import Alert
from billing.budgets.actuals import Actual
from core import figures as words
from core.figures import share
from core.money import divide_half_even
from reports.models import Insight
from reports.monthly import charts
from reports.monthly.figures import TOLD_BY_DAY, MonthFigures
from reports.monthly.phrases import budget_name, day_text, guess, in_unit, per_million, saving, signed
from reports.monthly.tables import Row, Table, centers_of, table_of
from reports.stacks import name_of, slot_of

# Tables that stand on one page.
SHORT = 12
_TITLES = {
    "model": ("Models", "Model"),
    "team": ("Teams", "Team"),
    "department": ("Departments", "Department"),
    "project": ("Projects", "Project"),
    "feature": ("Features", "Feature"),
    "member": ("People", "Person"),
}


def breakdowns(found: MonthFigures) -> list[dict[str, Any]]:
    departments: dict[int, str] = {}
    if "team" in found.by:
        departments = dict(Team.objects.filter(department__isnull=False).values_list("pk", "department__name"))
    sections = []
    for dimension in found.by:
        table = table_of(found, dimension, departments if dimension == "team" else None)
        title, head = _TITLES[dimension]
        sections.append(
            {
                "id": dimension,
                "title": title,
                "head": head,
                "takeaway": _takeaway(table, head.lower()),
                "rows": [_row(row, table.total) for row in table.rows],
                "total": _row(table.total, table.total),
                "has_before": found.before is not None,
                "has_year": found.year_before is not None,
                "is_short": len(table.rows) <= SHORT,
            }
        )
    return sections


def _takeaway(table: Table, head: str) -> str:
    """The first thing to know of a table: how few of its rows are four fifths of it."""
    named = [row for row in table.rows if row.slot != "other" and row.now.cost_nanos]
    total = table.total.now.known_cost_nanos
    if not named or not total:
        return ""
    together = count = 0
    for row in named:
        together, count = together + row.now.known_cost_nanos, count + 1
        if together * 5 >= total * 4:
            break
    part = words.percent(share(together, total))
    if count == table.count:
        return f"All of it is {named[0].label}." if count == 1 else ""
    if count == 1:
        return f"{named[0].label} alone is {part} of the spend."
    return f"{count} of {table.count:,} {_plural(head)} are {part} of the spend."


def _plural(head: str) -> str:
    return {"person": "people"}.get(head, f"{head}s")


def _row(row: Row, total: Row) -> dict[str, Any]:
    part = share(row.now.cost_nanos, total.now.known_cost_nanos)
    return {
        "label": row.label,
        "sub": row.sub,
        "is_rest": row.slot == "other",
        "cost": words.money(row.now.cost_nanos),
        "is_partial": row.now.is_cost_known and row.now.unpriced_tokens > 0,
        "share": words.percent(part),
        "bar": charts.share_bar(part),
        "before": signed(words.delta(row.now.cost_nanos, row.before.cost_nanos))
        if row.before is not None
        else words.UNKNOWN,
        "year_before": signed(words.delta(row.now.cost_nanos, row.year_before.cost_nanos))
        if row.year_before is not None
        else words.UNKNOWN,
        "tokens": words.tokens(row.now.total_tokens),
        "requests": words.count(row.now.requests),
        "per_million": per_million(row.now),
    }


def centers(found: MonthFigures) -> dict[str, Any] | None:
    rows = centers_of(found)
    if not rows:
        return None
    shared = sum(one.shared_nanos or 0 for one in rows)
    return {
        "rows": [
            {
                "label": one.label,
                "departments": ", ".join(one.departments),
                "direct": words.money(one.direct_nanos),
                "shared": words.money(one.shared_nanos),
                "is_direct_partial": one.is_direct_partial,
                "is_shared_partial": one.is_shared_partial,
                "is_partial": one.is_direct_partial or one.is_shared_partial,
                "total": words.money(one.total_nanos if one.shared_nanos is not None else one.direct_nanos),
                "bar": charts.share_bar(share(one.total_nanos or one.direct_nanos, found.totals.known_cost_nanos)),
                "share": words.percent(share(one.total_nanos or one.direct_nanos, found.totals.known_cost_nanos)),
            }
            for one in rows
        ],
        "is_short": len(rows) <= SHORT,
        "direct": words.money(sum(one.direct_nanos for one in rows)),
        "shared": words.money(shared),
        "total": words.money(sum(one.direct_nanos for one in rows) + shared),
        "is_direct_partial": any(one.is_direct_partial for one in rows),
        "is_shared_partial": any(one.is_shared_partial for one in rows),
        "is_partial": found.totals.unpriced_tokens > 0,
    }


def days(found: MonthFigures) -> dict[str, Any]:
    """The days as bars of the largest models. The others are what is left of a day."""
    peak_day, peak = max(found.days, key=lambda one: one[1].known_cost_nanos)
    parts = _day_parts(found)
    total = found.totals.known_cost_nanos
    return {
        "svg": charts.day_stack(
            f"Spend by day and model, at most {words.money(peak.known_cost_nanos)} on {day_text(peak_day)}",
            [str(day.day) for day, _ in found.days],
            [day.weekday() >= 5 for day, _ in found.days],
            parts,
        ),
        # From the top of a bar to its foot.
        "legend": [
            {
                "swatch": charts.swatch(part.slot),
                "label": part.label,
                "amount": words.money(sum(part.values)),
                "share": words.percent(share(sum(part.values), total)),
            }
            for part in reversed(parts)
        ],
        "peak": f"The most was spent on {peak_day:%A}, {day_text(peak_day)}: {words.money(peak.known_cost_nanos)}."
        f" An average day cost {words.money(divide_half_even(total, max(len(found.days), 1)))}.",
    }


def _day_parts(found: MonthFigures) -> list[charts.Part]:
    cost = found.model_days
    named = [one for one in found.by["model"] if one.now.known_cost_nanos][:TOLD_BY_DAY]
    parts = [
        charts.Part(name_of(group, "model"), slot_of(group), [cost.get((group.ref, day), 0) for day, _ in found.days])
        for group in (one.groups[0] for one in named)
    ]
    rest = [
        figures.known_cost_nanos - sum(part.values[at] for part in parts) for at, (_, figures) in enumerate(found.days)
    ]
    if any(rest):
        parts.append(charts.Part("Others", "other", rest))
    return parts


# ── Budgets, what was unusual, advice ──


def budget_row(one: Actual) -> dict[str, Any]:
    budget = one.budget
    beyond = one.used - budget.amount
    return {
        "label": budget_name(one),
        "scope": str(budget.get_scope_display()),
        "narrowed": " ".join(part for part in (budget.model, budget.feature) if part),
        "budget": in_unit(one, budget.amount),
        "actual": in_unit(one, one.used),
        "difference": in_unit(one, abs(beyond)) + (" over" if beyond > 0 else " left"),
        "used": words.percent(one.used_part),
        "bar": charts.budget_bar(one.used_part),
        "status": "Exceeded" if one.is_exceeded else "Kept",
        "is_over": one.is_exceeded,
    }


def unusual_row(alert: Alert, found: MonthFigures) -> dict[str, str]:
    measured = unit_of(alert)
    start = alert.period_starts_at.astimezone(found.month.zone)
    return {
        "when": f"{start.day} {start:%b}, {start:%H:%M}",
        "title": title_of(alert, ""),
        "text": sentence(alert, found.month.zone),
        "actual": measured.text(alert.actual),
        "expected": measured.text(alert.expected) if alert.expected is not None else words.UNKNOWN,
    }


def advice_row(one: Insight) -> dict[str, Any]:
    has_range = one.low_nanos is not None and one.high_nanos is not None
    return {
        "title": one.title,
        "text": one.text,
        "saves": saving(one) if one.likely_nanos is not None else "",
        "range": f"{guess(one.low_nanos)} to {guess(one.high_nanos)}" if has_range else "",
        "effort": str(one.get_effort_display()).lower(),
        "evidence": words.count(one.evidence_count),
    }
