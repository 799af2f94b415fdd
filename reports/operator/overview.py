"""The operator's overview: what all organizations spend and use, on what, and who spends most of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from core import figures as words
from core.csvcells import csv_text
from core.errors import ApiError
from core.figures import share
from core.money import NANOS_PER_USD, divide_half_even, usd_text
from metering.query.across import ORGANIZATION, AcrossResult, run_across
from metering.query.latest import latest_events
from metering.query.metrics import Figures
from metering.query.plan import Source
from metering.query.run import UsageRow
from reports.filters import dimension_label, dimension_words
from reports.model_analytics import cost_of_thousand, tokens_per_dollar
from reports.operator.access import operator_only
from reports.operator.view import DIMENSIONS, OVERVIEW, AcrossView
from reports.parts import measure_options
from reports.series import MEASURES, chart, interval_words, table
from reports.stacks import name_of, slot_of

MOST_SHOWN = 6
MOST_LISTED = 500
MOST_RECOUNTED = 300_000
# From that share on one provider's outage is everybody's.
HALF = Fraction(1, 2)


class OperatorOverview(AcrossView, frozen=True, kw_only=True):
    def context(self) -> dict[str, Any]:
        """The template's context; templates/operator/overview.html says what it needs."""
        series = self.run(interval=self.interval)
        page = self.head("Overview")
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        models, organizations = self.run(group_by=("model",)), self.run(group_by=(ORGANIZATION,))
        return {
            "page": page | {"has_data": True},
            "cards": self._cards(series.totals, models, organizations),
            "distribution": distribution(series.totals, models.rows),
            "chart": self._chart(series),
            "organizations": self._ring(ORGANIZATION, "Top organizations", organizations),
            "models": self._ring("model", "Models", models),
            "notices": self._advice(len(organizations.rows)),
            "proof": self.proof(series.totals, len(organizations.rows)),
        }

    def _a_day(self, organizations: AcrossResult, amount: Callable[[Figures], int]) -> Fraction:
        """What each organization uses a day by its own clock, added up."""
        days = {pk: self.elapsed_days(ZoneInfo(zone)) for pk, zone in organizations.zones.items()}
        rows = organizations.rows
        return sum((amount(row.figures) / days[int(row.group[ORGANIZATION].ref or 0)] for row in rows), Fraction())

    def _cards(self, totals: Figures, models: AcrossResult, organizations: AcrossResult) -> dict[str, Any]:
        cost_a_day = self._a_day(organizations, lambda figures: figures.known_cost_nanos)
        known = [row for row in models.rows if row.figures.is_cost_known and row.figures.known_cost_nanos]
        top = max(known, key=lambda row: row.figures.known_cost_nanos, default=None)
        cost = totals.cost_nanos
        return {
            "cost": cost,
            "cost_a_day": None if cost is None else round(cost_a_day),
            # The days that have passed for each organization, weighted by its spend.
            "days": f"{float(cost / cost_a_day):.1f}" if cost and cost_a_day else None,
            "tokens": totals.total_tokens,
            "tokens_a_day": round(self._a_day(organizations, lambda figures: figures.total_tokens)),
            "models": len(models.rows),
            "top": name_of(top.group["model"], "model") if top else None,
            "top_url": self.chosen.filtered_url("model", top.group["model"].key) if top else None,
            "thousand": words.money(cost_of_thousand(totals), 6),
            "per_dollar": tokens_per_dollar(totals),
            "unpriced_tokens": totals.unpriced_tokens,
        }

    def _chart(self, series: AcrossResult) -> dict[str, Any]:
        chosen, measure = self.chosen, MEASURES[self.chosen.measure]
        past_days = chosen.range.laid_under(self.interval, chosen.zone)
        earlier = self.run(past_days, interval=self.interval).rows if chosen.is_compared else []
        past = [row for row in series.rows if row.start <= self.now]
        return {
            "id": "across",
            "title": f"{measure.label} by {interval_words(chosen.interval)}",
            "measure": measure_options(self),
            "json": chart(measure, chosen.interval, chosen.zone, self.now, series.rows, earlier),
            "table": table(measure, chosen.interval, chosen.zone, past, series.totals),
            "csv_url": chosen.url(reverse("operator:series")),
        }

    def _ring(self, dimension: str, title: str, found: AcrossResult) -> dict[str, Any]:
        """A donut and its table: the largest spenders and the others, each a filter."""
        ordered = by_cost(found.rows)
        total = found.totals.known_cost_nanos
        rows = [self.row_of(dimension, row, total) for row in ordered[:MOST_SHOWN]]
        rest = ordered[MOST_SHOWN:]
        if rest:
            cost = sum(row.figures.known_cost_nanos for row in rest)
            others = {"label": f"{len(rest)} others", "slot": "other", "cost": cost, "is_known": True}
            rows.append(others | {"share": share(cost, total), "url": None})
        return {
            "id": f"ring-{dimension}",
            "title": title,
            "column": dimension_label(dimension),
            "total": total,
            "count": len(found.rows),
            "unit": dimension_words(dimension),
            "more_url": self.chosen.url(reverse("operator:by", args=[dimension])),
            "rows": rows,
            "json": {
                "kind": "donut",
                "unit": "usd",
                "measure": "Spend",
                "series": [
                    {
                        "label": row["label"],
                        "slot": row["slot"],
                        "value": row["cost"] / NANOS_PER_USD,
                        "text": words.money(row["cost"]),
                        "share": words.percent(row["share"]),
                        "href": row["url"],
                    }
                    for row in rows
                    if row["is_known"]
                ],
            },
        }

    def row_of(self, dimension: str, row: UsageRow, total: int) -> dict[str, Any]:
        group, figures = row.group[dimension], row.figures
        return {
            "label": name_of(group, dimension),
            "slot": slot_of(group) if figures.is_cost_known else "unpriced",
            "cost": figures.known_cost_nanos,
            "is_known": figures.is_cost_known,
            "share": share(figures.known_cost_nanos, total) if figures.is_cost_known else None,
            "url": self.chosen.filtered_url(dimension, group.key),
        }

    def _advice(self, organizations: int) -> list[dict[str, Any]]:
        """A notice when one provider has half of the spend: how many an outage of it would stop."""
        if "provider" in self.chosen.filters or organizations < 2:
            return []
        found = self.run(group_by=("provider",))
        top = next(iter(by_cost(found.rows)), None)
        part = share(top.figures.known_cost_nanos, found.totals.known_cost_nanos) if top else None
        if top is None or part is None or part < HALF or top.group["provider"].key is None:
            return []
        name = top.group["provider"].key
        users = self.run(group_by=(ORGANIZATION,), filters={**self.chosen.filters, "provider": (name,)})
        return [
            {
                "tone": "info",
                "fact": f"{words.percent(part)} of the spend goes to {name}.",
                "text": f"An outage there would reach {len(users.rows)} of {organizations} organizations.",
                "actions": [{"label": "Show its usage", "url": self.chosen.filtered_url("provider", name)}],
            }
        ]

    def proof(self, totals: Figures, organizations: int) -> dict[str, Any]:
        return {
            "events": totals.requests,
            "organizations": organizations,
            "difference": None,
            "unpriced_tokens": totals.unpriced_tokens,
            "last_event_at": max(latest_events().values(), default=None),
            "recount_url": self.chosen.url(reverse("operator:recount")),
        }


def by_cost(rows: Sequence[UsageRow]) -> list[UsageRow]:
    """The largest spender first; what nobody knows the cost of comes last, the largest use of tokens first."""
    return sorted(
        rows,
        key=lambda row: (
            not row.figures.is_cost_known,
            -row.figures.known_cost_nanos,
            -row.figures.total_tokens,
        ),
    )


def distribution(totals: Figures, models: Sequence[UsageRow]) -> dict[str, Any]:
    """Input against output, by tokens and by cost. What a dollar buys is told by models whose every token has a price,
    because unpriced tokens are in no cost."""
    priced = [row.figures for row in models if not row.figures.unpriced_tokens]
    whole = reduce(Figures.__add__, priced, Figures())
    units = totals.unit_cost_nanos or 0
    return {
        "tokens": [
            _token_side("Input", "input", totals.prompt_tokens, totals, whole.prompt_tokens, whole.input_cost_nanos),
            _token_side(
                "Output", "output", totals.completion_tokens, totals, whole.completion_tokens, whole.output_cost_nanos
            ),
        ],
        "costs": [
            _cost_side("Input cost", "input", totals.input_cost_nanos, totals, whole, whole.prompt_tokens),
            _cost_side("Output cost", "output", totals.output_cost_nanos, totals, whole, whole.completion_tokens),
        ],
        "units": units,
        "token_bar": [("input", totals.prompt_tokens), ("output", totals.completion_tokens)],
        "cost_bar": [
            ("input", totals.known_input_cost_nanos),
            ("output", totals.known_output_cost_nanos),
            ("tool", units),
        ],
        "output_of_tokens": share(totals.completion_tokens, totals.total_tokens),
        "output_of_cost": share(totals.known_output_cost_nanos, totals.known_cost_nanos),
        "left_out": len(models) - len(priced),
    }


def _token_side(
    label: str, kind: str, tokens: int, totals: Figures, priced_tokens: int, cost: int | None
) -> dict[str, Any]:
    return {
        "label": label,
        "kind": kind,
        "tokens": tokens,
        "share": share(tokens, totals.total_tokens),
        "per_dollar": Fraction(priced_tokens * NANOS_PER_USD, cost) if cost else None,
    }


def _cost_side(
    label: str, kind: str, cost: int | None, totals: Figures, whole: Figures, priced_tokens: int
) -> dict[str, Any]:
    known = whole.known_input_cost_nanos if kind == "input" else whole.known_output_cost_nanos
    return {
        "label": label,
        "kind": kind,
        "cost": cost,
        "share": share(cost, totals.known_cost_nanos),
        "thousand": words.money(divide_half_even(known * 1000, priced_tokens), 6) if priced_tokens else "—",
    }


# ── Addresses ──


@require_GET
@operator_only
def overview(request: HttpRequest) -> HttpResponseBase:
    try:
        context = OperatorOverview.of(request).context()
    except ApiError as error:
        problem = {"title": "This view does not exist", "text": error.message, "retry_url": reverse(OVERVIEW)}
        return render(
            request, "operator/overview.html", {"page": {"title": "Overview"}, "error": problem}, status=error.status
        )
    return render(request, "operator/overview.html", context)


@require_GET
@operator_only
def series_csv(request: HttpRequest) -> HttpResponseBase:
    """The chart's table with every measure, exact to the last digit."""
    view = OperatorOverview.of(request)
    found = view.run(interval=view.interval)
    lines: list[Sequence[Any]] = [("day", "tokens", "prompt_tokens", "completion_tokens", "requests", "cost_usd")]
    lines += [(row.start.date().isoformat(), *_exact(row.figures)) for row in found.rows if row.start <= view.now]
    return _csv(lines, f"organizations-by-{view.interval}.csv")


@require_GET
@operator_only
def by(request: HttpRequest, dimension: str) -> HttpResponseBase:
    """Every value of a dimension by spend, each a filter for the overview. `.csv` is the same as a file."""
    view, found = _by(request, dimension)
    rows = by_cost(found.rows)
    head = view.head(f"{dimension_label(dimension)}s" if dimension != "status" else "Statuses")
    context = {
        "page": head | {"back_url": view.chosen.url(), "csv_url": view.chosen.url(_csv_path(dimension))},
        "column": dimension_label(dimension),
        "rows": [
            view.row_of(dimension, row, found.totals.known_cost_nanos)
            | {"figures": row.figures, "thousand": words.money(cost_of_thousand(row.figures), 6)}
            for row in rows[:MOST_LISTED]
        ],
        "totals": found.totals,
        "rest": max(0, len(rows) - MOST_LISTED),
    }
    return render(request, "operator/by.html", context)


@require_GET
@operator_only
def by_csv(request: HttpRequest, dimension: str) -> HttpResponseBase:
    _, found = _by(request, dimension)
    lines: list[Sequence[Any]] = [
        (dimension, "tokens", "prompt_tokens", "completion_tokens", "requests", "cost_usd"),
        *((row.group[dimension].key or "", *_exact(row.figures)) for row in by_cost(found.rows)),
    ]
    return _csv(lines, f"organizations-by-{dimension}.csv")


@require_GET
@operator_only
def recount(request: HttpRequest) -> HttpResponseBase:
    """The proof line, after counting the events themselves beside the roll-ups the page was made of."""
    view = OperatorOverview.of(request)
    found = view.run(group_by=(ORGANIZATION,))
    proof = view.proof(found.totals, len(found.rows)) | {"recount_url": None}
    if found.totals.requests <= MOST_RECOUNTED:
        counted = run_across(view.query(), Source.EVENTS).totals
        differing = abs(counted.total_tokens - found.totals.total_tokens)
        proof |= {
            "events": counted.requests,
            "difference": 0 if counted == found.totals else differing or 1,
        }
    return render(request, "components/proof.html", {"proof": proof})


def _by(request: HttpRequest, dimension: str) -> tuple[OperatorOverview, AcrossResult]:
    if dimension not in DIMENSIONS:
        raise Http404("no such dimension")
    view = OperatorOverview.of(request)
    return view, view.run(group_by=(dimension,))


def _csv_path(dimension: str) -> str:
    return reverse("operator:by-csv", args=[dimension])


def _exact(figures: Figures) -> tuple[Any, ...]:
    return (
        figures.total_tokens,
        figures.prompt_tokens,
        figures.completion_tokens,
        figures.requests,
        usd_text(figures.cost_nanos),
    )


def _csv(lines: Sequence[Sequence[Any]], name: str) -> HttpResponse:
    response = HttpResponse(csv_text(lines), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
