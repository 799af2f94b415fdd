"""GET /v1/usage/efficiency, /v1/usage/patterns."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.money import usd_text
from metering.dimensions import DIMENSIONS
from metering.query import params, schemas
from metering.query.efficiency import INDICATORS, Indicator, Measured, find_efficiency
from metering.query.metrics import instant_text, rounded
from metering.query.patterns import Change, Rhythm, find_changes, find_rhythm
from metering.query.spec import UsageQuery, refusal

# What a pattern can be of, as the API names it, and how its whole numbers are read from the sums.
_MEASURES = {"total_tokens": "total_tokens", "cost_usd": "known_cost_nanos", "requests": "requests"}

IndicatorSchema = schemas.inline(
    "EfficiencyIndicator",
    value=serializers.FloatField(allow_null=True, help_text="To four decimals; null without anything to judge."),
    least=serializers.FloatField(allow_null=True, help_text="The target's lower bound, included."),
    most=serializers.FloatField(allow_null=True, help_text="Its upper bound; included where there is a lower one."),
    meets=serializers.BooleanField(allow_null=True),
)
MeasuredSchema = schemas.inline(
    "EfficiencyMeasured",
    requests=schemas.count(),
    total_tokens=schemas.count(),
    expected_answers=schemas.count("Calls that ought to have an answer: not failed, not of models that never answer."),
    empty_answers=schemas.count("Those of them that had none."),
    indicators=serializers.DictField(child=IndicatorSchema(), help_text=f"{', '.join(INDICATORS)}."),
)
EfficiencySchema = schemas.inline(
    "Efficiency",
    totals=MeasuredSchema(),
    data=schemas.inline("EfficiencyGroup", value=schemas.text(allow_null=True), measured=MeasuredSchema())(many=True),
    silent_models=serializers.ListField(child=serializers.CharField(), help_text="Never answer, such as embeddings."),
)
_CELL = schemas.inline(
    "PatternHour",
    weekday=schemas.count("0 is Monday."),
    hour=schemas.count("By the clock on the wall."),
    total=schemas.text("Of all these hours; dollars, tokens or requests."),
    hours=schemas.count("How many of them there were in the range and are over."),
)
_CHANGE = schemas.inline(
    "PatternChange",
    period=schemas.text("week, month or year"),
    start=schemas.at(),
    end=schemas.at(),
    before_start=schemas.at(),
    before_end=schemas.at("As far into the period before as now is into this one."),
    value=schemas.text(allow_null=True),
    before=schemas.text("Null when the first event came on a later day than `before_start`.", allow_null=True),
)
PatternsSchema = schemas.inline(
    "Patterns",
    metric=schemas.text(),
    hours=_CELL(many=True),
    strength=serializers.FloatField(
        allow_null=True,
        help_text="Adjusted part of the variance that the hour of the week explains; null below two weeks.",
    ),
    changes=_CHANGE(many=True),
)
_INDICATOR = {"value": 0.42, "least": 1.5, "most": 3.0, "meets": False}
_MEASURED = {
    "requests": 61, "total_tokens": 57_020, "expected_answers": 58, "empty_answers": 0,
    "indicators": {"completion_ratio": _INDICATOR},
}  # fmt: skip
_EFFICIENCY = {
    "totals": _MEASURED, "data": [{"value": "gpt-4o", "measured": _MEASURED}],
    "silent_models": ["text-embedding-3-small"],
}  # fmt: skip
_PATTERNS = {
    "metric": "total_tokens",
    "hours": [{"weekday": 0, "hour": 9, "total": "182300", "hours": 4}],
    "strength": 0.61,
    "changes": [
        {
            "period": "week", "start": "2026-11-15T23:00:00Z", "end": "2026-11-18T11:30:00Z",
            "before_start": "2026-11-08T23:00:00Z", "before_end": "2026-11-11T11:30:00Z",
            "value": "57020", "before": "51300",
        }
    ],
}  # fmt: skip


@extend_schema(tags=["Usage"])
class EfficiencyView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Efficiency against targets",
        description="How well tokens are used, as a whole and by the values of one dimension, most tokens first.",
        operation_id="usage_efficiency",
        parameters=[
            OpenApiParameter("by", str, enum=list(DIMENSIONS), description="Default: model."),
            *schemas.PERIOD,
            *schemas.FILTERS,
        ],
        responses=answers(EfficiencySchema),
        examples=[OpenApiExample("By model", _EFFICIENCY, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = params.read(given, self.grant, ("by",))
        by = given.get("by") or "model"
        if by not in DIMENSIONS:
            raise refusal(f"by is one of {', '.join(DIMENSIONS)}.", "by")
        query = UsageQuery(asked.organization_id, asked.start, asked.end, asked.zone, filters=asked.filters)
        found = find_efficiency(query, by)
        return Response(
            {
                "totals": write_measured(found.whole),
                "data": [{"value": group.key, "measured": write_measured(one)} for group, one in found.groups],
                "silent_models": list(found.silent),
            }
        )


@extend_schema(tags=["Usage"])
class PatternsView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="Hours of the week, and like against like",
        description="Usage by weekday and hour; this week, month and year so far against the same part of the last.",
        operation_id="usage_patterns",
        parameters=[
            OpenApiParameter("metric", str, enum=list(_MEASURES), description="Default: total_tokens."),
            *schemas.PERIOD,
            *schemas.FILTERS,
        ],
        responses=answers(PatternsSchema),
        examples=[OpenApiExample("Tokens", _PATTERNS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = params.read(given, self.grant, ("metric",))
        metric = given.get("metric") or "total_tokens"
        if metric not in _MEASURES:
            raise refusal(f"metric is one of {', '.join(_MEASURES)}.", "metric")
        query = UsageQuery(asked.organization_id, asked.start, asked.end, asked.zone, filters=asked.filters)
        at = now()
        rhythm = find_rhythm(query, lambda figures: int(getattr(figures, _MEASURES[metric])), at)
        return Response(write_patterns(metric, rhythm, find_changes(query, at)))


def write_measured(measured: Measured) -> dict[str, Any]:
    return {
        "requests": measured.figures.requests,
        "total_tokens": measured.figures.total_tokens,
        "expected_answers": measured.answers.expected,
        "empty_answers": measured.answers.empty,
        "indicators": {name: _indicator(one, measured) for name, one in INDICATORS.items()},
    }


def _indicator(indicator: Indicator, measured: Measured) -> dict[str, Any]:
    return {
        "value": rounded(indicator.of(measured), 4),
        "least": rounded(indicator.least, 4),
        "most": rounded(indicator.most, 4),
        "meets": indicator.meets(measured),
    }


def write_patterns(metric: str, rhythm: Rhythm, changes: list[Change]) -> dict[str, Any]:
    def amount(value: int) -> str | None:
        return usd_text(value) if metric == "cost_usd" else str(value)

    name = _MEASURES[metric]
    return {
        "metric": metric,
        "hours": [
            {"weekday": cell.weekday, "hour": cell.hour, "total": amount(cell.total), "hours": cell.hours}
            for cell in rhythm.cells
        ],
        "strength": rounded(rhythm.strength, 4),
        "changes": [
            {
                "period": one.period,
                "start": instant_text(one.span.start),
                "end": instant_text(one.span.end),
                "before_start": instant_text(one.before.start),
                "before_end": instant_text(one.before.end),
                "value": amount(getattr(one.now_figures, name)),
                "before": None if one.before_figures is None else amount(getattr(one.before_figures, name)),
            }
            for one in changes
        ],
    }
