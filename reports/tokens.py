"""The token usage page: total, input and output, the kinds of tokens; cost and count over time by what served them."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core.errors import ApiError
from core.figures import share
from metering.events import BUCKETS, COMPLETION_BUCKETS, PROMPT_BUCKETS
from metering.query.export import FORMATS, make_export
from metering.query.export_api import stream
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures
from metering.query.run import UsageResult
from reports.filters import dimension_label, dimension_words
from reports.page import UsagePage, sees_usage, show
from reports.parts import CARDS, COST, earlier_rows, measure_options, summary, time_series
from reports.series import MEASURES, interval_words
from reports.split import BUCKET_LABELS
from reports.stacks import make_stack, name_of, slot_of, stack_chart, stack_table
from reports.usage_pages import usage_tabs

BY = "by"
# What served a call: the model or deployment, who runs it, the address it was asked at.
DIMENSIONS = ("model", "provider", "endpoint", "api_key")
MOST_ROWS = 25
# How the kinds are drawn, as in series.css.
_CACHED = {"cache_read", "cache_write_5m", "cache_write_1h"}
COLUMNS = ("requests", "total_tokens", "prompt_tokens", "completion_tokens", *BUCKETS, "cost_usd")


class Tokens(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:tokens"
    template = "reports/tokens.html"
    title = "Token usage"
    measures = ("tokens", "requests")
    parameters = (BY,)

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/tokens.html says what it needs."""
        by = self.by
        slug = self.organization.slug
        csv_url = self.chosen.url(reverse("reports:tokens-file", args=[slug]))
        page = self.head() | {"export_url": csv_url, "tabs": usage_tabs(self)}
        series = self.run(interval=self.chosen.interval)
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        return {
            "page": page | {"has_data": True},
            "summary": summary(self, series, self.before(), (*CARDS, COST)),
            "kinds": _kinds(series.totals),
            "drawn": [(_color(name), getattr(series.totals, name)) for name in (*PROMPT_BUCKETS, *COMPLETION_BUCKETS)],
            "by_options": [
                {"label": dimension_label(name), "url": self.chosen.url(by=name), "is_current": name == by}
                for name in DIMENSIONS
                if name in (*self.dimensions, by)
            ],
            "chart": time_series(self, series, earlier_rows(self), ()),
            "cost": self._trend(by, "cost", series),
            "count": self._trend(by, self.chosen.measure, series),
            "ranking": self._ranking(by, series.totals),
            "csv_url": csv_url,
            "proof": self.proof(series.totals, latest_event_at(self.organization.pk)),
        }

    @property
    def by(self) -> str:
        """Raises ApiError: 422 for what serves no call, 403 for what the role may not look through."""
        by = self.chosen.given(BY) or DIMENSIONS[0]
        if by not in DIMENSIONS:
            raise ApiError(422, "invalid_parameter", f"by is one of {', '.join(DIMENSIONS)}.", param=BY)
        if by in self.hidden:
            raise ApiError(403, "forbidden", f"Your role does not see {dimension_label(by)}.", param=BY)
        return by

    def _trend(self, by: str, measure: str, series: UsageResult) -> dict[str, Any]:
        """The same view by another measure; the address keeps its own."""
        view = msgspec.structs.replace(self, chosen=msgspec.structs.replace(self.chosen, measure=measure))
        stack = make_stack(view, by, series)
        title = f"{MEASURES[measure].label} by {interval_words(self.chosen.interval)} and {dimension_words(by)}"
        path = reverse("reports:usage-trend", args=[self.organization.slug])
        return {
            "id": f"tokens-{measure}-trend" if measure == "cost" else "tokens-count-trend",
            "title": title,
            "measure": {"options": [], "types": []} if measure == "cost" else measure_options(self),
            "json": stack_chart(view, stack, kind="stack"),
            "table": stack_table(view, stack),
            "csv_url": self.chosen.carried_to(path, by=by),
        }

    def _ranking(self, by: str, totals: Figures) -> dict[str, Any]:
        found = self.run(group_by=(by,), limit=MOST_ROWS)
        return {
            "by": dimension_label(by),
            "rows": [
                _facts(row.figures)
                | {
                    "label": name_of(row.group[by], by),
                    "slot": slot_of(row.group[by]),
                    "url": self.chosen.filtered_url(by, row.group[by].key),
                    "share": share(row.figures.total_tokens, totals.total_tokens),
                }
                for row in found.rows
            ],
            "totals": _facts(totals),
            "is_cut": found.next_cursor is not None,
            "most": MOST_ROWS,
        }


def _facts(figures: Figures) -> dict[str, Any]:
    return {
        "total": figures.total_tokens,
        "prompt": figures.prompt_tokens,
        "completion": figures.completion_tokens,
        "cache_read": figures.cache_read,
        "reasoning": figures.reasoning,
        "requests": figures.requests,
        "cost_nanos": figures.cost_nanos,
        "is_cost_known": figures.is_cost_known,
    }


def _kinds(totals: Figures) -> list[dict[str, Any]]:
    """Every kind of token that was used, those going in before those coming out."""
    return [
        {
            "label": BUCKET_LABELS[name],
            "color": _color(name),
            "way": "in" if name in PROMPT_BUCKETS else "out",
            "tokens": getattr(totals, name),
            "share": share(getattr(totals, name), totals.total_tokens),
        }
        for name in (*PROMPT_BUCKETS, *COMPLETION_BUCKETS)
        if getattr(totals, name)
    ]


def _color(bucket: str) -> str:
    if bucket in _CACHED:
        return "cached"
    if bucket in PROMPT_BUCKETS:
        return "input" if bucket == "input" else "files"
    return {"output": "output", "reasoning": "reasoning"}.get(bucket, "tool")


@require_GET
@sees_usage
def tokens(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Tokens)


@require_GET
@sees_usage
def tokens_file(request: OrganizationRequest) -> HttpResponseBase:
    """Every value of the chosen dimension with every kind of token."""
    page = Tokens.of(request)
    export = make_export(page.chosen.query(request.organization.pk), (page.by, *COLUMNS), None)
    return stream(request, export, FORMATS["csv"], f"{request.organization.slug}-tokens-by-{page.by}.csv")
