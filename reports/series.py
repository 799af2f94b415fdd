"""Time series as charts and tables draw them: the same figures, once as numbers to draw and once as exact words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from core import figures as words
from core.money import NANOS_PER_USD, usd_text
from core.periods import Interval
from metering.query.metrics import Figures
from metering.query.run import UsageRow


class Line(msgspec.Struct, frozen=True):
    """One line of a measure: what it shows of some figures. `slot` "" is the ink of the whole."""

    label: str
    value: Callable[[Figures], int]
    slot: str = ""


class Measure(msgspec.Struct, frozen=True):
    key: str
    label: str
    unit: str
    # The API's word for what its first line shows.
    metric: str
    lines: tuple[Line, ...]
    # The measure it is a type of: input cost is a type of cost.
    within: str = ""

    def of(self, figures: Figures) -> int | None:
        """What the first line shows of a part; None for a cost that nobody knows."""
        return None if self.unit == "usd" and not figures.is_cost_known else self.lines[0].value(figures)

    def text(self, value: int) -> str:
        if self.unit == "milliseconds":
            return words.duration(value)
        return words.money(value) if self.unit == "usd" else words.tokens(value)

    def exact(self, value: int) -> str:
        """For files: every digit, no decoration."""
        return (usd_text(value) or "") if self.unit == "usd" else str(value)

    def drawn(self, value: int) -> float | int:
        """For the height of a line only; what a person reads is `text`."""
        return value / NANOS_PER_USD if self.unit == "usd" else value


MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        Measure(
            "tokens",
            "Tokens",
            "tokens",
            "total_tokens",
            (
                Line("Total", lambda f: f.total_tokens, "total"),
                Line("Prompt", lambda f: f.prompt_tokens, "kind-input"),
                Line("Completion", lambda f: f.completion_tokens, "kind-output"),
            ),
        ),
        Measure("cost", "Cost", "usd", "cost_usd", (Line("Cost", lambda f: f.known_cost_nanos),)),
        Measure(
            "requests",
            "Requests",
            "count",
            "requests",
            (Line("Requests", lambda f: f.requests), Line("Errors", lambda f: f.errors, "7")),
        ),
        Measure(
            "input_cost",
            "Input cost",
            "usd",
            "input_cost_usd",
            (Line("Input cost", lambda f: f.known_input_cost_nanos),),
            within="cost",
        ),
        Measure(
            "output_cost",
            "Output cost",
            "usd",
            "output_cost_usd",
            (Line("Output cost", lambda f: f.known_output_cost_nanos),),
            within="cost",
        ),
    )
}


def chart(
    measure: Measure,
    interval: Interval,
    zone: ZoneInfo,
    now: dt.datetime,
    rows: Sequence[UsageRow],
    earlier: Sequence[UsageRow],
) -> dict[str, Any]:
    """The specification charts.js draws. A bucket that is not over is a ring of its own, one to come is nothing."""
    labels = [bucket_label(row.start, interval, zone) for row in rows]
    series: list[dict[str, Any]] = []
    for number, line in enumerate(measure.lines):
        values = [line.value(row.figures) for row in rows]
        texts = [measure.text(value) for value in values]
        over = [row.end <= now for row in rows]
        common = {"label": line.label, "slot": line.slot} if line.slot else {"label": line.label}
        series.append(
            common
            | {
                "role": "line" if line.slot else "now",
                "data": [measure.drawn(value) if done else None for value, done in zip(values, over, strict=True)],
                "texts": texts,
            }
        )
        running = [row.start <= now < row.end for row in rows]
        if any(running):
            series.append(
                common
                | {
                    "role": "partial",
                    "key": running_words(interval) if number == 0 else "",
                    "data": [
                        measure.drawn(value) if is_now else None for value, is_now in zip(values, running, strict=True)
                    ],
                    "texts": texts,
                }
            )
    if earlier:
        first = measure.lines[0]
        values = [first.value(row.figures) for row in earlier][: len(rows)]
        values_or_none: list[int | None] = [*values, *[None] * (len(rows) - len(values))]
        series.append(
            {
                "label": f"{first.label}, {past_words(interval, rows, earlier)}",
                "role": "previous",
                "data": [None if value is None else measure.drawn(value) for value in values_or_none],
                "texts": [None if value is None else measure.text(value) for value in values_or_none],
            }
        )
    return {
        "kind": "lines",
        "unit": measure.unit,
        "measure": measure.label,
        "labels": labels,
        "titles": [bucket_title(row.start, row.end, interval, zone) for row in rows],
        "series": series,
    }


def table(
    measure: Measure,
    interval: Interval,
    zone: ZoneInfo,
    rows: Sequence[UsageRow],
    totals: Figures,
    hrefs: Sequence[str | None] = (),
) -> dict[str, Any]:
    """`hrefs` are where each row leads, as each bucket of the chart does, if they lead anywhere."""
    return {
        "columns": [INTERVAL_NAMES[interval], *(line.label for line in measure.lines)],
        "rows": [
            {
                "label": bucket_title(row.start, row.end, interval, zone),
                "url": href,
                "cells": [measure.text(line.value(row.figures)) for line in measure.lines],
            }
            for row, href in zip(rows, hrefs or [None] * len(rows), strict=True)
        ],
        "totals": [measure.text(line.value(totals)) for line in measure.lines],
    }


INTERVAL_NAMES: dict[Interval, str] = {
    "15m": "Quarter hour",
    "hour": "Hour",
    "day": "Day",
    "week": "Week",
    "month": "Month",
}


def past_words(interval: Interval, rows: Sequence[UsageRow], earlier: Sequence[UsageRow]) -> str:
    """What the dashed line shows: days stand under the same weekday of some weeks before."""
    if interval != "day" or not rows or not earlier:
        return "period before"
    weeks = round((rows[0].start - earlier[0].start) / dt.timedelta(weeks=1))
    return f"{weeks} week{'s' if weeks != 1 else ''} before"


def running_words(interval: Interval) -> str:
    """What a bucket that is not over is called."""
    return {
        "15m": "This quarter hour so far",
        "hour": "This hour so far",
        "day": "Today so far",
        "week": "This week so far",
        "month": "This month so far",
    }[interval]


def bucket_label(start: dt.datetime, interval: Interval, zone: ZoneInfo) -> str:
    """Short, for an axis."""
    local = start.astimezone(zone)
    if interval in ("15m", "hour"):
        return f"{local:%H:%M}" if local.time() != dt.time() else f"{local.day} {local:%b}"
    return f"{local:%b %Y}" if interval == "month" else f"{local.day} {local:%b}"


def bucket_title(start: dt.datetime, end: dt.datetime, interval: Interval, zone: ZoneInfo) -> str:
    """In full, for a tooltip or a row."""
    local = start.astimezone(zone)
    if interval in ("15m", "hour"):
        return f"{local:%a} {local.day} {local:%b, %H:%M}"
    if interval == "day":
        return f"{local:%a} {local.day} {local:%b}"
    if interval == "month":
        return f"{local:%B %Y}"
    last = (end - dt.timedelta(microseconds=1)).astimezone(zone)
    return f"{local.day} {local:%b} to {last.day} {last:%b}"


def interval_words(interval: Interval) -> str:
    return INTERVAL_NAMES[interval].lower()
