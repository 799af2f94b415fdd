"""Integrations: what connected services send, how often it fails and how long it takes; and one of them by itself.

One service is the page with that filter: then it tells of its models and members instead of its peers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.permissions import Right, may
from accounts.requests import OrganizationRequest
from core import figures as words
from core.csvcells import csv_text
from metering.query.latency import Latencies, Latency, read_latencies
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures, written
from metering.query.run import UsageResult
from metering.query.spec import PERCENTILES
from reports.page import UsagePage, sees_usage, show
from reports.parts import measure_options
from reports.ranking import Ranking, error_rate, rows_of, sort_of
from reports.series import INTERVAL_NAMES, MEASURES, bucket_label, bucket_title, interval_words, running_words
from reports.stacks import make_stack, stack_chart, stack_table

COLUMNS = (
    "requests", "total_tokens", "cost_usd", "errors", "latency_p50_ms", "latency_p95_ms", "first_token_p50_ms",
    "first_token_p95_ms",
)  # fmt: skip
SHORT = ("requests", "errors", "latency_p95_ms")
# A member's percentiles would have to be read from the events.
SUMMED_COLUMNS = ("requests", "total_tokens", "cost_usd", "average_tokens", "errors")
FILE_METRICS = ("requests", "errors", "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd")
# Line of the latency chart → its percentile and its color.
LINES = {
    "p50": ("latency_p50_ms", "1"),
    "p95": ("latency_p95_ms", "7"),
    "First token p50": ("first_token_p50_ms", "3"),
}
BY_ITSELF = {"model": "Models", "member": "Members"}


class Integrations(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:integrations"
    template = "reports/integrations.html"
    title = "Integrations"
    measures = ("requests", "tokens", "cost")
    parameters = ("sort",)

    def context(self) -> dict[str, Any]:
        page = self.head() | {"title": self.service or self.title}
        links = self._links()
        series = self.run(interval=self.chosen.interval)
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}, "links": links, "service": self.service}
        by_time = read_latencies(series)
        found = rows_of(self, "integration")
        return {
            "page": page | {"has_data": True},
            "links": links,
            "service": self.service,
            "all_url": self.chosen.url(integration=None),
            "calls_url": self.chosen.carried_to(reverse("reports:calls", args=[self.organization.slug])),
            "cards": self._cards(series, by_time.total, found),
            "charts": [self._chart(series), self._latency_chart(series, by_time)],
            "rankings": [ranking.context() for ranking in self._rankings(found)],
            "proof": self.proof(series.totals, latest_event_at(self.organization.pk)),
        }

    @property
    def service(self) -> str | None:
        """The one that is looked at by itself."""
        values = self.chosen.filters.get("integration", ())
        return str(values[0]) if len(values) == 1 and values[0] is not None else None

    def rows(self) -> UsageResult:
        """Every service, for the file. Raises ApiError 422 for an order that the page's table does not have."""
        sort_of(self)
        return rows_of(self, "integration")

    def _links(self) -> list[dict[str, Any]]:
        """What connecting takes, as far as this person may do it."""
        places = (
            ("Connect", "What to copy, and whether it arrives", "plug", "reports:connect", None),
            ("API keys", "Who may send and read", "key", "accounts:keys", Right.SEE_KEYS),
            (
                "Upstreams",
                "Where the gateway forwards to",
                "hdd-stack",
                "metering:upstreams",
                Right.MANAGE_INTEGRATIONS,
            ),
        )
        return [
            {"label": label, "text": text, "icon": icon, "url": reverse(name, args=[self.organization.slug])}
            for label, text, icon, name, right in places
            if right is None or may(self.membership.role, right)
        ]

    # ── Cards ──

    def _cards(self, series: UsageResult, latency: Latency, found: UsageResult) -> list[dict[str, Any]]:
        span, before, earlier = self.chosen.range.previous_so_far, None, Latency()
        if self.chosen.is_compared and span.end > span.start:
            past = self.run(span)
            before, earlier = past.totals, read_latencies(past).total
        named = [row for row in found.rows if row.group["integration"].key is not None]
        through = sum((row.figures.requests for row in named), 0)
        services = {
            "label": "Services",
            "text": words.tokens(len(named)),
            "foot": f"{words.percent(words.share(through, series.totals.requests))} of the requests",
        }
        cards = [
            _card("Requests", series.totals, before, lambda f: f.requests, words.tokens),
            _card("Cost", series.totals, before, lambda f: f.cost_nanos, _money),
            _card("Error rate", series.totals, before, error_rate, words.percent, target="lower"),
            _card("Latency p50", latency, earlier, _percentile("latency_p50_ms"), words.duration, target="lower"),
            _card("Latency p95", latency, earlier, _percentile("latency_p95_ms"), words.duration, target="lower"),
            _card(
                "First token p50", latency, earlier, _percentile("first_token_p50_ms"), words.duration, target="lower"
            ),
        ]
        return cards if self.service else [services, *cards]

    # ── Charts ──

    def _chart(self, series: UsageResult) -> dict[str, Any]:
        chosen, measure = self.chosen, MEASURES[self.chosen.measure]
        by = "model" if self.service else "integration"
        stack = make_stack(self, by, series)
        return {
            "id": "services-over-time",
            "title": f"{measure.label} by {interval_words(chosen.interval)} and {by}",
            "measure": measure_options(self),
            "json": stack_chart(self, stack, kind="stack"),
            "table": stack_table(self, stack),
            "csv_url": chosen.carried_to(reverse("reports:usage-trend", args=[self.organization.slug]), by=by),
            "drawing": "bar-chart",
        }

    def _latency_chart(self, series: UsageResult, latencies: Latencies) -> dict[str, Any]:
        chosen = self.chosen
        rows = [row for row in series.rows if row.start <= self.now]
        titles = [bucket_title(row.start, row.end, chosen.interval, chosen.zone) for row in rows]
        values = {label: [_percentile(name)(latencies.of(row)) for row in rows] for label, (name, _) in LINES.items()}
        rates = [error_rate(row.figures) for row in rows]
        is_over = [row.end <= self.now for row in rows]
        return {
            "id": "latency",
            "title": f"Latency by {interval_words(chosen.interval)}",
            "json": {
                "kind": "lines",
                "unit": "milliseconds",
                "measure": "Latency",
                "labels": [bucket_label(row.start, chosen.interval, chosen.zone) for row in rows],
                "titles": titles,
                "series": [
                    part
                    for number, (label, (_, slot)) in enumerate(LINES.items())
                    for part in _line(
                        label, slot, values[label], is_over, running_words(chosen.interval) if number == 0 else ""
                    )
                ],
            },
            "table": {
                "columns": [INTERVAL_NAMES[chosen.interval], *LINES, "Error rate"],
                "rows": [
                    {
                        "label": title,
                        "cells": [
                            *(words.duration(values[label][number]) for label in LINES),
                            words.percent(rates[number]),
                        ],
                    }
                    for number, title in enumerate(titles)
                ],
            },
            "csv_url": chosen.url(reverse("reports:integrations-latency", args=[self.organization.slug])),
        }

    # ── Tables ──

    def _rankings(self, found: UsageResult) -> list[Ranking]:
        slug = self.organization.slug
        if not self.service:
            return [
                Ranking(
                    page=self, id="services", title="Services", dimension="integration", columns=COLUMNS, result=found,
                    latencies=read_latencies(found), note="percentiles to within 6%", short=SHORT,
                    csv_url=self.chosen.url(reverse("reports:integrations-file", args=[slug])),
                )
            ]  # fmt: skip
        rankings = []
        for dimension, title in BY_ITSELF.items():
            if dimension in self.dimensions:
                result = rows_of(self, dimension)
                is_told = dimension == "model"
                file = reverse("reports:usage-breakdown", args=[slug])
                rankings.append(
                    Ranking(
                        page=self, id=f"{dimension}s", title=title, dimension=dimension, result=result,
                        columns=COLUMNS if is_told else SUMMED_COLUMNS, short=SHORT,
                        latencies=read_latencies(result) if is_told else None,
                        csv_url=self.chosen.carried_to(file, by=dimension),
                    )
                )  # fmt: skip
        return rankings


def _line(
    label: str, slot: str, values: Sequence[int | None], is_over: Sequence[bool], key: str
) -> list[dict[str, Any]]:
    """A line of what is over, and a ring for the bucket that is not, which `key` names in the legend."""
    common = {
        "label": label,
        "slot": slot,
        "texts": [None if value is None else words.duration(value) for value in values],
    }
    over = [value if done else None for value, done in zip(values, is_over, strict=True)]
    running = [None if done else value for value, done in zip(values, is_over, strict=True)]
    line = common | {"role": "line", "data": over}
    return [line] if all(is_over) else [line, common | {"role": "partial", "key": key, "data": running}]


def _percentile(name: str) -> Callable[[Latency], int | None]:
    return lambda latency: latency.percentile_ms(*PERCENTILES[name])


def _money(value: Any) -> str:
    return words.money(value)


def _card(
    label: str, now: Any, before: Any, value: Callable[[Any], Any], text: Callable[[Any], str], target: str = ""
) -> dict[str, Any]:
    earlier = None if before is None else value(before)
    return {
        "label": label,
        "value": value(now),
        "text": text(value(now)),
        "previous": earlier,
        "previous_text": None if earlier is None else text(earlier),
        "target": target,
    }


# ── Pages and files ──


@require_GET
@sees_usage
def integrations(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Integrations)


@require_GET
@sees_usage
def integrations_file(request: OrganizationRequest) -> HttpResponse:
    """Every service with its figures, exact to the last digit, and its percentiles."""
    page = Integrations.of(request)
    found = page.rows()
    latencies = read_latencies(found)
    rows = [(row.group["integration"].key, *_figures(row.figures, latencies.of(row))) for row in found.rows]
    return _file([("integration", *FILE_METRICS, *PERCENTILES), *rows], f"{request.organization.slug}-integrations.csv")


@require_GET
@sees_usage
def latency_file(request: OrganizationRequest) -> HttpResponse:
    """The latency chart's table, in milliseconds."""
    page = Integrations.of(request)
    series = page.run(interval=page.chosen.interval)
    latencies = read_latencies(series)
    rows = [
        (row.start.astimezone(page.chosen.zone).isoformat(), *_figures(row.figures, latencies.of(row)))
        for row in series.rows
        if row.start <= page.now
    ]
    return _file([("start", *FILE_METRICS, *PERCENTILES), *rows], f"latency-by-{page.chosen.interval}.csv")


def _figures(figures: Figures, latency: Latency) -> tuple[Any, ...]:
    return (*written(figures, FILE_METRICS).values(), *latency.written(tuple(PERCENTILES)).values())


def _file(rows: Sequence[Sequence[Any]], name: str) -> HttpResponse:
    response = HttpResponse(csv_text(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
