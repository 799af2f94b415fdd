"""A range's figures over time, told apart by a dimension: its largest values, and the others as one."""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from metering.query.labels import SLOTS, GroupValue
from metering.query.metrics import Figures
from metering.query.run import UsageResult, UsageRow
from metering.query.spec import FilterValue, is_text
from reports.filters import dimension_words
from reports.page import UsagePage
from reports.series import INTERVAL_NAMES, MEASURES, Measure, bucket_label, bucket_title, past_words, running_words

# After that many values a chart's colors can no longer be told apart.
MOST_VALUES = 8


class Part(msgspec.Struct, frozen=True):
    """One value of the dimension, or the others: its figures in the whole range and in each bucket.

    `url` is the view filtered by it, which the others have none of.
    """

    label: str
    slot: int | str
    whole: int | None
    values: list[int | None]
    url: str | None = None


class Stack(msgspec.Struct, frozen=True):
    """`rows` are the buckets that have begun, `parts` the largest first. A part nobody knows the cost of is None."""

    measure: Measure
    dimension: str
    rows: list[UsageRow]
    parts: list[Part]
    totals: Figures


def make_stack(page: UsagePage, dimension: str, series: UsageResult, *, with_audio: bool = False) -> Stack:
    """`series` has the same range by its interval, with nothing told apart."""
    measure = MEASURES[page.chosen.measure]
    top = page.run(group_by=(dimension,), order_by=(f"-{measure.metric}",), limit=MOST_VALUES, with_audio=with_audio)
    by_time = page.run_within(
        {dimension: wanted(dimension, top.rows)}, group_by=(dimension,), interval=page.chosen.interval,
        with_audio=with_audio,
    )  # fmt: skip
    found = {(row.group[dimension].ref, row.start): row.figures for row in by_time.rows}
    rows = [row for row in series.rows if row.start <= page.now]
    parts = []
    for row in top.rows:
        group = row.group[dimension]
        figures = [found.get((group.ref, bucket.start), Figures()) for bucket in rows]
        parts.append(
            Part(
                name_of(group, dimension),
                slot_of(group) if row.figures.is_cost_known else "unpriced",
                measure.of(row.figures),
                [measure.of(figure) for figure in figures],
                page.chosen.filtered_url(dimension, group.key),
            )
        )
    if top.next_cursor is not None:
        parts.append(_others(measure, rows, parts, series.totals))
    return Stack(measure, dimension, rows, parts, series.totals)


def _others(measure: Measure, rows: Sequence[UsageRow], parts: Sequence[Part], totals: Figures) -> Part:
    value = measure.lines[0].value

    def rest(whole: Figures, named: list[int | None]) -> int:
        # The parts were summed a moment later than the whole: an event in between must not make less than nothing.
        return max(0, value(whole) - sum(filter(None, named)))

    return Part(
        "Others",
        "other",
        rest(totals, [part.whole for part in parts]),
        [rest(row.figures, [part.values[number] for part in parts]) for number, row in enumerate(rows)],
    )


def wanted(dimension: str, rows: Sequence[UsageRow]) -> tuple[FilterValue, ...]:
    """The rows' values of a dimension as a filter: by reference, which is never mistaken for a name."""
    groups = [row.group[dimension] for row in rows]
    return tuple(group.key if is_text(dimension) else group.ref for group in groups)


def name_of(group: GroupValue, dimension: str) -> str:
    return group.label or group.key or f"No {dimension_words(dimension)}"


def slot_of(group: GroupValue) -> int | str:
    """The color of a value: the one it was given, for a text always the same, for none the ink."""
    if group.slot is not None:
        return group.slot
    return "total" if group.key is None else zlib.crc32(group.key.encode()) % SLOTS + 1


# ── As charts and tables have it ──


def words_of(measure: Measure, value: int | None) -> str:
    return "unpriced" if value is None else measure.text(value)


def stack_chart(page: UsagePage, stack: Stack, *, kind: str, earlier: Sequence[UsageRow] = ()) -> dict[str, Any]:
    """`kind` is stack (bars) or area. A bar of the running bucket is pale; an area ends before it, and it is a ring."""
    measure, chosen = stack.measure, page.chosen
    is_running = bool(stack.rows) and stack.rows[-1].end > page.now
    value = measure.lines[0].value
    series: list[dict[str, Any]] = [
        {
            "label": part.label,
            "slot": part.slot,
            "href": part.url,
            "data": [
                None if amount is None or (kind == "area" and row.end > page.now) else measure.drawn(amount)
                for row, amount in zip(stack.rows, part.values, strict=True)
            ],
            "texts": [words_of(measure, amount) for amount in part.values],
        }
        for part in stack.parts
    ]
    if kind == "area" and is_running:
        series.append(_running(measure, stack.rows, running_words(chosen.interval)))
    if earlier:
        values = [value(row.figures) for row in earlier][: len(stack.rows)]
        gap = [None] * (len(stack.rows) - len(values))
        series.append(
            {
                "label": f"{measure.label}, {past_words(chosen.interval, stack.rows, earlier)}",
                "role": "previous",
                "data": [*map(measure.drawn, values), *gap],
                "texts": [*map(measure.text, values), *gap],
            }
        )
    return {
        "kind": kind,
        "unit": measure.unit,
        "measure": measure.label,
        "labels": [bucket_label(row.start, chosen.interval, chosen.zone) for row in stack.rows],
        "titles": [_title(page, row.start, row.end) for row in stack.rows],
        "totals": [measure.text(value(row.figures)) for row in stack.rows],
        "hrefs": [chosen.bucket_url(row.start, row.end) for row in stack.rows],
        "series": series,
    } | ({"running": {"at": len(stack.rows) - 1, "key": running_words(chosen.interval)}} if is_running else {})


def _running(measure: Measure, rows: Sequence[UsageRow], key: str) -> dict[str, Any]:
    total = measure.lines[0].value(rows[-1].figures)
    before: list[None] = [None] * (len(rows) - 1)
    return {
        "label": "So far",
        "role": "partial",
        "key": key,
        "data": [*before, measure.drawn(total)],
        "texts": [*before, measure.text(total)],
    }


def stack_table(page: UsagePage, stack: Stack) -> dict[str, Any]:
    measure = stack.measure
    value = measure.lines[0].value
    return {
        "columns": [INTERVAL_NAMES[page.chosen.interval], *(part.label for part in stack.parts), "Total"],
        "rows": [
            {
                "label": _title(page, row.start, row.end),
                "url": page.chosen.bucket_url(row.start, row.end),
                "cells": [
                    *(words_of(measure, part.values[number]) for part in stack.parts),
                    measure.text(value(row.figures)),
                ],
            }
            for number, row in enumerate(stack.rows)
        ],
        "totals": [*(words_of(measure, part.whole) for part in stack.parts), measure.text(value(stack.totals))],
    }


def _title(page: UsagePage, start: dt.datetime, end: dt.datetime) -> str:
    return bucket_title(start, end, page.chosen.interval, page.chosen.zone)
