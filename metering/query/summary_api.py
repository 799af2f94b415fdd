"""GET /api/usage/summary and /api/usage/hourly: exactly as they were first promised."""

from __future__ import annotations

import datetime as dt

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.periods import day_start
from metering.query import examples, params, schemas
from metering.query.api import percentage
from metering.query.metrics import instant_text
from metering.query.run import run
from metering.query.spec import UsageQuery


@extend_schema(tags=["Usage"])
class SummaryView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Summary of a range",
        operation_id="usage_summary",
        parameters=[*schemas.PERIOD, *schemas.FILTERS],
        responses=answers(schemas.SummarySchema),
        examples=[OpenApiExample("Summary", examples.SUMMARY, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        asked = params.read(request.query_params, self.grant)
        result = run(
            UsageQuery(
                asked.organization_id,
                asked.start,
                asked.end,
                asked.zone,
                group_by=("model",),
                filters=asked.filters,
                order_by=("-total_tokens", "model"),
            )
        )
        totals = result.totals
        return Response(
            {
                "period": {
                    "start": instant_text(asked.start),
                    "end": instant_text(asked.end - dt.timedelta(seconds=1)),
                },
                "summary": {
                    "total_tokens": totals.total_tokens,
                    "prompt_tokens": totals.prompt_tokens,
                    "completion_tokens": totals.completion_tokens,
                    "requests": totals.requests,
                },
                "by_model": [
                    {
                        "model": row.group["model"].key,
                        "tokens": row.figures.total_tokens,
                        "percentage": percentage(row.figures.total_tokens, totals.total_tokens),
                    }
                    for row in result.rows
                ],
            }
        )


@extend_schema(tags=["Usage"])
class HourlyView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Hours of a day",
        operation_id="usage_hourly",
        parameters=[
            OpenApiParameter("date", str, description="Default: today."),
            schemas.PERIOD[2],
            *schemas.FILTERS,
        ],
        responses=answers(schemas.HourlySchema),
        examples=[OpenApiExample("Hours", examples.HOURLY, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        params.refuse_unknown(given, ("date", "timezone"))
        zone = params.read_zone(given, self.grant.organization_id)
        day = params.read_day(given, zone)
        start, end = day_start(day, zone), day_start(day + dt.timedelta(days=1), zone)
        filters = params.read_filters(given, self.grant)
        result = run(UsageQuery(self.grant.organization_id, start, end, zone, "hour", filters=filters))
        return Response(
            {
                "date": day.isoformat(),
                "data": [
                    {
                        "timestamp": instant_text(row.start),
                        "prompt_tokens": row.figures.prompt_tokens,
                        "completion_tokens": row.figures.completion_tokens,
                        "total_tokens": row.figures.total_tokens,
                        "requests": row.figures.requests,
                    }
                    for row in result.rows
                ],
            }
        )
