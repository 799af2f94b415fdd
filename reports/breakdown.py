"""The breakdown explorer: usage by any dimension, each row by any other; sorted by any metric, page by page."""

from __future__ import annotations

from typing import Any

import msgspec

from core import figures as words
from core.errors import ApiError
from core.figures import share
from metering.query.labels import GroupValue
from metering.query.metrics import METRICS, Figures
from metering.query.run import UsageResult, UsageRow
from metering.query.spec import check_dimension
from reports.filters import CURSOR, dimension_label, dimension_words, value_text
from reports.page import UsagePage
from reports.series import MEASURES, Measure
from reports.stacks import MOST_VALUES, name_of, slot_of, wanted

ROWS = 25
# What a row can be broken down by beside the dimensions of the day cube. An event may have several files, so that a
# total cannot be divided among them: they are rows, never parts of a row.
ROW_ONLY = ("file",)
TEXTS = ("chat", *ROW_ONLY)
# Where a click leads that says nothing of it: the next of these that is not chosen yet.
PATH = ("model", "project", "member", "feature", "endpoint", "status")
NAME = "name"
PARAMETERS = ("by", "then", "sort", CURSOR)
COLUMNS = ("requests", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd")
# The columns that remain on a phone.
SHORT = ("total_tokens", "cost_usd")
HEADINGS = {
    "total_tokens": "Total tokens",
    "prompt_tokens": "Prompt",
    "completion_tokens": "Completion",
    "cost_usd": "Cost",
    "input_cost_usd": "Input cost",
    "output_cost_usd": "Output cost",
    "average_tokens": "Tokens per request",
    "average_latency_ms": "Average latency",
    "cache_write_5m": "Cache write 5 min",
    "cache_write_1h": "Cache write 1 h",
}
FILE_COLUMNS = (
    "requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens",
    "cost_usd", "input_cost_usd", "output_cost_usd", "average_latency_ms",
)  # fmt: skip


def heading(metric: str) -> str:
    return HEADINGS.get(metric, metric.replace("_", " ").capitalize())


def metric_text(metric: str, figures: Figures) -> str:
    """A figure as a table has it; "unpriced" where nobody knows the cost."""
    unit = METRICS[metric].unit
    if unit == "usd":
        nanos: int | None = getattr(figures, metric.replace("_usd", "_nanos"))
        return "unpriced" if nanos is None else words.money(nanos, 2)
    if metric == "average_tokens":
        return words.tokens(figures.average_tokens)
    if unit == "milliseconds":
        average = figures.average_latency_ms
        return words.duration(None if average is None else round(average))
    if unit == "seconds":
        return words.duration(figures.media_ms)
    return words.tokens(int(METRICS[metric].write(figures) or 0))


class Breakdown(msgspec.Struct, frozen=True):
    """Rows by `by`, each made of values of `then`; `sort` is a metric or "name", with "-" before it to descend."""

    page: UsagePage
    by: str
    then: str | None
    sort: str

    @classmethod
    def of(cls, page: UsagePage) -> Breakdown:
        """Raises ApiError: 422 for what cannot be broken down so, 403 for what the role may not look through."""
        by = page.chosen.given("by") or _next(page, frozenset())
        then = page.chosen.given("then")
        for param, name in (("by", by), ("then", then)):
            if name is not None:
                check_dimension(name, param)
                if name in page.hidden:
                    raise ApiError(403, "forbidden", f"Your role does not see {dimension_label(name)}.", param=param)
        if then == by or then in ROW_ONLY:
            raise ApiError(422, "invalid_parameter", f"Rows by {by} are not made of values of {then}.", param="then")
        sort = page.chosen.given("sort") or "-total_tokens"
        if sort.removeprefix("-") not in (*METRICS, NAME):
            raise ApiError(
                422, "invalid_parameter", f"Rows are not sorted by {sort.removeprefix('-')!r}.", param="sort"
            )
        return cls(page, by, then, sort)

    @property
    def columns(self) -> list[str]:
        sorted_by = self.sort.removeprefix("-")
        return [*COLUMNS, *(() if sorted_by in (*COLUMNS, NAME) else (sorted_by,))]

    @property
    def dimensions(self) -> tuple[str, ...]:
        return (self.by, self.then) if self.then else (self.by,)

    @property
    def file_columns(self) -> tuple[str, ...]:
        return (*self.dimensions, *FILE_COLUMNS)

    @property
    def measure(self) -> Measure:
        return MEASURES[self.page.chosen.measure]

    # ── Context ──

    def context(self) -> dict[str, Any]:
        order = self.sort.replace(NAME, self.by) if self.sort.removeprefix("-") == NAME else self.sort
        cursor = self.page.chosen.given(CURSOR)
        found = self.page.run(group_by=(self.by,), order_by=(order,), limit=ROWS, cursor=cursor)
        split = self._split(found) if self.then and found.rows else None
        chosen = self.page.chosen
        return {
            "by": dimension_label(self.by),
            "by_words": dimension_words(self.by),
            "then": dimension_label(self.then) if self.then else None,
            "measure": self.measure.label.lower(),
            "by_options": [self._option("by", name, self.by) for name in self._dimensions()],
            "then_options": [
                {"label": "Nothing", "url": chosen.url(then=None), "is_current": self.then is None},
                *(
                    self._option("then", name, self.then)
                    for name in self._dimensions()
                    if name != self.by and name not in ROW_ONLY
                ),
            ],
            "sort_label": "name"
            if self.sort.removeprefix("-") == NAME
            else heading(self.sort.removeprefix("-")).lower(),
            "sort_options": [
                {
                    "label": heading(metric),
                    "url": chosen.url(sort=f"-{metric}"),
                    "is_current": self.sort.removeprefix("-") == metric,
                }
                for metric in METRICS
            ],
            "name_heading": self._heading(NAME, dimension_label(self.by)),
            "headings": [self._heading(metric, heading(metric)) for metric in self.columns],
            "rows": self._rows(found, split),
            "matrix": self._matrix(found, split) if split else None,
            "totals": self._totals(found.totals),
            "overlaps": self.by in ROW_ONLY,
            "is_continued": cursor is not None,
            "first_url": chosen.url(),
            "more": chosen.url(cursor=found.next_cursor) if found.next_cursor else None,
            "next_cursor": found.next_cursor,
        }

    def _dimensions(self) -> list[str]:
        shown = [*self.page.dimensions, *TEXTS, *self.page.tags]
        return shown + [name for name in (self.by, self.then) if name and name not in shown]

    def _option(self, param: str, name: str, current: str | None) -> dict[str, Any]:
        changes: dict[str, str | None] = {param: name}
        if param == "by" and name == self.then:
            changes["then"] = None
        return {
            "label": dimension_label(name),
            "url": self.page.chosen.url(**changes),
            "is_current": name == current,
        }

    def _heading(self, name: str, label: str) -> dict[str, Any]:
        is_current, is_descending = self.sort.removeprefix("-") == name, self.sort.startswith("-")
        turned = name if is_current and is_descending else f"-{name}"
        if name == NAME and not is_current:
            turned = NAME
        return {
            "label": label,
            "url": self.page.chosen.url(sort=turned),
            "sort": ("descending" if is_descending else "ascending") if is_current else None,
            "is_wide_only": name not in (*SHORT, NAME) and not is_current,
        }

    def _cells(self, figures: Figures) -> list[dict[str, Any]]:
        return [
            {
                "text": metric_text(metric, figures),
                "is_partial": METRICS[metric].unit == "usd" and figures.is_cost_known and figures.unpriced_tokens > 0,
                "is_wide_only": metric not in SHORT and metric != self.sort.removeprefix("-"),
            }
            for metric in self.columns
        ]

    def _totals(self, figures: Figures) -> list[dict[str, Any]]:
        """With every digit of the cost, so that it can be held against other pages and files."""
        cells = self._cells(figures)
        for metric, cell in zip(self.columns, cells, strict=True):
            exact = words.money_exact(figures.known_cost_nanos) if metric == "cost_usd" else cell["text"]
            cell["exact"] = exact if exact != cell["text"] else ""
        return cells

    def _rows(self, found: UsageResult, split: Split | None) -> list[dict[str, Any]]:
        whole = self.measure.lines[0].value(found.totals)
        rows = []
        for row in found.rows:
            group = row.group[self.by]
            part = self.measure.of(row.figures)
            rows.append(
                {
                    "label": name_of(group, self.by),
                    "slot": slot_of(group) if row.figures.is_cost_known else "unpriced",
                    "url": self._drill_url(group),
                    "cells": self._cells(row.figures),
                    "share": share(part, whole),
                    "parts": split.parts_of(row) if split else None,
                }
            )
        return rows

    def _drill_url(self, group: GroupValue) -> str:
        """Filtered by the row, and broken down by what comes next."""
        chosen = self.page.chosen
        after = self.then or _next(self.page, frozenset({self.by}))
        return chosen.filtered_url(self.by, group.key, by=after, then=None)

    # ── By two dimensions ──

    def _split(self, found: UsageResult) -> Split:
        """Two questions whatever the number of rows: the largest values, and the rows by these."""
        page, then = self.page, str(self.then)
        top = page.run(group_by=(then,), order_by=(f"-{self.measure.metric}",), limit=MOST_VALUES)
        narrowed = {self.by: wanted(self.by, found.rows), then: wanted(then, top.rows)}
        cells = page.run_within(narrowed, group_by=(self.by, then))
        return Split(
            self.measure,
            self.by,
            then,
            [row.group[then] for row in top.rows],
            {(row.group[self.by].ref, row.group[then].ref): row.figures for row in cells.rows},
            top.next_cursor is not None,
        )

    def _matrix(self, found: UsageResult, split: Split) -> dict[str, Any]:
        chosen = self.page.chosen
        return {
            "title": f"{dimension_label(self.by)} by {dimension_words(split.then)}",
            "columns": [
                {
                    "label": name_of(group, split.then),
                    "slot": slot_of(group),
                    "url": chosen.filtered_url(split.then, group.key, then=None),
                }
                for group in split.groups
            ],
            "has_others": split.has_others,
            "rows": [
                {
                    "label": name_of(row.group[self.by], self.by),
                    "cells": [
                        {
                            "text": metric_text(self.measure.metric, figures) if figures else "",
                            "url": chosen.url(
                                **{
                                    self.by: value_text(row.group[self.by].key),
                                    split.then: value_text(group.key),
                                    "then": None,
                                }
                            ),
                        }
                        for group, figures in split.figures_of(row)
                    ],
                    "others": self._others_text(split.others_of(row)) if split.has_others else None,
                    "total": metric_text(self.measure.metric, row.figures),
                }
                for row in found.rows
            ],
        }

    def _others_text(self, value: int) -> str:
        return words.money(value, 2) if self.measure.unit == "usd" else self.measure.text(value)


def _next(page: UsagePage, chosen: frozenset[str]) -> str:
    """What to look at next: the first of PATH that nothing is chosen of yet."""
    taken = page.chosen.filters.keys() | chosen
    return next((name for name in PATH if name not in taken and name in page.dimensions), "model")


class Split(msgspec.Struct, frozen=True):
    """The rows of a page by the largest values of a second dimension. `cells` are by both references."""

    measure: Measure
    by: str
    then: str
    groups: list[GroupValue]
    cells: dict[tuple[Any, Any], Figures]
    has_others: bool

    def figures_of(self, row: UsageRow) -> list[tuple[GroupValue, Figures | None]]:
        return [(group, self.cells.get((row.group[self.by].ref, group.ref))) for group in self.groups]

    def others_of(self, row: UsageRow) -> int:
        value = self.measure.lines[0].value
        # The cells were summed a moment later than the row: an event in between must not make less than nothing.
        return max(0, value(row.figures) - sum(value(figures) for _, figures in self.figures_of(row) if figures))

    def parts_of(self, row: UsageRow) -> list[tuple[int | str, int, str]]:
        """For a bar: color, amount, name."""
        value = self.measure.lines[0].value
        parts: list[tuple[int | str, int, str]] = [
            (slot_of(group), value(figures), name_of(group, self.then))
            for group, figures in self.figures_of(row)
            if figures
        ]
        return [*parts, ("other", self.others_of(row), "others")] if self.has_others else parts
