"""What the planning page shows of a plan, and its file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.urls import reverse

from accounts.models import Organization
from core import figures as words
from core.csvcells import Cell, csv_text
from core.figures import share
from core.money import usd_text
from metering.pricing.book import PriceBook
from metering.query.comparison import Replay
from reports.forecasting.outlook import Band
from reports.forecasting.periods import text_of
from reports.models import ForecastMeasure
from reports.planning.plan import Effect, Plan, Problem, Row
from reports.planning.scenario import MODEL, PERCENTS, PROVIDER, Scenario

MOST_LISTED = 100
COLUMNS = (
    "for", "scope", "last_month_usd", "forecast_low_usd", "forecast_likely_usd", "forecast_high_usd",
    "planned_low_usd", "planned_likely_usd", "planned_high_usd", "proposed_usd", "current_usd",
)  # fmt: skip
_DAY = dt.timedelta(days=1)


def context(organization: Organization, plan: Plan, at: dt.datetime) -> dict[str, Any]:
    """templates/reports/planning.html says what it needs."""
    slug, scenario = organization.slug, plan.scenario
    path = reverse("reports:planning", args=[slug])
    query = scenario.query()
    apply_url = reverse("reports:planning-apply", args=[slug])
    return {
        "page": {"title": "Budget planning", "zone": organization.timezone},
        "plan": plan,
        "scenario": scenario,
        "last_month": f"{plan.month.starts_on:%B}",
        "until": plan.first_day + (plan.days - 1) * _DAY,
        "rows": [_row(row, plan, apply_url) for row in plan.rows],
        "whole": None if plan.whole is None else _row(plan.whole, plan, apply_url),
        "sums": _sums(plan.rows),
        "may_set": any(row.may_set and row.proposed is not None for row in (*plan.rows, *_some(plan.whole))),
        "controls": _controls(organization, plan, at),
        "summary": _summary(plan),
        "switched": _switched(plan.replay) if scenario.is_switch and plan.replay.calls else None,
        "notices": [_notice(problem) for problem in plan.problems],
        "path": path,
        "reset_url": path if query else None,
        "csv_url": _with(reverse("reports:planning-file", args=[slug]), query),
        "apply_url": apply_url,
        "hidden": [(name, value) for name, value in _given(scenario).items()],
    }


def _with(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _given(scenario: Scenario) -> dict[str, Any]:
    usual = Scenario()
    return {name: value for name, value in msgspec.structs.asdict(scenario).items() if value != getattr(usual, name)}


def _some(row: Row | None) -> tuple[Row, ...]:
    return () if row is None else (row,)


# ── Rows ──


def _row(row: Row, plan: Plan, apply_url: str) -> dict[str, Any]:
    current = None if row.current is None else row.current.amount
    return {
        "row": row,
        "label": row.label,
        "icon": "building" if row.subject.scope == "organization" else "people",
        "actual": row.actual,
        "likely": _text(row.planned, "likely"),
        "high": _text(row.planned, "high"),
        "low": _text(row.planned, "low"),
        "held": "" if row.horizon is None else f"held {row.horizon.totals} of {row.horizon.trials}",
        "before": _text(row.forecast, "likely") if plan.scenario.is_changed else "",
        "proposed": row.proposed,
        "current": current,
        "change": None if current is None or row.proposed is None else row.proposed - current,
        "can_be_set": row.may_set and row.proposed is not None,
        "apply_url": f"{apply_url}?{urlencode({'for': row.of, **_given(plan.scenario)})}",
        # What has a budget is changed by who says so.
        "is_chosen": row.may_set and row.proposed is not None and current is None,
    }


def _text(band: Band | None, end: str) -> str:
    return words.UNKNOWN if band is None else text_of(getattr(band, end), ForecastMeasure.COST)


def _sums(rows: Sequence[Row]) -> dict[str, Any]:
    """Of the rows; a range's ends do not add up to the end of the sum's own range, so they are left out."""
    proposed = [row.proposed for row in rows if row.proposed is not None]
    current = [row.current.amount for row in rows if row.current is not None]
    likely = [row.planned.likely for row in rows if row.planned is not None]
    return {
        "actual": sum(row.actual for row in rows),
        "likely": text_of(sum(likely), ForecastMeasure.COST) if likely else words.UNKNOWN,
        "proposed": sum(proposed) if proposed else None,
        "current": sum(current) if current else None,
    }


# ── The scenario ──


def _controls(organization: Organization, plan: Plan, at: dt.datetime) -> dict[str, Any]:
    effective = PriceBook.load().effective(organization.pk, at)
    models = list(plan.models[:MOST_LISTED])
    chosen = plan.scenario.model
    return {
        "models": [*models, *([chosen] if chosen and chosen not in models else [])],
        "targets": sorted(f"{version.provider}/{version.model}" for version in effective if version.provider),
        "prices": [
            *({"value": f"{PROVIDER}{name}", "label": f"All of {name}"} for name in plan.providers),
            *({"value": f"{MODEL}{name}", "label": name} for name in models),
        ],
        **{name: {"least": least, "most": most} for name, (least, most, _) in PERCENTS.items()},
    }


def _notice(problem: Problem) -> dict[str, str]:
    return {"tone": "warning", "icon": "question-circle", "fact": problem.fact, "text": problem.text}


_LABELS = {"switch": "Model switch", "price": "Price change", "growth": "Growth"}


def _summary(plan: Plan) -> dict[str, Any]:
    """What the changes would have made of last month, one after the other."""
    changed = plan.actual + sum(effect.nanos for effect in plan.effects)
    return {
        "actual": plan.actual,
        "changed": changed,
        "difference": changed - plan.actual,
        "share": share(changed - plan.actual, plan.actual) if plan.actual else None,
        "effects": [_effect(effect) for effect in plan.effects],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {"label": _LABELS[effect.label], "nanos": effect.nanos, "is_saving": effect.nanos < 0}


def _switched(replay: Replay) -> dict[str, Any]:
    """All calls the switch is about, whatever share of them is made."""
    return {
        "calls": replay.calls,
        "now": replay.now_nanos,
        "cost": replay.cost_nanos,
        "left_out": [
            f"{words.count(calls)} call{'s' if calls != 1 else ''}: {reason.replace('_', ' ')}"
            for reason, calls in replay.left_out.items()
        ],
        "new_calls": replay.new_calls,
        "other_tier_calls": replay.other_tier_calls,
    }


# ── The file ──


def csv_of(plan: Plan) -> str:
    """Exact, also of forecasts. The last line is the whole organization's, where it may be seen."""
    return csv_text([COLUMNS, *(_line(row) for row in (*plan.rows, *_some(plan.whole)))])


def _line(row: Row) -> Sequence[Cell]:
    return (
        row.label,
        row.subject.scope,
        usd_text(row.actual),
        *_ends(row.forecast),
        *_ends(row.planned),
        usd_text(row.proposed),
        None if row.current is None else usd_text(row.current.amount),
    )


def _ends(band: Band | None) -> Sequence[Cell]:
    return (None, None, None) if band is None else tuple(map(usd_text, msgspec.structs.astuple(band)))
