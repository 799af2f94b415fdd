"""The usage page: the range's figures, their lines over time, and what they are made of by any dimension."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core.periods import Interval
from metering.query.export import FORMATS, TIMESTAMP, make_export
from metering.query.export_api import stream
from metering.query.latest import latest_event_at
from metering.query.run import UsageResult, UsageRow
from reports.bounds import standings
from reports.breakdown import PARAMETERS, ROW_ONLY, Breakdown
from reports.filters import dimension_words
from reports.page import UsagePage, sees_usage, show
from reports.parts import CARDS, COST, earlier_rows, measure_options, summary, time_series
from reports.series import MEASURES, interval_words
from reports.stacks import make_stack, stack_chart, stack_table
from reports.usage_pages import usage_tabs


class Usage(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:usage"
    template = "reports/usage.html"
    title = "Usage"
    parameters = PARAMETERS

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/usage.html says what it needs."""
        breakdown = Breakdown.of(self)
        page = self.head() | {"tabs": usage_tabs(self)}
        series = self.run(interval=self.chosen.interval)
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        earlier = earlier_rows(self)
        return {
            "page": page | {"has_data": True},
            "summary": summary(self, series, self.before(), (*CARDS, COST)),
            "coverage": series.coverage.shares,
            "chart": time_series(self, series, earlier, standings(self)),
            "stack": self._stack(breakdown, series, earlier) if breakdown.by not in ROW_ONLY else None,
            "breakdown": self.rows()
            | {"csv_url": self.chosen.url(reverse("reports:usage-breakdown", args=[self.organization.slug]))},
            "proof": self.proof(series.totals, latest_event_at(self.organization.pk)),
        }

    def rows(self) -> dict[str, Any]:
        """The explorer with the rows of `cursor`, and where the next ones come from."""
        context = Breakdown.of(self).context()
        cursor = context["next_cursor"]
        path = reverse("reports:usage-rows", args=[self.organization.slug])
        return context | {"more_rows_url": self.chosen.url(path, cursor=cursor) if cursor else None}

    def _stack(self, breakdown: Breakdown, series: UsageResult, earlier: list[UsageRow]) -> dict[str, Any]:
        stack = make_stack(self, breakdown.by, series)
        measure = MEASURES[self.chosen.measure]
        title = f"{measure.label} by {interval_words(self.chosen.interval)} and {dimension_words(breakdown.by)}"
        return {
            "id": "usage-parts",
            "title": title,
            "measure": measure_options(self),
            "json": stack_chart(self, stack, kind="stack", earlier=earlier),
            "table": stack_table(self, stack),
            "csv_url": self.chosen.url(reverse("reports:usage-trend", args=[self.organization.slug])),
        }


@require_GET
@sees_usage
def usage(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Usage)


@require_GET
@sees_usage
def rows(request: OrganizationRequest) -> HttpResponseBase:
    """The rows behind `?cursor=`, for the table that shows those before it."""
    return render(request, "reports/_explorer_rows.html", {"breakdown": Usage.of(request).rows()})


@require_GET
@sees_usage
def breakdown_file(request: OrganizationRequest) -> HttpResponseBase:
    """Every row of the breakdown, exact to the last digit."""
    return _file(request, Usage.of(request), None)


@require_GET
@sees_usage
def trend_file(request: OrganizationRequest) -> HttpResponseBase:
    """The same by the interval of the page."""
    page = Usage.of(request)
    return _file(request, page, page.chosen.interval)


def _file(request: OrganizationRequest, page: Usage, interval: Interval | None) -> HttpResponseBase:
    breakdown = Breakdown.of(page)
    columns = (*((TIMESTAMP,) if interval else ()), *breakdown.file_columns)
    export = make_export(page.chosen.query(request.organization.pk), columns, interval)
    name = "-".join((request.organization.slug, "by", *breakdown.dimensions, *((interval,) if interval else ())))
    return stream(request, export, FORMATS["csv"], f"{name}.csv")
