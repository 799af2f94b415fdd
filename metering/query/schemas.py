"""What the reading endpoints answer, for the API description. The endpoints build their answers themselves."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from core.periods import INTERVALS
from metering.dimensions import DIMENSIONS
from metering.query.metrics import METRICS
from metering.query.spec import PERCENTILES, TEXT_DIMENSIONS

Schema = serializers.Serializer[Any]


def inline(name: str, /, **fields: serializers.Field[Any, Any, Any, Any]) -> type[Schema]:
    """A serializer class with these fields; written as attributes, the contract's `data` would clash."""
    return type(name, (serializers.Serializer,), dict(fields))


def text(description: str = "", *, allow_null: bool = False) -> serializers.CharField:
    return serializers.CharField(help_text=description or None, allow_null=allow_null)


def count(description: str = "") -> serializers.IntegerField:
    return serializers.IntegerField(help_text=description or None)


def usd(description: str = "Decimal dollars; null when nothing of it has a price.") -> serializers.CharField:
    return serializers.CharField(help_text=description, allow_null=True)


def at(description: str = "") -> serializers.DateTimeField:
    return serializers.DateTimeField(help_text=description or None)


_DESCRIPTIONS = {
    "cost_usd": "Decimal dollars of all that has a price; null when nothing does.",
    "average_tokens": "Per request, to one decimal.",
    "average_latency_ms": "Over the requests that told their duration, to one decimal.",
    "seconds": "Audio or video charged by duration.",
}


def metric_fields(names: tuple[str, ...] = tuple(METRICS)) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """One optional field for each metric: `metrics` chooses among them."""
    fields: dict[str, serializers.Field[Any, Any, Any, Any]] = {}
    for name in names:
        unit, description = METRICS[name].unit, _DESCRIPTIONS.get(name)
        if unit == "usd":
            fields[name] = serializers.CharField(required=False, allow_null=True, help_text=description)
        elif name.startswith("average") or name == "seconds":
            fields[name] = serializers.FloatField(required=False, allow_null=True, help_text=description)
        else:
            fields[name] = serializers.IntegerField(required=False, help_text=description)
    return fields


def percentile_fields() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """Of metrics that are there on request only."""
    said = "Milliseconds, to within 6%; null where no call told."
    return {name: serializers.IntegerField(required=False, allow_null=True, help_text=said) for name in PERCENTILES}


PartSchema = inline("CoveragePart", events=count(), tokens=count())
CoverageSchema = inline(
    "Coverage",
    priced=PartSchema(),
    free=PartSchema(help_text="Known to cost nothing."),
    estimated=PartSchema(help_text="Priced, on counts that were estimated."),
    unpriced=PartSchema(help_text="Without a known price, and in no cost."),
    unknown_events=count("Of the unpriced: their provider did not say what was used."),
)
AllowanceSchema = inline(
    "Allowance",
    limit=serializers.IntegerField(allow_null=True, help_text="null is unlimited."),
    used=count("In the allowance's own period."),
    remaining=serializers.IntegerField(allow_null=True, help_text="Less what calls under way hold."),
    percent=serializers.FloatField(allow_null=True, help_text="Used of the limit, to one decimal."),
    overage_tokens=count("Used beyond the limit."),
)
DaySchema = inline(
    "UsageDay",
    date=serializers.DateField(),
    requests=count(),
    tokens=count(),
    credits=serializers.IntegerField(allow_null=True),
    cost_usd=usd(),
)
UsageSchema = inline(
    "Usage",
    period_start=at(),
    period_end=at("The last second of the period."),
    total_requests=count(),
    prompt_tokens=count(),
    completion_tokens=count(),
    total_tokens=count(),
    total_cost_usd=usd(),
    total_credits_used=serializers.IntegerField(
        allow_null=True, help_text="The cost in credits, rounded half to even."
    ),
    credits_remaining=serializers.IntegerField(allow_null=True, help_text="null without a balance."),
    allowance=AllowanceSchema(),
    daily_breakdown=DaySchema(many=True, help_text="Newest first, up to today."),
    coverage=CoverageSchema(),
)
ModelSchema = inline(
    "ModelUsage",
    model=text(),
    provider=text(allow_null=True),
    requests=count(),
    prompt_tokens=count(),
    completion_tokens=count(),
    total_tokens=count(),
    credits_used=serializers.IntegerField(allow_null=True),
    cost_usd=usd(),
    percentage=serializers.FloatField(help_text="Of all tokens, to one decimal."),
)
ModelsSchema = inline("ModelUsageList", data=ModelSchema(many=True))
RowSchema = inline(
    "UsageRow",
    start=at(),
    end=at("Not included."),
    group=serializers.DictField(
        child=serializers.CharField(allow_null=True), help_text="Dimension → value; null is none."
    ),
    labels=serializers.DictField(
        child=serializers.CharField(allow_null=True), help_text="Dimension → the value's name."
    ),
    **metric_fields(),
    **percentile_fields(),
)
QuerySchema = inline(
    "UsageQueryAnswer",
    data=RowSchema(many=True),
    totals=inline("UsageTotals", **metric_fields(), **percentile_fields())(
        help_text="Of the whole range and all filters, whatever the page shows."
    ),
    coverage=CoverageSchema(),
    has_more=serializers.BooleanField(),
    next_cursor=text(allow_null=True),
)
SummarySchema = inline(
    "Summary",
    period=inline("SummaryPeriod", start=at(), end=at("The last second of the period."))(),
    summary=inline(
        "SummaryTotals", total_tokens=count(), prompt_tokens=count(), completion_tokens=count(), requests=count()
    )(),
    by_model=inline(
        "SummaryModel", model=text(), tokens=count(), percentage=serializers.FloatField(help_text="To one decimal.")
    )(many=True),
)
HourlySchema = inline(
    "Hourly",
    date=serializers.DateField(),
    data=inline(
        "HourlyRow",
        timestamp=at(),
        prompt_tokens=count(),
        completion_tokens=count(),
        total_tokens=count(),
        requests=count(),
    )(many=True, help_text="24 hours; 23 or 25 when the clocks change."),
)
ExportSchema = inline(
    "Export",
    period=inline("ExportPeriod", start=at(), end=at("The last second of the period."))(),
    data=serializers.ListField(
        child=serializers.DictField(help_text="Column → value."), help_text="One object per row."
    ),
)


# ── Parameters ──

_WHEN = "A date (the whole day in the organization's zone) or an RFC 3339 time"
PERIOD = [
    OpenApiParameter("from", str, description=f"{_WHEN}, included. Default: the first day of the month."),
    OpenApiParameter("to", str, description=f"{_WHEN}; a date is included, a time is not. Default: the month's end."),
    OpenApiParameter("timezone", str, description="IANA name; default: the organization's zone."),
]
FILTERS = [
    *(
        OpenApiParameter(
            name, str, many=True, explode=True,
            description=f"Only usage of this {name.replace('_', ' ')}; several are alternatives, `none` is without.",
        )
        for name in (*DIMENSIONS, *TEXT_DIMENSIONS)
    ),
    OpenApiParameter(
        "tag.{name}", str, many=True, explode=True, description="Only usage with this value of the tag `name`."
    ),
]  # fmt: skip
WITH_AUDIO = OpenApiParameter(
    "with_audio",
    bool,
    description="Only calls that heard, spoke, or were charged by the length of a recording. Default: false.",
)
PAGING = [
    OpenApiParameter("limit", int),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
]
INTERVAL = OpenApiParameter("interval", str, enum=[*INTERVALS, "none"])
