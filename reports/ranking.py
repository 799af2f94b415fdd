"""A table of a dimension's values with chosen columns: any of them sorts it, any row leads on."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgspec

from core import figures as words
from core.figures import share
from metering.query.latency import Latencies, Latency
from metering.query.metrics import Figures
from metering.query.run import UsageResult, UsageRow
from reports.filters import dimension_label
from reports.page import UsagePage
from reports.series import MEASURES
from reports.stacks import name_of, slot_of

# A list is read to its fiftieth line; the file has all of them.
MOST_LISTED = 50
NAME = "name"
UNPRICED = "unpriced"

Value = int | Fraction | None


class Column(msgspec.Struct, frozen=True):
    """One figure of a row: what it is, what is written, and under which word it sorts (the API's, where it has one)."""

    key: str
    label: str
    value: Callable[[Figures, Latency], Value]
    text: Callable[[Any], str]


def error_rate(figures: Figures) -> Fraction | None:
    return Fraction(figures.errors, figures.requests) if figures.requests else None


def _money(value: Value) -> str:
    return UNPRICED if value is None else words.money(int(value), 2)


def _seconds(value: Value) -> str:
    return words.duration(int(value)) if value else "0 s"


def _average(value: Value) -> str:
    return words.duration(None if value is None else round(value))


COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        Column("requests", "Requests", lambda f, _: f.requests, words.tokens),
        Column("prompt_tokens", "Prompt", lambda f, _: f.prompt_tokens, words.tokens),
        Column("completion_tokens", "Completion", lambda f, _: f.completion_tokens, words.tokens),
        Column("total_tokens", "Tokens", lambda f, _: f.total_tokens, words.tokens),
        Column("cost_usd", "Cost", lambda f, _: f.cost_nanos, _money),
        Column("average_tokens", "Tokens per request", lambda f, _: f.average_tokens, words.tokens),
        Column("errors", "Error rate", lambda f, _: error_rate(f), words.percent),
        Column("average_latency_ms", "Latency", lambda f, _: f.average_latency_ms, _average),
        Column("latency_p50_ms", "p50", lambda _, latency: latency.percentile_ms("duration", 50), words.duration),
        Column("latency_p95_ms", "p95", lambda _, latency: latency.percentile_ms("duration", 95), words.duration),
        Column(
            "first_token_p50_ms",
            "First token p50",
            lambda _, latency: latency.percentile_ms("first_token", 50),
            words.duration,
        ),
        Column(
            "first_token_p95_ms",
            "First token p95",
            lambda _, latency: latency.percentile_ms("first_token", 95),
            words.duration,
        ),
        Column("audio_input", "Audio in", lambda f, _: f.audio_input, words.tokens),
        Column("audio_output", "Audio out", lambda f, _: f.audio_output, words.tokens),
        Column("seconds", "Recorded", lambda f, _: f.media_ms, _seconds),
    )
}


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """`result` has every value of `dimension`; `url_of` says where a row leads, the view filtered by it unless given.

    `sort` is a column or "name", with "-" before it to descend; another one of the page's tables may have it, then this
    one is in its own order: by the page's measure, the greatest first.
    """

    page: UsagePage
    id: str
    title: str
    dimension: str
    columns: tuple[str, ...]
    result: UsageResult
    csv_url: str
    note: str = ""
    # The columns that remain on a phone, beside the one that sorts.
    short: tuple[str, ...] = ("total_tokens", "cost_usd")
    latencies: Latencies | None = None
    url_of: Callable[[UsageRow], str] | None = None

    def context(self) -> dict[str, Any]:
        chosen, measure = self.page.chosen, MEASURES[self.page.chosen.measure]
        whole = measure.lines[0].value(self.result.totals)
        rows = self._sorted()
        return {
            "id": self.id,
            "title": self.title,
            "note": self.note,
            "measure": measure.label.lower(),
            "name": self._heading(NAME, dimension_label(self.dimension)),
            "headings": [
                self._heading(key, COLUMNS[key].label) | {"is_wide_only": self._is_wide_only(key)}
                for key in self.columns
            ],
            "rows": [
                {
                    "label": name_of(row.group[self.dimension], self.dimension),
                    "slot": slot_of(row.group[self.dimension]) if row.figures.is_cost_known else "unpriced",
                    "url": self.url_of(row)
                    if self.url_of
                    else chosen.filtered_url(self.dimension, row.group[self.dimension].key),
                    "share": share(measure.of(row.figures), whole),
                    "cells": self._cells(row.figures, self._latency(row)),
                }
                for row in rows[:MOST_LISTED]
            ],
            "totals": self._cells(self.result.totals, self.latencies.total if self.latencies else Latency()),
            "rest": max(0, len(rows) - MOST_LISTED),
            "csv_url": self.csv_url,
        }

    @property
    def sort(self) -> str:
        """Raises ApiError 422 for what is no column of any table."""
        sort = sort_of(self.page)
        return sort if sort.removeprefix("-") in (NAME, *self.columns) else ""

    def _sorted(self) -> list[UsageRow]:
        """What is unknown comes last when the greatest is first."""
        name, is_descending = self.sort.removeprefix("-"), self.sort.startswith("-")
        if not name:
            return self.result.rows
        if name == NAME:
            return sorted(
                self.result.rows,
                key=lambda row: name_of(row.group[self.dimension], self.dimension).lower(),
                reverse=is_descending,
            )
        column = COLUMNS[name]

        def key(row: UsageRow) -> tuple[bool, Value]:
            value = column.value(row.figures, self._latency(row))
            return value is not None, value or 0

        return sorted(self.result.rows, key=key, reverse=is_descending)

    def _latency(self, row: UsageRow) -> Latency:
        return self.latencies.of(row) if self.latencies else Latency()

    def _heading(self, key: str, label: str) -> dict[str, Any]:
        is_current, is_descending = self.sort.removeprefix("-") == key, self.sort.startswith("-")
        wanted = key if (is_current and is_descending) or (key == NAME and not is_current) else f"-{key}"
        return {
            "label": label,
            "url": f"{self.page.chosen.url(sort=wanted)}#{self.id}",
            "direction": ("descending" if is_descending else "ascending") if is_current else "",
        }

    def _is_wide_only(self, key: str) -> bool:
        return key not in self.short and self.sort.removeprefix("-") != key

    def _cells(self, figures: Figures, latency: Latency) -> list[dict[str, Any]]:
        return [
            {
                "text": COLUMNS[key].text(COLUMNS[key].value(figures, latency)),
                "is_wide_only": self._is_wide_only(key),
                "is_partial": key == "cost_usd" and figures.is_cost_known and figures.unpriced_tokens > 0,
            }
            for key in self.columns
        ]


def sort_of(page: UsagePage) -> str:
    """What the page's tables are sorted by, each that has the column. Raises ApiError 422 for what none can have."""
    return page.sort_of({NAME: "name", **{key: column.label.lower() for key, column in COLUMNS.items()}})


def rows_of(page: UsagePage, dimension: str) -> UsageResult:
    """Every value of a dimension in the view, the greatest in the page's measure first."""
    return page.run(group_by=(dimension,), order_by=(f"-{MEASURES[page.chosen.measure].metric}",))
