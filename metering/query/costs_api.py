"""GET /v1/usage/costs, /v1/usage/comparison."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.money import usd_text
from metering.pricing.book import PriceBook
from metering.pricing.receipt import exact_usd, quoted_rate
from metering.query import examples_of_costs as examples
from metering.query import gpus as gpu
from metering.query import params, schemas
from metering.query.api import percentage, write_coverage
from metering.query.comparison import MOST_TARGETS, Comparison, Replay, compare, find_target
from metering.query.costs import CostAnalysis, CostLine, analyze_costs
from metering.query.gpus import Gpus
from metering.query.metrics import rounded
from metering.query.spec import UsageQuery, refusal

_COMPARISON = ("with", *gpu.PARAMETERS)

CostLineSchema = schemas.inline(
    "CostLine",
    model=schemas.text(),
    provider=schemas.text(allow_null=True),
    kind=schemas.text("input, output or tools"),
    bucket=schemas.text("What was counted."),
    charged_as=schemas.text("The bucket whose rate was used."),
    state=schemas.text("priced, free, unpriced, or included: counted, and paid for by other lines."),
    service_tier=schemas.text("standard, batch, flex …"),
    above_tokens=schemas.count("The rate of calls whose prompt has more tokens."),
    daily_from=schemas.text("UTC; null for all day.", allow_null=True),
    daily_to=schemas.text(allow_null=True),
    price_id=serializers.IntegerField(allow_null=True, help_text="The version of the price, as in /v1/prices."),
    count=schemas.count("Tokens, searches, images, requests; milliseconds of hours."),
    rate_usd=schemas.text("Dollars per `rate_unit`; null without a rate.", allow_null=True),
    rate_unit=schemas.text(allow_null=True),
    amount_usd=schemas.text("count × rate, exact to the last digit; null when unpriced.", allow_null=True),
)
CostModelSchema = schemas.inline(
    "CostModel",
    model=schemas.text(),
    provider=schemas.text(allow_null=True),
    requests=schemas.count(),
    total_tokens=schemas.count(),
    cost_usd=schemas.usd(),
    rounding_usd=schemas.text("What rounding each call to 10⁻⁹ dollars added to its lines."),
    percentage=serializers.FloatField(help_text="Of all cost, to one decimal."),
)
CostsSchema = schemas.inline(
    "Costs",
    data=CostLineSchema(many=True),
    models=CostModelSchema(many=True, help_text="The most expensive first."),
    lines_usd=schemas.text("The sum of all lines, exact."),
    rounding_usd=schemas.text("lines_usd + rounding_usd = total_cost_usd, exactly."),
    total_cost_usd=schemas.usd(),
    coverage=schemas.CoverageSchema(),
)
_REPLAY: dict[str, Any] = {
    "calls": schemas.count("Whose cost is known at both prices."),
    "cost_usd": schemas.text("What these cost."),
    "would_cost_usd": schemas.text("What they would have; null when there is none.", allow_null=True),
    "saved_usd": schemas.text("Negative when it would be more.", allow_null=True),
    "saved_percent": serializers.FloatField(allow_null=True),
    "newly_priced_calls": schemas.count("Without a price today, that this one has rates for; in no saving."),
    "newly_priced_usd": schemas.text(allow_null=True),
    "left_out_calls": schemas.count("That this price has no rate for; on neither side."),
    "left_out_usd": schemas.text("What these cost."),
    "left_out_because": serializers.DictField(child=serializers.IntegerField(), help_text="Reason → calls."),
    "other_tier_calls": schemas.count("Of a tier this price does not know, charged as ordinary ones."),
}
ReplaySchema = schemas.inline(
    "ComparisonTarget", target=schemas.text(), price_id=schemas.count(), is_exact=serializers.BooleanField(), **_REPLAY
)
ComparisonSchema = schemas.inline(
    "Comparison",
    data=ReplaySchema(many=True, help_text="All of the usage at each target's price."),
    models=schemas.inline(
        "ComparisonModel",
        model=schemas.text(),
        provider=schemas.text(allow_null=True),
        requests=schemas.count(),
        cost_usd=schemas.usd(),
        targets=schemas.inline("ComparisonOfModel", target=schemas.text(), **_REPLAY)(many=True),
    )(many=True),
    gpu=schemas.inline(
        "ComparisonGpu", busy_hours=serializers.FloatField(), prompt_tokens=schemas.count(),
        completion_tokens=schemas.count(), **_REPLAY,
    )(allow_null=True, help_text="On GPUs, for the hours they are busy; null without gpu_hour_usd."),
)  # fmt: skip


@extend_schema(tags=["Usage"])
class CostsView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Cost, line by line",
        description=(
            "Tokens × rate = amount, for each model, bucket and rate that applied in the range. The lines and "
            "`rounding_usd` sum to the total cost exactly: each call's cost is rounded once, to 10⁻⁹ dollars."
        ),
        operation_id="usage_costs",
        parameters=[*schemas.PERIOD, *schemas.FILTERS],
        responses=answers(CostsSchema),
        examples=[OpenApiExample("Costs", examples.COSTS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        asked = params.read(request.query_params, self.grant)
        query = UsageQuery(asked.organization_id, asked.start, asked.end, asked.zone, filters=asked.filters)
        return Response(write_costs(analyze_costs(query)))


@extend_schema(tags=["Usage"])
class ComparisonView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="This usage at other prices",
        description=(
            "What the usage of the range would have cost at other models' prices of today, and on GPUs by the hour. "
            "Calls that a price has no rate for are counted, and left out of both sides."
        ),
        operation_id="usage_comparison",
        parameters=[
            OpenApiParameter(
                "with",
                str,
                description=f"At most {MOST_TARGETS} models, with commas between: provider/model, or model.",
            ),
            OpenApiParameter("gpu_hour_usd", str, description="Dollars for one GPU-hour, 0.01 to 10,000."),
            OpenApiParameter(
                "gpu_input_tokens_per_second", int, description=f"Default {gpu.DEFAULTS[gpu.INPUT_RATE]}."
            ),
            OpenApiParameter(
                "gpu_output_tokens_per_second", int, description=f"Default {gpu.DEFAULTS[gpu.OUTPUT_RATE]}."
            ),
            OpenApiParameter("gpus", int, description="That reach this throughput together; default 1."),
            *schemas.PERIOD,
            *schemas.FILTERS,
        ],
        responses=answers(ComparisonSchema),
        examples=[OpenApiExample("Comparison", examples.COMPARISON, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = params.read(given, self.grant, _COMPARISON)
        names = params.read_names(given, "with")
        if len(names) > MOST_TARGETS:
            raise refusal(f"with takes at most {MOST_TARGETS} models.", "with")
        gpus = Gpus.read({name: given.get(name) for name in gpu.PARAMETERS}) if given.get(gpu.HOUR) else None
        if not names and gpus is None:
            raise refusal("Say what to compare with: models in with, or gpu_hour_usd.", "with")
        book, at = PriceBook.load(), now()
        targets = [find_target(book, asked.organization_id, name, at) for name in names]
        query = UsageQuery(asked.organization_id, asked.start, asked.end, asked.zone, filters=asked.filters)
        return Response(write_comparison(compare(query, targets, gpus), gpus))


# ── Answers ──


def write_costs(found: CostAnalysis) -> dict[str, Any]:
    totals = found.totals
    return {
        "data": [write_line(line) for line in found.lines],
        "models": [
            {
                "model": one.model.key,
                "provider": one.provider.key,
                "requests": one.figures.requests,
                "total_tokens": one.figures.total_tokens,
                "cost_usd": usd_text(one.figures.cost_nanos),
                "rounding_usd": exact_usd(one.rounding_femtos),
                "percentage": percentage(one.figures.known_cost_nanos, totals.known_cost_nanos),
            }
            for one in found.models
        ],
        "lines_usd": exact_usd(sum(line.amount_femtos or 0 for line in found.lines)),
        "rounding_usd": exact_usd(found.rounding_femtos),
        "total_cost_usd": usd_text(totals.cost_nanos),
        "coverage": write_coverage(totals.coverage),
    }


def write_line(line: CostLine) -> dict[str, Any]:
    rate = None if line.femtos_per_unit is None else quoted_rate(line.charged_as, line.femtos_per_unit)
    hours = line.hours or (None, None)
    return {
        "model": line.model.key,
        "provider": line.provider.key,
        "kind": line.kind,
        "bucket": line.bucket,
        "charged_as": line.charged_as,
        "state": line.state,
        "service_tier": line.tier or "standard",
        "above_tokens": line.above_tokens,
        "daily_from": hours[0].isoformat("minutes") if hours[0] else None,
        "daily_to": hours[1].isoformat("minutes") if hours[1] else None,
        "price_id": line.version.id if line.version else None,
        "count": line.count,
        "rate_usd": rate[0] if rate else None,
        "rate_unit": rate[1] if rate else None,
        "amount_usd": None if line.amount_femtos is None else exact_usd(line.amount_femtos),
    }


def write_comparison(found: Comparison, gpus: Gpus | None) -> dict[str, Any]:
    names = [target.key for target in found.targets]
    prompt, completion = found.gpu_tokens
    return {
        "data": [
            {
                "target": target.key,
                "price_id": target.version.id,
                "is_exact": found.is_by_time or not target.has_hours,
                **write_replay(replay),
            }
            for target, replay in zip(found.targets, found.replays, strict=True)
        ],
        "models": [
            {
                "model": one.model.key,
                "provider": one.provider.key,
                "requests": one.figures.requests,
                "cost_usd": usd_text(one.figures.cost_nanos),
                "targets": [
                    {"target": name, **write_replay(replay)} for name, replay in zip(names, one.replays, strict=True)
                ],
            }
            for one in found.models
        ],
        "gpu": {
            "busy_hours": rounded(gpus.busy_hours(prompt, completion), 3),
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            **write_replay(found.gpu),
        }
        if gpus and found.gpu
        else None,
    }


def write_replay(replay: Replay) -> dict[str, Any]:
    share = replay.saved_share
    return {
        "calls": replay.calls,
        "cost_usd": usd_text(replay.now_nanos),
        "would_cost_usd": usd_text(replay.cost_nanos),
        "saved_usd": usd_text(replay.saved_nanos),
        "saved_percent": None if share is None else rounded(Fraction(share * 100), 1),
        "newly_priced_calls": replay.new_calls,
        "newly_priced_usd": usd_text(replay.new_nanos),
        "left_out_calls": replay.left_out_calls,
        "left_out_usd": usd_text(replay.left_out_nanos),
        "left_out_because": replay.left_out,
        "other_tier_calls": replay.other_tier_calls,
    }
