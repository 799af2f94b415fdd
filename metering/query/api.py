"""GET /v1/usage, /v1/usage/models, /v1/usage/query."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import msgspec
from django.conf import settings
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.money import usd_text
from core.periods import local_day
from metering.limits.summary import Allowance, read_balance
from metering.query import examples, params, schemas
from metering.query.latency import read_latencies
from metering.query.metrics import METRICS, Coverage, Figures, Part, credits_from_nanos, instant_text, rounded, written
from metering.query.run import UsageRow, run
from metering.query.spec import LARGEST_LIMIT, LONGEST, PERCENTILES, UsageQuery, refusal

DEFAULT_LIMIT = 1_000
_QUERY = ("interval", "group_by", "metrics", "order_by", "limit", "cursor", "with_audio")
_SECOND = dt.timedelta(seconds=1)


@extend_schema(tags=["Usage"])
class UsageView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Usage of the billing period",
        description=(
            "Totals and days of the current calendar month, or of another range; and how the allowance (of exactly "
            "what the filters choose) and the credits stand now."
        ),
        operation_id="usage_get",
        parameters=[*schemas.PERIOD, *schemas.FILTERS],
        responses=answers(schemas.UsageSchema),
        examples=[OpenApiExample("Usage", examples.USAGE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        asked = params.read(request.query_params, self.grant)
        if asked.end - asked.start > dt.timedelta(days=LONGEST["day"]):
            raise refusal(f"The days of at most {LONGEST['day']:,} days can be listed.", "from")
        result = run(
            UsageQuery(asked.organization_id, asked.start, asked.end, asked.zone, "day", filters=asked.filters)
        )
        totals = result.totals
        balance = read_balance(asked.organization_id, asked.filters, now())
        # Without a plan there is no limit.
        allowance = balance.allowance or Allowance(None, totals.total_tokens, None, None, 0)
        today = local_day(now(), asked.zone)
        days = [row for row in result.rows if local_day(row.start, asked.zone) <= today]
        return Response(
            {
                "period_start": instant_text(asked.start),
                "period_end": instant_text(asked.end - _SECOND),
                "total_requests": totals.requests,
                "prompt_tokens": totals.prompt_tokens,
                "completion_tokens": totals.completion_tokens,
                "total_tokens": totals.total_tokens,
                "total_cost_usd": usd_text(totals.cost_nanos),
                "total_credits_used": credits(totals),
                "credits_remaining": balance.credits_remaining,
                "allowance": msgspec.to_builtins(allowance),
                "daily_breakdown": [
                    {
                        "date": local_day(row.start, asked.zone).isoformat(),
                        "requests": row.figures.requests,
                        "tokens": row.figures.total_tokens,
                        "credits": credits(row.figures),
                        "cost_usd": usd_text(row.figures.cost_nanos),
                    }
                    for row in reversed(days)
                ],
                "coverage": write_coverage(totals.coverage),
            }
        )


@extend_schema(tags=["Usage"])
class ModelsView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Usage by model",
        description="Every model and provider with usage in the range, the one with most tokens first.",
        operation_id="usage_models",
        parameters=[*schemas.PERIOD, *schemas.FILTERS],
        responses=answers(schemas.ModelsSchema),
        examples=[OpenApiExample("Models", examples.MODELS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        asked = params.read(request.query_params, self.grant)
        result = run(
            UsageQuery(
                asked.organization_id,
                asked.start,
                asked.end,
                asked.zone,
                group_by=("model", "provider"),
                filters=asked.filters,
                order_by=("-total_tokens", "model", "provider"),
            )
        )
        rows = [
            {
                "model": row.group["model"].key,
                "provider": row.group["provider"].key,
                "requests": row.figures.requests,
                "prompt_tokens": row.figures.prompt_tokens,
                "completion_tokens": row.figures.completion_tokens,
                "total_tokens": row.figures.total_tokens,
                "credits_used": credits(row.figures),
                "cost_usd": usd_text(row.figures.cost_nanos),
                "percentage": percentage(row.figures.total_tokens, result.totals.total_tokens),
            }
            for row in result.rows
        ]
        return Response({"data": rows})


@extend_schema(tags=["Usage"])
class QueryView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Query usage",
        description=(
            "Any range, by any interval, grouped and filtered by any dimension. `totals` and `coverage` are of the "
            "whole answer, not of the page. Grouped by file an event counts for each of its files, in the totals once."
        ),
        operation_id="usage_query",
        parameters=[
            *schemas.PERIOD,
            schemas.INTERVAL,
            OpenApiParameter("group_by", str, description="Dimensions, with commas between; `tag.<name>` is one."),
            OpenApiParameter(
                "metrics",
                str,
                description=(
                    f"With commas between; default: {', '.join(METRICS)}. On request also {', '.join(PERCENTILES)}, to "
                    "within 6 %; quick by day or longer, of integrations, models and providers."
                ),
            ),
            OpenApiParameter(
                "order_by", str, description="start, metrics, dimensions of group_by; with - before one: descending."
            ),
            OpenApiParameter("limit", int, description=f"1 to {LARGEST_LIMIT:,}, {DEFAULT_LIMIT:,} unless given."),
            schemas.PAGING[1],
            schemas.WITH_AUDIO,
            *schemas.FILTERS,
        ],
        responses=answers(schemas.QuerySchema),
        examples=[OpenApiExample("Days by model", examples.QUERY, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = params.read(given, self.grant, _QUERY)
        query = UsageQuery(
            asked.organization_id,
            asked.start,
            asked.end,
            asked.zone,
            interval=params.read_interval(given, "day"),
            group_by=params.read_group_by(given),
            filters=asked.filters,
            metrics=params.read_names(given, "metrics") or tuple(METRICS),
            order_by=params.read_names(given, "order_by"),
            limit=params.read_whole(given, "limit", DEFAULT_LIMIT, LARGEST_LIMIT),
            cursor=given.get("cursor") or None,
            with_audio=params.read_flag(given, "with_audio"),
        )
        result = run(query)
        summed = tuple(name for name in query.metrics if name in METRICS)
        # Which percentiles there are decides whether histograms are read at all.
        latencies = read_latencies(result) if len(summed) < len(query.metrics) else None
        return Response(
            {
                "data": [
                    write_row(row, summed) | (latencies.of(row).written(query.metrics) if latencies else {})
                    for row in result.rows
                ],
                "totals": written(result.totals, summed)
                | (latencies.total.written(query.metrics) if latencies else {}),
                "coverage": write_coverage(result.coverage),
                "has_more": result.next_cursor is not None,
                "next_cursor": result.next_cursor,
            }
        )


# ── How figures are written ──


def credits(figures: Figures) -> int | None:  # noqa: A001  (the product's word)
    return credits_from_nanos(figures.cost_nanos, settings.CREDITS_PER_USD)


def percentage(part: int, whole: int) -> float | int | None:
    """Of 100, to one decimal, half to even; 0 of nothing."""
    return rounded(Fraction(part * 100, whole) if whole else Fraction(0), 1)


def write_row(row: UsageRow, metrics: tuple[str, ...]) -> dict[str, Any]:
    return {
        "start": instant_text(row.start),
        "end": instant_text(row.end),
        "group": {name: value.key for name, value in row.group.items()},
        "labels": {name: value.label for name, value in row.group.items()},
        **written(row.figures, metrics),
    }


def write_coverage(coverage: Coverage) -> dict[str, Any]:
    return {
        "priced": _part(coverage.priced),
        "free": _part(coverage.free),
        "estimated": _part(coverage.estimated),
        "unpriced": _part(coverage.unpriced),
        "unknown_events": coverage.unknown_requests,
    }


def _part(part: Part) -> dict[str, int]:
    return {"events": part.requests, "tokens": part.tokens}
