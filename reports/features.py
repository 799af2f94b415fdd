"""Features and tools: what the product did with its models, and with which tools."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core import figures as words
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures
from metering.query.run import UsageResult
from reports.filters import dimension_words
from reports.page import UsagePage, sees_usage, show
from reports.parts import COST, Card, measure_options, summary
from reports.ranking import Ranking, rows_of
from reports.series import MEASURES, interval_words
from reports.stacks import make_stack, stack_chart, stack_table
from reports.usage_pages import usage_tabs

CARDS: tuple[Card, ...] = (
    ("Total tokens", "tokens", lambda f: f.total_tokens),
    COST,
    ("Requests", "count", lambda f: f.requests),
)
COLUMNS = ("requests", "total_tokens", "cost_usd", "average_tokens", "errors")
TITLES = {"feature": "Features", "tool": "Tools"}


class Features(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:features"
    template = "reports/features.html"
    title = "Features and tools"
    parameters = ("sort",)

    def context(self) -> dict[str, Any]:
        page = self.head() | {"tabs": usage_tabs(self)}
        series = self.run(interval=self.chosen.interval)
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        found = {dimension: rows_of(self, dimension) for dimension in TITLES}
        return {
            "page": page | {"has_data": True},
            "summary": summary(self, series, self.before(), CARDS),
            "named": [self._named(dimension, result) for dimension, result in found.items()],
            "sections": [self._section(dimension, series, result) for dimension, result in found.items()],
            "proof": self.proof(series.totals, latest_event_at(self.organization.pk)),
        }

    def _named(self, dimension: str, result: UsageResult) -> dict[str, Any]:
        """How many values there are, and how much of the usage says one."""
        values = [row for row in result.rows if row.group[dimension].key is not None]
        told = sum((row.figures for row in values), Figures())
        return {
            "label": TITLES[dimension],
            "count": len(values),
            "share": words.share(told.requests, result.totals.requests),
        }

    def _section(self, dimension: str, series: UsageResult, result: UsageResult) -> dict[str, Any]:
        measure, chosen = MEASURES[self.chosen.measure], self.chosen
        stack = make_stack(self, dimension, series)
        files = {
            name: chosen.carried_to(reverse(f"reports:usage-{name}", args=[self.organization.slug]), by=dimension)
            for name in ("breakdown", "trend")
        }
        return {
            "chart": {
                "id": f"{dimension}-over-time",
                "title": f"{measure.label} by {interval_words(chosen.interval)} and {dimension_words(dimension)}",
                "measure": measure_options(self),
                "json": stack_chart(self, stack, kind="stack"),
                "table": stack_table(self, stack),
                "csv_url": files["trend"],
            },
            "ranking": Ranking(
                page=self,
                id=f"{dimension}s",
                title=TITLES[dimension],
                dimension=dimension,
                columns=COLUMNS,
                result=result,
                csv_url=files["breakdown"],
                note=f"by {measure.label.lower()}",
            ).context(),
        }


@require_GET
@sees_usage
def features(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Features)
