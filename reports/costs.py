"""The costs page: why the bill is that high, line by line; which models it is made of; how the month stands."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.permissions import Right, may
from accounts.requests import OrganizationRequest
from core import figures as words
from core.csvcells import csv_text
from core.figures import share
from core.money import FEMTOS_PER_NANO
from metering.pricing.receipt import exact_usd, quoted_rate
from metering.query.costs import CostAnalysis, CostLine, ModelCosts, analyze_costs
from metering.query.costs_api import write_line
from metering.query.latest import latest_event_at
from metering.query.metrics import Figures
from metering.query.ranges import Span, named_range
from metering.query.run import UsageResult
from reports.filters import value_text
from reports.models import Symptom
from reports.page import UsagePage, sees_usage, show
from reports.parts import measure_options
from reports.series import MEASURES, interval_words
from reports.split import BUCKET_LABELS, UNIT_LABELS
from reports.stacks import make_stack, name_of, slot_of, stack_chart, stack_table

# Lines are read model by model to the twenty-fifth; the file has all of them.
MOST_MODELS = 25
KIND_LABELS = {"input": "Input", "output": "Output", "tools": "Tools and units"}
COLUMNS = (
    "model", "provider", "kind", "bucket", "charged_as", "state", "service_tier", "above_tokens", "daily_from",
    "daily_to", "price_id", "count", "rate_usd", "rate_unit", "amount_usd",
)  # fmt: skip
_HOURS = ("media_hours", "gpu_hours")


class Costs(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:costs"
    template = "reports/costs.html"
    title = "Costs"
    measures = ("cost", "input_cost", "output_cost")

    def context(self) -> dict[str, Any]:
        """The template's context; templates/reports/costs.html says what it needs."""
        slug = self.organization.slug
        csv_url = self.chosen.url(reverse("reports:costs-file", args=[slug]))
        page = self.head() | {
            "export_url": csv_url,
            "links": [
                {
                    "question": "What would this usage cost elsewhere?",
                    "label": "Compare prices",
                    "url": self.chosen.carried_to(reverse("reports:comparison", args=[slug])),
                },
                *self._bill(),
                *self._shared_costs(),
                *self._diagnosis(),
            ],
        }
        series = self.run(interval=self.chosen.interval)
        if series.totals.requests == 0:
            return {"page": page | {"has_data": False}}
        found = self.analysis()
        return {
            "page": page | {"has_data": True},
            "cards": self._cards(found, series),
            "coverage": found.totals.coverage.shares,
            "kinds": _kinds(found),
            "chart": self._chart(series),
            "models": [self._model(one, found.totals) for one in found.models[:MOST_MODELS]],
            "rest": _rest(found),
            "sums": {
                "lines": exact_money(sum(line.amount_femtos or 0 for line in found.lines)),
                "rounding": exact_money(found.rounding_femtos),
                "total": exact_money(found.totals.known_cost_nanos * FEMTOS_PER_NANO),
                "is_known": found.totals.is_cost_known,
            },
            "csv_url": csv_url,
            "proof": self.proof(found.totals, latest_event_at(self.organization.pk)),
        }

    def _bill(self) -> list[dict[str, Any]]:
        if not may(self.membership.role, Right.SEE_MONEY):
            return []
        url = reverse("billing:reconciliations", args=[self.organization.slug])
        return [{"question": "Is it what the provider billed?", "label": "Compare with a bill", "url": url}]

    def _shared_costs(self) -> list[dict[str, Any]]:
        """For who sees everybody's usage: a part of it has no departments to bear anything."""
        if not may(self.membership.role, Right.SEE_USAGE):
            return []
        url = self.chosen.carried_to(reverse("reports:shared-costs", args=[self.organization.slug]))
        return [{"question": "Which department bears what nobody has by itself?", "label": "Shared costs", "url": url}]

    def _diagnosis(self) -> list[dict[str, Any]]:
        url = self.diagnosis_url(Symptom.COST)
        return [{"question": "Does a cost look wrong?", "label": "Diagnose", "url": url}] if url else []

    def analysis(self) -> CostAnalysis:
        return analyze_costs(self.chosen.query(self.organization.pk))

    def _cards(self, found: CostAnalysis, series: UsageResult) -> list[dict[str, Any]]:
        before = self.before()
        finished = self.chosen.range.end <= self.now
        past = [row for row in series.rows if row.start <= self.now]

        def card(label: str, name: str) -> dict[str, Any]:
            return {
                "label": label,
                "value": getattr(found.totals, name),
                "format": "money",
                "previous": getattr(before, name) if before else None,
                "spark": [getattr(row.figures, name) or 0 for row in past],
                "is_finished": finished,
            }

        cards = [
            card("Cost", "cost_nanos"),
            card("Input", "input_cost_nanos"),
            card("Output", "output_cost_nanos"),
            card("Tools and units", "unit_cost_nanos"),
        ]
        if self.chosen.range.key != "month":
            month = named_range("month", self.organization.zone, self.now)
            so_far = self.run(Span(month.start, month.end)).totals
            cards.append(
                {"label": "This month so far", "value": so_far.cost_nanos, "format": "money", "previous": None}
            )
        return cards

    def _chart(self, series: UsageResult) -> dict[str, Any]:
        chosen, measure = self.chosen, MEASURES[self.chosen.measure]
        stack = make_stack(self, "model", series)
        return {
            "id": "costs-over-time",
            "title": f"{measure.label} by {interval_words(chosen.interval)} and model",
            "measure": measure_options(self),
            "json": stack_chart(self, stack, kind="stack"),
            "table": stack_table(self, stack),
            "csv_url": chosen.carried_to(reverse("reports:usage-trend", args=[self.organization.slug]), by="model"),
        }

    def _model(self, one: ModelCosts, totals: Figures) -> dict[str, Any]:
        figures, key = one.figures, value_text(one.model.key)
        calls = reverse("reports:calls", args=[self.organization.slug])
        return {
            "label": name_of(one.model, "model"),
            "provider": one.provider.label,
            "slot": slot_of(one.model) if figures.is_cost_known else "unpriced",
            "url": self.chosen.filtered_url("model", one.model.key),
            "calls_url": self.chosen.carried_to(calls, model=key),
            "requests": figures.requests,
            "estimated": figures.estimated_requests,
            "unpriced": figures.unpriced_requests,
            "cost_nanos": figures.cost_nanos,
            "is_cost_known": figures.is_cost_known,
            "share": share(figures.known_cost_nanos, totals.known_cost_nanos) if figures.is_cost_known else None,
            "lines": [_line(line, one) for line in one.lines],
            "amount": exact_money(sum(line.amount_femtos or 0 for line in one.lines)),
        }


def exact_money(femtos: int) -> str:
    """Femto-dollars to the last digit, whole dollars in groups of three: $1,234.000000000000003."""
    return f"{'−' if femtos < 0 else ''}{_dollars(exact_usd(abs(femtos)))}"


def exact_time(milliseconds: int) -> str:
    """Hours, minutes and seconds to the last digit, so that times the rate it is the amount: 1:09:20.9."""
    seconds, rest = divmod(milliseconds, 1000)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{seconds // 3600:,}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def _dollars(exact: str) -> str:
    """Two decimals at least, as money has them."""
    whole, _, fraction = exact.partition(".")
    return f"${int(whole):,}.{fraction.ljust(2, '0')}"


def _line(line: CostLine, one: ModelCosts) -> dict[str, Any]:
    rate = quoted_rate(line.charged_as, line.femtos_per_unit) if line.femtos_per_unit else None
    figures = one.figures
    return {
        "kind": KIND_LABELS[line.kind],
        "label": BUCKET_LABELS.get(line.bucket) or UNIT_LABELS[line.bucket],
        "charged_as": BUCKET_LABELS.get(line.charged_as, line.charged_as) if line.charged_as != line.bucket else "",
        "conditions": _conditions(line, one),
        "count": line.count,
        "count_text": exact_time(line.count) if line.bucket in _HOURS else words.tokens(line.count),
        "rate": _dollars(rate[0]) if rate else None,
        "unit": rate[1] if rate else "",
        "amount": None if line.amount_femtos is None else exact_money(line.amount_femtos),
        "share": share(line.amount_femtos, figures.known_cost_nanos * FEMTOS_PER_NANO)
        if line.amount_femtos is not None and figures.known_cost_nanos
        else None,
        "state": line.state,
    }


def _conditions(line: CostLine, one: ModelCosts) -> list[str]:
    """What tells this rate of a bucket from its others."""
    said = []
    if line.tier:
        said.append(f"{line.tier} tier")
    if line.above_tokens:
        said.append(f"prompts above {line.above_tokens:,} tokens")
    if line.hours:
        said.append(f"{line.hours[0]:%H:%M} to {line.hours[1]:%H:%M} UTC")
    versions = {other.version.id for other in one.lines if other.version}
    if line.version and len(versions) > 1:
        until = line.version.valid_to
        said.append(f"price of {line.version.valid_from:%-d %b %Y}" + (f" to {until:%-d %b %Y}" if until else ""))
    return said


def _kinds(found: CostAnalysis) -> list[dict[str, Any]]:
    """Input, output and the rest: what their lines sum to."""
    whole = found.totals.known_cost_nanos * FEMTOS_PER_NANO
    kinds = []
    for kind, label in KIND_LABELS.items():
        lines = [line for line in found.lines if line.kind == kind]
        femtos = sum(line.amount_femtos or 0 for line in lines)
        kinds.append(
            {
                "label": label,
                "lines": len(lines),
                "tokens": sum(line.count for line in lines) if kind != "tools" else None,
                "amount": exact_money(femtos),
                "share": Fraction(femtos, whole) if whole else None,
            }
        )
    return kinds


def _rest(found: CostAnalysis) -> dict[str, Any] | None:
    hidden: Sequence[ModelCosts] = found.models[MOST_MODELS:]
    if not hidden:
        return None
    femtos = sum(line.amount_femtos or 0 for one in hidden for line in one.lines)
    return {"models": len(hidden), "amount": exact_money(femtos)}


@require_GET
@sees_usage
def costs(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Costs)


@require_GET
@sees_usage
def costs_file(request: OrganizationRequest) -> HttpResponseBase:
    """Every line and the rounding: the amounts sum to the total cost, exactly."""
    page = Costs.of(request)
    found = page.analysis()
    rows: list[Sequence[Any]] = [COLUMNS]
    rows += [[written[name] for name in COLUMNS] for written in map(write_line, found.lines)]
    rounding = dict.fromkeys(COLUMNS, "") | {"bucket": "rounding", "amount_usd": exact_usd(found.rounding_femtos)}
    rows.append([rounding[name] for name in COLUMNS])
    response = HttpResponse(csv_text(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{request.organization.slug}-costs.csv"'
    return response
