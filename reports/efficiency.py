"""The efficiency page: how well tokens are used, each figure against its target, over time and by what used them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core import figures as words
from core.csvcells import csv_text
from core.errors import ApiError
from metering.query.efficiency import INDICATORS, Efficiency, Indicator, Measured, find_efficiency
from metering.query.latest import latest_event_at
from metering.query.metrics import rounded
from reports.filters import dimension_label, dimension_words, value_text
from reports.page import UsagePage, sees_usage, show
from reports.series import INTERVAL_NAMES, bucket_label, bucket_title, interval_words
from reports.stacks import name_of, slot_of
from reports.usage_pages import usage_tabs

BY = "by"
DIMENSIONS = ("model", "feature", "api_key", "project", "endpoint")
MOST_ROWS = 25
COLUMNS = ("requests", "total_tokens", *INDICATORS, "expected_answers", "empty_answers_count")


class EfficiencyPage(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:efficiency"
    template = "reports/efficiency.html"
    title = "Efficiency"
    measures = tuple(INDICATORS)
    parameters = (BY,)

    @property
    def indicator(self) -> Indicator:
        return INDICATORS[self.chosen.measure]

    @property
    def by(self) -> str:
        """Raises ApiError: 422 for what the page does not tell apart, 403 for what the role may not look through."""
        by = self.chosen.given(BY) or DIMENSIONS[0]
        if by not in DIMENSIONS:
            raise ApiError(422, "invalid_parameter", f"by is one of {', '.join(DIMENSIONS)}.", param=BY)
        if by in self.hidden:
            raise ApiError(403, "forbidden", f"Your role does not see {dimension_label(by)}.", param=BY)
        return by

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/efficiency.html says what it needs."""
        by = self.by
        csv_url = self.chosen.url(reverse("reports:efficiency-file", args=[self.organization.slug]))
        page = self.head() | {"compare": {}, "export_url": csv_url, "tabs": usage_tabs(self)}
        found = self.found()
        totals = found.whole.figures
        if totals.requests == 0:
            return {"page": page | {"has_data": False}}
        return {
            "page": page | {"has_data": True},
            "indicators": [self._indicator(one, found.whole) for one in INDICATORS.values()],
            "silent": found.silent,
            "chart": self._chart(found, csv_url),
            "by": dimension_label(by),
            "by_words": dimension_words(by),
            "by_options": [
                {"label": dimension_label(name), "url": self.chosen.url(by=name), "is_current": name == by}
                for name in DIMENSIONS
                if name in (*self.dimensions, by)
            ],
            "headings": [one.label for one in INDICATORS.values()],
            "rows": [self._row(group, measured) for group, measured in found.groups[:MOST_ROWS]],
            "rest": max(0, len(found.groups) - MOST_ROWS),
            "totals": [_cell(one, found.whole) for one in INDICATORS.values()],
            "csv_url": csv_url,
            "proof": self.proof(totals, latest_event_at(self.organization.pk)),
        }

    def found(self) -> Efficiency:
        return find_efficiency(self.chosen.query(self.organization.pk, interval=self.chosen.interval), self.by)

    def _indicator(self, indicator: Indicator, whole: Measured) -> dict[str, Any]:
        return _cell(indicator, whole) | {
            "label": indicator.label,
            "target": target_words(indicator),
            "url": self.chosen.url(measure=indicator.key),
            "is_current": indicator.key == self.chosen.measure,
            "detail": _detail(indicator, whole),
        }

    def _row(self, group: Any, measured: Measured) -> dict[str, Any]:
        by = self.by
        calls = reverse("reports:calls", args=[self.organization.slug])
        return {
            "label": name_of(group, by),
            "slot": slot_of(group),
            "url": self.chosen.filtered_url(by, group.key),
            "calls_url": self.chosen.carried_to(calls, **{by: value_text(group.key)}),
            "requests": measured.figures.requests,
            "cells": [_cell(one, measured) for one in INDICATORS.values()],
        }

    def _chart(self, found: Efficiency, csv_url: str) -> dict[str, Any]:
        chosen, indicator = self.chosen, self.indicator
        past = [(row, measured) for row, measured in found.buckets if row.start <= self.now]
        values = [indicator.of(measured) for _, measured in past]
        texts = [value_words(indicator, value) for value in values]
        over = [row.end <= self.now for row, _ in past]

        def drawn(wanted: bool) -> list[float | None]:
            return [
                float(value) if value is not None and is_over is wanted else None
                for value, is_over in zip(values, over, strict=True)
            ]

        series: list[dict[str, Any]] = [{"label": indicator.label, "role": "now", "data": drawn(True), "texts": texts}]
        if not all(over):
            series.append(
                {
                    "label": indicator.label,
                    "role": "partial",
                    "key": "not over yet",
                    "data": drawn(False),
                    "texts": texts,
                }
            )
        titles = [bucket_title(row.start, row.end, chosen.interval, chosen.zone) for row, _ in past]
        return {
            "id": "efficiency",
            "title": f"{indicator.label} by {interval_words(chosen.interval)}",
            "description": f"{indicator.label}: {value_words(indicator, indicator.of(found.whole))} in all",
            "measure": {"options": [], "types": []},
            "csv_url": csv_url,
            "json": {
                "kind": "lines",
                "unit": "tokens" if indicator.unit == "tokens" else indicator.unit,
                "measure": indicator.label,
                "labels": [bucket_label(row.start, chosen.interval, chosen.zone) for row, _ in past],
                "titles": titles,
                "series": series,
                "marks": [
                    {
                        "y": float(bound),
                        "label": f"Target {_bound_words(indicator, bound)}",
                        "role": "threshold",
                        "at": "start",
                    }
                    for bound in (indicator.least, indicator.most)
                    if bound is not None
                ],
            },
            "table": {
                "columns": [INTERVAL_NAMES[chosen.interval], indicator.label, "Target"],
                "rows": [
                    {"label": title, "cells": [text, _state_word(indicator, measured)]}
                    for title, text, (_, measured) in zip(titles, texts, past, strict=True)
                ],
                "totals": [value_words(indicator, indicator.of(found.whole)), _state_word(indicator, found.whole)],
            },
        }


def value_words(indicator: Indicator, value: Fraction | None) -> str:
    if value is None:
        return "—"
    if indicator.unit == "percent":
        return words.percent(value)
    if indicator.unit == "ratio":
        return f"{round(value * 100) / 100:.2f}×"
    return words.tokens(round(value))


def target_words(indicator: Indicator) -> str:
    least, most = indicator.least, indicator.most
    if least is not None and most is not None:
        return f"{_bound_words(indicator, least)} to {_bound_words(indicator, most)}"
    if least is not None:
        return f"at least {_bound_words(indicator, least)}"
    return "" if most is None else f"under {_bound_words(indicator, most)}"


def _bound_words(indicator: Indicator, bound: Fraction) -> str:
    """Bounds are round figures."""
    if indicator.unit == "percent":
        return f"{float(bound * 100):g}%"
    return f"{float(bound):g}×" if indicator.unit == "ratio" else words.count(int(bound))


def _state_word(indicator: Indicator, measured: Measured) -> str:
    meets = indicator.meets(measured)
    return "—" if meets is None else "Met" if meets else _missed(indicator, measured)


def _missed(indicator: Indicator, measured: Measured) -> str:
    value = indicator.of(measured)
    is_below = value is not None and indicator.least is not None and value < indicator.least
    return "Below" if is_below else "Above"


def _cell(indicator: Indicator, measured: Measured) -> dict[str, Any]:
    return {
        "text": value_words(indicator, indicator.of(measured)),
        "meets": indicator.meets(measured),
        "word": _state_word(indicator, measured),
    }


def _detail(indicator: Indicator, whole: Measured) -> str:
    """The two numbers of a ratio."""
    figures, answers, basis = whole.figures, whole.answers, whole.basis
    said = {
        "completion_ratio": (figures.completion_tokens, "completion", basis.prompt_tokens, "prompt tokens"),
        "average_tokens": (figures.total_tokens, "tokens", basis.requests, "requests"),
        "empty_answers": (answers.empty, "empty", answers.expected, "answers expected"),
        "cache_read_share": (figures.cache_read, "read from caches", figures.prompt_tokens, "prompt tokens"),
        "error_share": (figures.errors, "failed", figures.requests, "requests"),
    }[indicator.key]
    part, what, whole_of, of_what = said
    return f"{words.count(part)} {what} of {words.count(whole_of)} {of_what}"


@require_GET
@sees_usage
def efficiency(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, EfficiencyPage)


@require_GET
@sees_usage
def efficiency_file(request: OrganizationRequest) -> HttpResponseBase:
    """Every value of the chosen dimension, and all of them."""
    page = EfficiencyPage.of(request)
    found = page.found()
    rows: list[Sequence[Any]] = [(page.by, *COLUMNS)]
    rows += [(group.key, *_columns(measured)) for group, measured in found.groups]
    rows.append(("total", *_columns(found.whole)))
    response = HttpResponse(csv_text(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-efficiency.csv"'
    return response


def _columns(measured: Measured) -> Sequence[Any]:
    values = (rounded(one.of(measured), 4) for one in INDICATORS.values())
    figures, answers = measured.figures, measured.answers
    return (figures.requests, figures.total_tokens, *values, answers.expected, answers.empty)
