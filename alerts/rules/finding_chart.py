"""The hours around something unusual, in front of the range that was usual for each of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from accounts.models import Organization
from alerts.conditions.reading import Subject
from alerts.conditions.units import Unit
from alerts.detection.measures import Measure
from alerts.detection.ranges import UsualHour, usual_hours
from alerts.detection.usage_hours import COURSE, DIMENSIONS, ORGANIZATION
from alerts.evaluation.wording import unit_of
from alerts.models import Alert
from core.money import NANOS_PER_USD
from core.periods import hour_start
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import UsageQuery

BEHIND = dt.timedelta(hours=12)
_VALUES: dict[Measure, Callable[[Figures], int]] = {
    Measure.TOKENS: lambda figures: figures.total_tokens,
    Measure.COST: lambda figures: figures.known_cost_nanos,
    Measure.REQUESTS: lambda figures: figures.requests,
    Measure.ERRORS: lambda figures: figures.errors,
}
_TITLES = {
    Measure.TOKENS: "Tokens by hour",
    Measure.COST: "Cost by hour",
    Measure.REQUESTS: "Calls by hour",
    Measure.ERRORS: "Failed calls by hour",
}


def finding_chart(organization: Organization, alert: Alert, at: dt.datetime) -> dict[str, Any] | None:
    """None where nothing was used in all that time."""
    subject, measure = Subject.of(alert), Measure(alert.explanation["measure"])
    until = min(at, alert.period_ends_at + BEHIND)
    if subject.dimension in ("", *DIMENSIONS):
        scope = subject.dimension or ORGANIZATION
        hours = usual_hours(organization.pk, scope, subject.value, measure, until)
    else:
        hours = _hours(organization, subject, measure, until)
    return _drawn(organization, alert, measure, hours) if hours else None


def _hours(organization: Organization, subject: Subject, measure: Measure, until: dt.datetime) -> list[UsualHour]:
    """Of what no range is known of: a feature, an integration."""
    zone, value_of = organization.zone, _VALUES[measure]
    start = hour_start(until - COURSE * dt.timedelta(hours=1), zone)
    query = UsageQuery(
        organization.pk, start, until, zone, "hour", filters={subject.dimension: (subject.value,)}, order_by=("start",)
    )
    return [UsualHour(row.start, value_of(row.figures), None, None) for row in run(query).rows]


def _drawn(organization: Organization, alert: Alert, measure: Measure, hours: Sequence[UsualHour]) -> dict[str, Any]:
    zone, unit, title = organization.zone, unit_of(alert), _TITLES[measure]
    local = [hour.start.astimezone(zone) for hour in hours]
    names = [f"{start:%a} {start.day} {start:%b, %H:%M}" for start in local]
    is_in = [hour.start < alert.period_ends_at and alert.period_starts_at <= hour.start for hour in hours]

    def line(label: str, role: str, values: Sequence[int | None], **more: Any) -> dict[str, Any]:
        data = [value / NANOS_PER_USD if unit is Unit.USD and value is not None else value for value in values]
        texts = [None if value is None else unit.text(value) for value in values]
        return {"label": label, "role": role, "data": data, "texts": texts, **more}

    band = []
    if any(hour.high is not None for hour in hours):
        band = [
            line("Usual, from", "low", [hour.low for hour in hours], is_said=True),
            line("Usual, to", "high", [hour.high for hour in hours], is_said=True, key="What is usual"),
        ]
    usual = [_range(unit, hour) for hour in hours]
    ringed = [hour.actual if inside else None for hour, inside in zip(hours, is_in, strict=True)]
    return {
        "id": "alert-chart",
        "title": title,
        "json": {
            "kind": "lines",
            "unit": "usd" if unit is Unit.USD else "tokens" if unit is Unit.TOKENS else "count",
            "title": title,
            "labels": [f"{start:%H:%M}" for start in local],
            "titles": names,
            "series": [
                line(title.removesuffix(" by hour"), "now", [hour.actual for hour in hours]),
                *band,
                line("Unusual", "anomaly", ringed),
            ],
        },
        "table": {
            "columns": ["When", title.removesuffix(" by hour"), "Usual", "Unusual"],
            "rows": [
                {"label": name, "cells": [unit.text(hour.actual), said, "yes" if inside else ""]}
                for name, hour, said, inside in reversed(list(zip(names, hours, usual, is_in, strict=True)))
            ],
        },
    }


def _range(unit: Unit, hour: UsualHour) -> str:
    if hour.low is None or hour.high is None:
        return "—"
    return f"{unit.text(hour.low)} to {unit.text(hour.high)}"
