"""The models page: how much hangs on which model, what each costs over time, and what its tokens cost."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import msgspec
from django.http import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from core import figures as words
from core.figures import share
from core.money import NANOS_PER_USD, divide_half_even
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures
from metering.query.run import UsageResult, UsageRow
from reports.page import UsagePage, sees_usage, show
from reports.parts import earlier_rows, measure_options
from reports.series import MEASURES, Measure, interval_words
from reports.stacks import make_stack, name_of, slot_of, stack_chart, stack_table, words_of

# A list is read to its fiftieth line; the file has all of them.
MOST_LISTED = 50
# Unit of a measure → how a card writes it.
FORMATS = {"usd": "money", "tokens": "tokens", "count": "count"}


class Concentration(msgspec.Struct, frozen=True):
    """How unevenly a total is spread over its parts.

    `top` is the largest part's share. `index` is the Herfindahl-Hirschman index, the sum of the squared shares: 1 when
    all is one part, 1/n when n parts are equal; so `equals` = 1/index parts of the same size would be as concentrated.
    """

    top: Fraction
    index: Fraction

    @property
    def equals(self) -> Fraction:
        return 1 / self.index


def concentration(values: Sequence[int]) -> Concentration | None:
    """None where there is nothing to spread."""
    total = sum(values)
    if not total:
        return None
    return Concentration(Fraction(max(values), total), Fraction(sum(value * value for value in values), total * total))


def cost_of_thousand(figures: Figures) -> int | None:
    """Nano-dollars for 1,000 tokens, all kinds blended, of the tokens whose cost is known; half to even."""
    tokens = figures.total_tokens - figures.unpriced_tokens
    return divide_half_even(figures.known_cost_nanos * 1000, tokens) if tokens and figures.is_cost_known else None


def tokens_per_dollar(figures: Figures) -> Fraction | None:
    """Of the tokens whose cost is known; unknown where they cost nothing, and where not tokens are what is paid for."""
    tokens = figures.total_tokens - figures.unpriced_tokens
    return Fraction(tokens * NANOS_PER_USD, figures.known_cost_nanos) if tokens and figures.known_cost_nanos else None


class Models(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:models"
    template = "reports/models.html"
    title = "Models"
    measures = ("cost", "tokens", "requests", "input_cost", "output_cost")

    @property
    def measure(self) -> Measure:
        return MEASURES[self.chosen.measure]

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/models.html says what it needs."""
        page = self.head()
        series = self.run(interval=self.chosen.interval)
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        models = self.run(group_by=("model",), order_by=(f"-{self.measure.metric}",))
        return {
            "page": page | {"has_data": True},
            "notices": self._single_model(models),
            "cards": self._cards(models),
            "chart": self._chart(series),
            "ranking": self._ranking(models),
            "proof": self.proof(series.totals, latest_event_at(self.organization.pk)),
        }

    def _single_model(self, models: UsageResult) -> list[dict[str, Any]]:
        if len(models.rows) != 1 or "model" in self.chosen.filters:
            return []
        name = name_of(models.rows[0].group["model"], "model")
        return [
            {
                "tone": "info",
                "fact": f"All of this usage is {name}.",
                "text": "There is no other model to compare it with in this range.",
                "actions": [
                    {"label": "Show 90 days", "url": self.chosen.url(range="90d", **{"from": None, "to": None})}
                ]
                if self.chosen.range.key != "90d"
                else [],
            }
        ]

    def _cards(self, models: UsageResult) -> dict[str, Any]:
        measure, before = self.measure, self.before()
        known = [(row, value) for row in models.rows if (value := measure.of(row.figures)) is not None]
        values = [value for _, value in known]
        found = concentration(values)
        top = known[0][0] if found else None
        average = round(Fraction(sum(values), len(values))) if values else None
        return {
            "total": {
                "label": f"Total {measure.label.lower()}",
                "value": measure.of(models.totals),
                "format": FORMATS[measure.unit],
                "previous": measure.of(before) if before else None,
            },
            "concentration": {
                "top": found.top,
                "index": f"{float(found.index):.2f}",
                "equals": f"{float(found.equals):.1f}",
            }
            if found
            else None,
            "top": {"label": name_of(top.group["model"], "model"), "text": words_of(measure, measure.of(top.figures))}
            if top
            else None,
            "average": {
                "label": "Average a model",
                "value": average,
                "format": FORMATS[measure.unit],
                "previous": None,
            },
            "count": len(models.rows),
            "unpriced": len(models.rows) - len(known),
            "of": measure.label.lower(),
        }

    def _chart(self, series: UsageResult) -> dict[str, Any]:
        chosen, measure = self.chosen, self.measure
        stack = make_stack(self, "model", series)
        return {
            "id": "models-over-time",
            "title": f"{measure.label} by {interval_words(chosen.interval)} and model",
            "measure": measure_options(self),
            "json": stack_chart(self, stack, kind="area", earlier=earlier_rows(self)),
            "table": stack_table(self, stack),
            "csv_url": chosen.carried_to(reverse("reports:usage-trend", args=[self.organization.slug]), by="model"),
        }

    def _ranking(self, models: UsageResult) -> dict[str, Any]:
        totals = models.totals
        shown = models.rows[:MOST_LISTED]
        return {
            "measure": self.measure.label.lower(),
            "rows": [self._row(row, totals) for row in shown],
            "totals": _facts(totals),
            "rest": len(models.rows) - len(shown),
            "csv_url": self.chosen.carried_to(
                reverse("reports:usage-breakdown", args=[self.organization.slug]), by="model"
            ),
        }

    def _row(self, row: UsageRow, totals: Figures) -> dict[str, Any]:
        group, value = row.group["model"], self.measure.lines[0].value
        return _facts(row.figures) | {
            "label": name_of(group, "model"),
            "slot": slot_of(group) if row.figures.is_cost_known else "unpriced",
            "url": self.chosen.filtered_url("model", group.key),
            "share": share(self.measure.of(row.figures), value(totals)),
            "token_share": share(row.figures.total_tokens, totals.total_tokens),
        }


def _facts(figures: Figures) -> dict[str, Any]:
    latency = figures.average_latency_ms
    return {
        "cost_nanos": figures.cost_nanos,
        "is_cost_known": figures.is_cost_known,
        "is_partial": figures.is_cost_known and figures.unpriced_tokens > 0,
        "tokens": figures.total_tokens,
        "requests": figures.requests,
        "thousand": words.money(cost_of_thousand(figures), 6),
        "per_dollar": tokens_per_dollar(figures),
        "latency": None if latency is None else round(latency),
        "errors": Fraction(figures.errors, figures.requests) if figures.requests else None,
    }


@require_GET
@sees_usage
def models(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Models)
