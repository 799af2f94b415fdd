"""What a rule measured, as charts and tables draw it: the threshold, what was usual, and where it fires."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from alerts.conditions import condition
from alerts.conditions.condition import Condition
from alerts.conditions.reading import Reading
from alerts.conditions.units import Unit
from alerts.models import Alert, AlertRule, Window
from alerts.rules.naming import terms
from alerts.rules.preview import Preview
from core.money import NANOS_PER_USD
from core.periods import local_day

_UNITS = {
    Unit.TOKENS: "tokens",
    Unit.USD: "usd",
    Unit.PERCENT: "percent",
    Unit.MS: "milliseconds",
}
_OF_A_DAY = {"above": "Highest", "reached": "Highest", "below": "Lowest"}


class Point(msgspec.Struct, frozen=True):
    """One place of a chart. `bound` differs from place to place where what is usual does."""

    label: str
    title: str
    value: int | None
    bound: int | None
    expected: int | None
    fires: bool


def preview_chart(found: Preview, zone: ZoneInfo) -> dict[str, Any]:
    """A place a day: the reading of it that went the furthest."""
    rule = found.rule
    judged_by = condition(rule.condition)
    if judged_by.unit is Unit.COUNT:
        return _findings_chart(found, zone)
    by_day: dict[dt.date, list[Reading]] = {}
    for reading, _ in found.judged:
        # A month's or a moment's reading belongs to the day it was taken on.
        at = reading.start if rule.window not in _LONG else min(reading.at, reading.end) - dt.timedelta(microseconds=1)
        by_day.setdefault(local_day(at, zone), []).append(reading)
    fired = {local_day(_moment(rule, firing.spell.start, firing.at), zone) for firing in found.firings}
    points = []
    for day in _days(found, zone):
        furthest = _furthest(judged_by, by_day.get(day, ()))
        points.append(
            Point(
                *_day_words(day),
                furthest.value if furthest else None,
                furthest.bound if furthest else None,
                furthest.expected if furthest else None,
                day in fired,
            )
        )
    word = "" if rule.window in (Window.DAY, *_LONG) else f"{_OF_A_DAY[judged_by.side]} of the day, "
    return _chart(
        "preview",
        f"{word}{_measure(judged_by).lower()}" if word else _measure(judged_by),
        judged_by,
        rule,
        points,
        "Would have fired",
    )


def _findings_chart(found: Preview, zone: ZoneInfo) -> dict[str, Any]:
    """How many a day: they are in different units. The table has each one's sentence."""
    told = [(local_day(firing.spell.start, zone), firing.spell.reading.finding) for firing in found.firings]
    counts = Counter(day for day, _ in told)
    points = [Point(*_day_words(day), counts[day], None, None, fires=counts[day] > 0) for day in _days(found, zone)]
    chart = _drawn("preview", "Alerts a day", Unit.COUNT, points, "Would have fired", "")
    rows = [{"label": _day_words(day)[1], "cells": [one.text]} for day, one in reversed(told) if one]
    return chart | {"table": {"columns": ["When", "What was unusual"], "rows": rows}}


def _days(found: Preview, zone: ZoneInfo) -> list[dt.date]:
    first = local_day(found.start, zone)
    return [first + dt.timedelta(days=n) for n in range((local_day(found.end, zone) - first).days + 1)]


def _day_words(day: dt.date) -> tuple[str, str]:
    """On the axis, and in full."""
    return f"{day.day} {day:%b}", f"{day:%a} {day.day} {day:%b}"


def alert_chart(alert: Alert, rule: AlertRule, readings: Iterable[Reading], zone: ZoneInfo) -> dict[str, Any]:
    """The windows around an alert; those it held for are marked."""
    judged_by = condition(alert.condition)
    points = []
    for reading in readings:
        held = alert.period_starts_at <= reading.start < max(alert.held_until, alert.period_ends_at)
        is_beyond = reading.value is not None and judged_by.is_reached(reading.value, reading.bound)
        at = reading.start if alert.window not in _LONG else reading.at - dt.timedelta(microseconds=1)
        local = at.astimezone(zone)
        is_day = alert.window in (Window.DAY, *_LONG)
        points.append(
            Point(
                f"{local.day} {local:%b}" if is_day else f"{local:%H:%M}",
                f"{local:%a} {local.day} {local:%b}" + ("" if is_day else f", {local:%H:%M}"),
                reading.value,
                reading.bound,
                reading.expected,
                held and is_beyond,
            )
        )
    return _chart("alert", _measure(judged_by), judged_by, rule, points, "The alert")


_LONG = (Window.MONTH, Window.BILLING, Window.MOMENT)


def _moment(rule: AlertRule, start: dt.datetime, at: dt.datetime) -> dt.datetime:
    return at - dt.timedelta(microseconds=1) if rule.window in _LONG else start


def _furthest(judged_by: Condition, readings: Sequence[Reading]) -> Reading | None:
    known = [reading for reading in readings if reading.value is not None]
    if not known:
        return None
    if any(reading.expected for reading in known):
        # Of what is relative, the one that is the most of its own bound.
        return max(known, key=lambda one: (one.value or 0) / one.bound if one.bound else 0)
    choose = min if judged_by.side == "below" else max
    return choose(known, key=lambda one: one.value or 0)


def _measure(judged_by: Condition) -> str:
    return {
        Unit.TOKENS: "Tokens",
        Unit.USD: "Cost" if judged_by.name == "cost" else "Credits",
        Unit.PERCENT: judged_by.title,
        Unit.MS: "Slowest twentieth",
        Unit.HOURS: "Hours without a call",
        Unit.REQUESTS: "Refused calls",
        Unit.COUNT: "Count",
    }[judged_by.measured]


def _chart(
    name: str, title: str, judged_by: Condition, rule: AlertRule, points: Sequence[Point], fired: str
) -> dict[str, Any]:
    return _drawn(name, title, judged_by.measured, points, fired, terms(rule))


def _drawn(name: str, title: str, unit: Unit, points: Sequence[Point], fired: str, bound_words: str) -> dict[str, Any]:
    def drawn(value: int | None) -> float | int | None:
        if value is None:
            return None
        if unit is Unit.USD:
            return value / NANOS_PER_USD
        return value / 100_00 if unit is Unit.PERCENT else value

    def text(value: int | None) -> str | None:
        return None if value is None else unit.text(value)

    def line(label: str, role: str, values: list[int | None]) -> dict[str, Any]:
        return {
            "label": label,
            "role": role,
            "data": [drawn(value) for value in values],
            "texts": [text(value) for value in values],
        }

    series = [line(title, "now", [point.value for point in points])]
    is_relative = any(point.expected for point in points)
    bounds = {point.bound for point in points if point.bound is not None}
    if is_relative or len(bounds) > 1:
        series.append(line(bound_words, "previous", [point.bound or None for point in points]))
    if any(point.fires for point in points):
        series.append(line(fired, "anomaly", [point.value if point.fires else None for point in points]))
    level = drawn(next(iter(bounds))) if len(bounds) == 1 and not is_relative else None
    columns = [title, *(["Usual"] if is_relative else []), *(["Threshold"] if bounds else []), fired]
    return {
        "id": f"{name}-chart",
        "title": title,
        "json": {
            "kind": "lines",
            "unit": _UNITS.get(unit, "count"),
            "title": title,
            "labels": [point.label for point in points],
            "titles": [point.title for point in points],
            "series": series,
            "marks": [] if level is None else [{"y": level, "label": bound_words, "role": "limit"}],
        },
        "table": {
            "columns": ["When", *columns],
            "rows": [
                {
                    "label": point.title,
                    "cells": [
                        text(point.value) or "—",
                        *([text(point.expected) or "—"] if is_relative else []),
                        *([text(point.bound) or "—"] if bounds else []),
                        "yes" if point.fires else "",
                    ],
                }
                for point in reversed(points)
            ],
        },
    }
