"""GET /v1/events, /v1/events/{id}, /v1/events/{id}/receipt."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.money import usd_text
from core.pagination import DEFAULT_LIMIT, LARGEST_LIMIT
from metering.events import BUCKETS, Usage
from metering.pricing.rate import Pricing
from metering.pricing.receipt import Receipt
from metering.query import event_schemas, params, schemas
from metering.query.events import EventRow, find_event, list_events, receipt_of
from metering.query.metrics import instant_text
from metering.query.spec import EARLIEST, refusal

PRICINGS = {pricing.name.lower(): pricing for pricing in Pricing}
# What a door takes a little too early is listed, too.
_TOLERANCE = dt.timedelta(hours=1)


@extend_schema(tags=["Events"])
class EventsView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="List events",
        description="Newest first; corrected events are left out unless asked for.",
        operation_id="events_list",
        parameters=[
            OpenApiParameter("from", str, description="A date or an RFC 3339 time, included. Default: no limit."),
            OpenApiParameter("to", str, description="A date, included, or a time, not included. Default: now."),
            schemas.PERIOD[2],
            OpenApiParameter("pricing", str, enum=list(PRICINGS)),
            OpenApiParameter("superseded", bool, description="With events that another one has superseded."),
            schemas.WITH_AUDIO,
            OpenApiParameter("limit", int, description=f"1 to {LARGEST_LIMIT}, {DEFAULT_LIMIT} unless given."),
            schemas.PAGING[1],
            *schemas.FILTERS,
        ],
        responses=answers(event_schemas.EventPageSchema),
        examples=[OpenApiExample("Page", event_schemas.PAGE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        params.refuse_unknown(given, (*params.RANGE, "pricing", "superseded", "with_audio", "limit", "cursor"))
        zone = params.read_zone(given, self.grant.organization_id)
        first, last = given.get("from"), given.get("to")
        start = params.read_instant(first, zone, "from") if first else EARLIEST
        end = params.read_instant(last, zone, "to", is_end=True) if last else max(now(), start) + _TOLERANCE
        if start >= end:
            raise refusal("to must be after from.", "to")
        page = list_events(
            self.grant.organization_id,
            start,
            end,
            params.read_filters(given, self.grant),
            limit=params.read_whole(given, "limit", DEFAULT_LIMIT, LARGEST_LIMIT),
            cursor=given.get("cursor") or None,
            pricing=_choice(given.get("pricing"), PRICINGS, "pricing"),
            with_superseded=params.read_flag(given, "superseded"),
            with_audio=params.read_flag(given, "with_audio"),
        )
        return Response(
            {
                "data": [write_event(row) for row in page.rows],
                "has_more": page.next_cursor is not None,
                "next_cursor": page.next_cursor,
            }
        )


@extend_schema(tags=["Events"])
class EventView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ

    @extend_schema(
        summary="Get an event",
        description="With the usage object as it was sent, and the events it superseded and was superseded by.",
        operation_id="events_get",
        responses=answers(event_schemas.EventDetailSchema, also=(404,)),
        examples=[OpenApiExample("Event", event_schemas.DETAIL, response_only=True)],
    )
    def get(self, _request: Request, event_id: str) -> Response:
        row = find_event(self.grant.organization_id, event_id, params.own_filters(self.grant))
        return Response({**write_event(row), "raw_usage": row.raw_usage, "supersedes": row.supersedes})


@extend_schema(tags=["Events"])
class ReceiptView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ

    @extend_schema(
        summary="Receipt of an event",
        description="How the event came to its cost: counts × rates of the price version it was rated at, exactly.",
        operation_id="events_receipt",
        responses=answers(event_schemas.ReceiptSchema, also=(404,)),
        examples=[OpenApiExample("Receipt", event_schemas.RECEIPT, response_only=True)],
    )
    def get(self, _request: Request, event_id: str) -> Response:
        row = find_event(self.grant.organization_id, event_id, params.own_filters(self.grant))
        return Response(write_receipt(row, receipt_of(row)))


def _choice(text: str | None, choices: dict[str, Any], param: str) -> Any:
    if not text:
        return None
    if text not in choices:
        raise refusal(f"{param} is one of {', '.join(choices)}.", param)
    return choices[text]


# ── How an event is written ──


def write_event(row: EventRow) -> dict[str, Any]:
    names, detail, usage = row.names, row.detail, row.usage
    message: dict[str, Any] = {
        "id": row.message,
        **{k: detail[k] for k in ("input_parts", "output_parts") if k in detail},
    }
    return {
        "id": row.event_id,
        "occurred_at": instant_text(row.occurred_at),
        "received_at": instant_text(row.received_at),
        **{name: names[name].key for name in ("model", "provider", "endpoint")},
        "usage": write_usage(usage),
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "total_tokens": usage.total_tokens if usage else None,
        **{name: names[name].key for name in ("user", "member", "project", "team", "department", "api_key")},
        "chat": None if row.chat is None else {"id": row.chat, "title": detail.get("chat_title")},
        "message": None if message == {"id": None} else message,
        "files": detail.get("files", []),
        **{name: names[name].key for name in ("feature", "tool", "integration", "end_user", "status")},
        "error_code": detail.get("error_code"),
        "duration_ms": row.duration_ms,
        "time_to_first_token_ms": row.time_to_first_token_ms,
        "streamed": detail.get("streamed"),
        "finish_reason": detail.get("finish_reason"),
        "service_tier": row.service_tier,
        "tags": row.tags,
        "pricing": row.pricing.name.lower(),
        "is_estimated": row.is_estimated,
        "cost_usd": usd_text(row.cost_nanos),
        "input_cost_usd": usd_text(row.input_cost_nanos),
        "output_cost_usd": usd_text(row.output_cost_nanos),
        "price_rule": row.price_rule,
        "price_version_id": row.price_version_id or None,
        "superseded_by": row.superseded_by,
    }


def write_usage(usage: Usage | None) -> dict[str, int | float] | None:
    """Our buckets, as an event may be sent with them again."""
    if usage is None:
        return None
    counts: dict[str, int | float] = {name: getattr(usage, name) for name in (*BUCKETS, "web_searches", "images")}
    return {**counts, "seconds": usage.media_ms / 1000}


def write_receipt(row: EventRow, receipt: Receipt) -> dict[str, Any]:
    version = receipt.version
    return {
        "event": row.event_id,
        "occurred_at": instant_text(row.occurred_at),
        "model": row.names["model"].key,
        "provider": row.names["provider"].key,
        "pricing": receipt.pricing.name.lower(),
        "rule": receipt.rule,
        "version": version
        and {
            "id": version.id,
            "kind": version.kind,
            "provider": version.provider,
            "model": version.model,
            "source": version.source,
            "valid_from": instant_text(version.valid_from),
            "valid_to": version.valid_to and instant_text(version.valid_to),
        },
        "lines": [
            {
                "bucket": line.bucket,
                "count": line.count,
                "unit": line.count_unit,
                "rate_usd": line.usd_per_unit,
                "per": line.rate_unit,
                "amount_usd": line.amount_usd,
                "charged_as": line.charged_as,
                "note": line.note,
            }
            for line in receipt.lines
        ],
        "exact_usd": receipt.exact_usd,
        "cost_usd": usd_text(row.cost_nanos),
        "recomputed_usd": receipt.total_usd,
        "is_reproduced": receipt.is_reproduced,
    }
