"""A forecast as charts draw it: days with their band, and the month's running total towards what bounds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from metering.query.metrics import Figures
from reports.forecasting.ahead import Ahead
from reports.forecasting.exhaustion import Exhaustion
from reports.forecasting.outlook import Band, Outlook
from reports.forecasting.periods import Ending, plus, text_of
from reports.forecasting.subjects import Subject, value_of
from reports.series import MEASURES, Measure

RANGE = "80% range"
_DAY = dt.timedelta(days=1)
# A mark is drawn up to that many times the greatest value.
_MOST_ABOVE = 2
_Values = Sequence[int | None]


def day_chart(
    measure: str, days: dict[dt.date, Figures], outlook: Outlook | None, csv_url: str | None
) -> dict[str, Any]:
    """What each day had, and what each day to come is likely to have."""
    drawn = MEASURES[measure]
    today = max(days)
    bands = {} if outlook is None else {outlook.first_day + n * _DAY: band for n, band in enumerate(outlook.days)}
    shown = sorted({*days, *bands})
    values = [value_of(days[day], measure) if day in days else None for day in shown]
    label = drawn.lines[0].label if measure == "cost" else "Tokens"
    series = [
        _line(drawn, label, "now", [None if day >= today else value for day, value in zip(shown, values, strict=True)]),
        _line(
            drawn, label, "partial", [value if day == today else None for day, value in zip(shown, values, strict=True)]
        )
        | {"key": "today so far"},
        *_band_lines(drawn, [bands.get(day) for day in shown]),
    ]
    return {
        "id": "forecast-days",
        "title": f"{drawn.label} a day",
        "description": f"{drawn.label} of {len(days) - 1} days, and what the next {len(bands)} are likely to have",
        "csv_url": csv_url,
        "json": _spec(drawn, f"{drawn.label} a day", shown, series, [_today(today)] if bands else []),
        "table": {
            "columns": ["Day", drawn.label, "Conservative", "Likely", "Aggressive"],
            "rows": [
                {
                    "label": _title(day),
                    "cells": [_exact(drawn, value, is_today=day == today), *_cells(bands.get(day), measure)],
                }
                for day, value in zip(shown, values, strict=True)
            ],
        },
    }


def month_chart(
    subject: Subject,
    measure: str,
    days: dict[dt.date, Figures],
    month: Ending,
    ahead: Ahead,
    bounds: Sequence[Exhaustion],
) -> dict[str, Any]:
    """The month's running total, towards budgets and allowances of exactly this month and measure."""
    drawn, today = MEASURES[measure], ahead.today
    shown = [month.starts_on + n * _DAY for n in range((month.ends_on - month.starts_on).days)]
    sums, so_far = {}, 0
    for day in shown:
        if day <= today:
            so_far += value_of(days[day], measure)
            sums[day] = so_far
    bands = {day: _until(ahead, so_far, day) for day in shown if day >= today}
    series = [
        _line(drawn, "Added up", "now", [sums.get(day) if day < today else None for day in shown]),
        _line(drawn, "Added up", "partial", [so_far if day == today else None for day in shown])
        | {"key": "today so far"},
        *_band_lines(drawn, [bands.get(day) for day in shown]),
    ]
    highest = max([so_far, *(band.high for band in bands.values() if band is not None)])
    marks = [
        {"y": drawn.drawn(one.amount), "label": f"{one.label}: {drawn.text(one.amount)}",
         "role": "budget" if one.kind == "budget" else "limit"}
        for one in bounds
        if one.measure == measure
        and (one.starts_on, one.ends_on) == (month.starts_on, month.ends_on)
        and one.subject == subject
        and one.amount <= _MOST_ABOVE * highest
    ]  # fmt: skip
    return {
        "id": "forecast-month",
        "title": f"{month.label}, added up",
        "description": f"{drawn.text(so_far)} so far, and what the days left are likely to add",
        "json": _spec(drawn, f"{month.label}, added up", shown, series, marks),
        "table": {
            "columns": ["Day", "Added up", "Conservative", "Likely", "Aggressive"],
            "rows": [
                {
                    "label": _title(day),
                    "cells": [_exact(drawn, sums.get(day), is_today=day == today), *_cells(bands.get(day), measure)],
                }
                for day in shown
            ],
        },
    }


def _until(ahead: Ahead, so_far: int, day: dt.date) -> Band | None:
    rest = ahead.until(day + _DAY)
    return None if rest is None else plus(so_far, rest)


# ── Parts ──


def _spec(
    measure: Measure, title: str, shown: Sequence[dt.date], series: list[dict[str, Any]], marks: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "kind": "lines",
        "unit": measure.unit,
        "measure": measure.label,
        "title": title,
        "subtitle": f"{shown[0]:%-d %B} to {shown[-1]:%-d %B %Y}",
        "labels": [f"{day:%-d %b}" for day in shown],
        "titles": [_title(day) for day in shown],
        "series": series,
        "marks": marks,
    }


def _line(measure: Measure, label: str, role: str, values: _Values) -> dict[str, Any]:
    return {
        "label": label,
        "role": role,
        "data": [None if value is None else measure.drawn(value) for value in values],
        "texts": [None if value is None else measure.text(value) for value in values],
    }


def _band_lines(measure: Measure, bands: Sequence[Band | None]) -> list[dict[str, Any]]:
    """The likely line over its range; none where nothing is forecast."""
    if not any(bands):
        return []
    ends = (("Likely", "forecast", "likely"), ("Conservative", "low", "low"), ("Aggressive", "high", "high"))
    lines = []
    for label, role, end in ends:
        values = [None if band is None else getattr(band, end) for band in bands]
        lines.append(
            _line(measure, label, role, values)
            | {"texts": [None if value is None else text_of(value, measure.key) for value in values], "is_said": True}
            | ({"key": RANGE} if role == "high" else {})
        )
    return lines


def _today(today: dt.date) -> dict[str, Any]:
    return {"x": f"{today:%-d %b}", "label": "Today", "role": "none", "at": "end"}


def _title(day: dt.date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _exact(measure: Measure, value: int | None, *, is_today: bool) -> str:
    if value is None:
        return ""
    return f"{measure.text(value)} so far" if is_today else measure.text(value)


def _cells(band: Band | None, measure: str) -> list[str]:
    if band is None:
        return ["", "", ""]
    return [text_of(end, measure) for end in (band.low, band.likely, band.high)]
