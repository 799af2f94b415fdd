"""/v1/prices: what the organization pays for each model at a moment."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.days import OUTSIDE, is_within_years
from core.errors import ApiError
from core.pagination import PAGE_PARAMETERS, paginate
from metering.models.prices import PriceRate, PriceVersion
from metering.pricing.aliases import canonical_provider
from metering.pricing.receipt import quoted_rate

PRICE = {
    "id": 1060,
    "provider": "openai",
    "model": "gpt-4o",
    "kind": "list",
    "is_free": False,
    "valid_from": "2020-01-01T00:00:00Z",
    "valid_to": None,
    "source": "genai-prices 0.2.3",
    "rates": [
        {
            "bucket": "input",
            "usd": "2.5",
            "per": "million tokens",
            "service_tier": "standard",
            "above_tokens": 0,
            "daily_from": None,
            "daily_to": None,
            "note": "",
        }
    ],
}
PAGE = {"data": [PRICE], "has_more": False, "next_cursor": None}


class RateSerializer(serializers.Serializer[Any]):
    bucket = serializers.CharField()
    usd = serializers.CharField(help_text="Exact decimal dollars.")
    per = serializers.CharField(help_text="million tokens, search, image, request or hour")
    service_tier = serializers.CharField()
    above_tokens = serializers.IntegerField(help_text="Holds for the whole call when its prompt has more tokens.")
    daily_from = serializers.CharField(allow_null=True, help_text="UTC time of day; null: all day.")
    daily_to = serializers.CharField(allow_null=True)
    note = serializers.CharField(help_text="Where the rate comes from, when not from the source itself.")


class PriceSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    provider = serializers.CharField()
    model = serializers.CharField()
    kind = serializers.ChoiceField(choices=["list", "override", "custom"])
    is_free = serializers.BooleanField()
    valid_from = serializers.DateTimeField()
    valid_to = serializers.DateTimeField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]
    rates = RateSerializer(many=True)


class PricePageSerializer(serializers.Serializer[Any]):
    data = PriceSerializer(many=True)  # type: ignore[assignment]
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


@extend_schema(tags=["Prices"])
class PricesView(OrganizationAPIView):
    required_scopes = Scope.BILLING_READ
    query_parameters = (*PAGE_PARAMETERS, "provider", "model", "at")

    @extend_schema(
        summary="List prices",
        description="The organization's own prices, and the list prices of all other models, as of `at`.",
        operation_id="prices_list",
        parameters=[
            OpenApiParameter("provider", str),
            OpenApiParameter("model", str, description="The whole name, as the price list has it."),
            OpenApiParameter("at", str, description="A date (its first instant, UTC) or a time; default now."),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses=answers(PricePageSerializer),
        examples=[
            OpenApiExample("Page", {"data": [PRICE], "has_more": False, "next_cursor": None}, response_only=True)
        ],
    )
    def get(self, request: Request) -> Response:
        params = request.query_params
        rows = effective_prices(_moment(params.get("at", "")))
        if provider := params.get("provider", "").replace("\0", ""):
            rows = rows.filter(provider=canonical_provider(provider))
        if model := params.get("model", "").replace("\0", ""):
            rows = rows.filter(model=model.strip().lower())
        page = paginate(rows, params, order=("provider", "model", "id"))
        return Response(page.body(write_price))


def effective_prices(at: dt.datetime) -> QuerySet[PriceVersion]:
    """The prices in force at an instant, the organization's own instead of the list's. Needs its scope."""
    in_force = Q(valid_from__lte=at) & (Q(valid_to=None) | Q(valid_to__gt=at))
    own = PriceVersion.objects.filter(in_force, provider=OuterRef("provider"), model=OuterRef("model"))
    rates = PriceRate.published.order_by("service_tier", "id")
    rows: QuerySet[PriceVersion] = (
        PriceVersion.published.filter(in_force)
        .exclude(Q(organization=None) & Exists(own))
        .prefetch_related(Prefetch("rates", queryset=rates))
    )
    return rows


def write_price(version: PriceVersion) -> dict[str, Any]:
    return {
        "id": version.pk,
        "provider": version.provider,
        "model": version.model,
        "kind": version.kind,
        "is_free": version.is_free,
        "valid_from": _text(version.valid_from),
        "valid_to": _text(version.valid_to),
        "source": version.source,
        "rates": [_write_rate(rate) for rate in version.rates.all()],
    }


def _write_rate(rate: PriceRate) -> dict[str, Any]:
    usd, per = quoted_rate(rate.bucket, rate.femtos_per_unit)
    is_all_day = rate.starts_at == rate.ends_at
    return {
        "bucket": rate.bucket,
        "usd": usd,
        "per": per,
        "service_tier": rate.service_tier or "standard",
        "above_tokens": rate.above_tokens,
        "daily_from": None if is_all_day else f"{rate.starts_at:%H:%M}",
        "daily_to": None if is_all_day else f"{rate.ends_at:%H:%M}",
        "note": rate.note,
    }


def _text(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _moment(text: str) -> dt.datetime:
    if not text:
        return now()
    try:
        at = parse_datetime(text)
        day = None if at else parse_date(text)
    except ValueError:
        at = day = None
    if at is None and day is not None:
        at = dt.datetime.combine(day, dt.time(0))
    if at is None:
        raise ApiError(422, "invalid_parameter", "at is a date or a time, such as 2026-11-21.", param="at")
    if not is_within_years(at):
        raise ApiError(422, "invalid_parameter", OUTSIDE, param="at")
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
