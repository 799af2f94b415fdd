"""GET /v1/chats, /v1/chats/{id}."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.errors import ApiError
from core.pagination import DEFAULT_LIMIT, LARGEST_LIMIT
from metering.query import event_schemas, params, schemas
from metering.query.api import write_coverage
from metering.query.chats import ORDERS, ChatRow, list_chats
from metering.query.metrics import METRICS, instant_text, written
from metering.query.run import run
from metering.query.spec import EARLIEST, LATEST, UsageQuery, refusal

MOST_MESSAGES = 100
UTC = ZoneInfo("UTC")
_METRICS = tuple(METRICS)


@extend_schema(tags=["Chats"])
class ChatsView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="List chats",
        description=(
            "Newest first unless asked otherwise. A chat's figures are those of its whole life; `from` and `to` choose "
            "chats by their last event, filters leave out events."
        ),
        operation_id="chats_list",
        parameters=[
            OpenApiParameter("from", str, description="Last event from this date or RFC 3339 time on."),
            OpenApiParameter("to", str, description="Last event until this date, or before this time."),
            schemas.PERIOD[2],
            OpenApiParameter("q", str, description="A part of the title, or how the id begins."),
            OpenApiParameter(
                "order_by",
                str,
                enum=[f"{sign}{name}" for name in ORDERS for sign in ("", "-")],
                description="`-` before a field puts the greatest first. Default: -last_at.",
            ),
            OpenApiParameter("limit", int, description=f"1 to {LARGEST_LIMIT}, {DEFAULT_LIMIT} unless given."),
            schemas.PAGING[1],
            *schemas.FILTERS,
        ],
        responses=answers(event_schemas.ChatPageSchema),
        examples=[OpenApiExample("Page", event_schemas.CHAT_PAGE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        params.refuse_unknown(given, (*params.RANGE, "q", "order_by", "limit", "cursor"))
        zone = params.read_zone(given, self.grant.organization_id)
        first, last = given.get("from"), given.get("to")
        start = params.read_instant(first, zone, "from") if first else EARLIEST
        end = params.read_instant(last, zone, "to", is_end=True) if last else LATEST
        if start >= end:
            raise refusal("to must be after from.", "to")
        page = list_chats(
            self.grant.organization_id,
            start,
            end,
            params.read_filters(given, self.grant),
            order_by=given.get("order_by") or "-last_at",
            search=given.get("q", "").strip(),
            limit=params.read_whole(given, "limit", DEFAULT_LIMIT, LARGEST_LIMIT),
            cursor=given.get("cursor") or None,
        )
        return Response(
            {
                "data": [write_chat(row) for row in page.rows],
                "has_more": page.next_cursor is not None,
                "next_cursor": page.next_cursor,
            }
        )


@extend_schema(tags=["Chats"])
class ChatView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ

    @extend_schema(
        summary="Get a chat",
        description="With its models and messages. Its events are `/v1/events?chat=…`.",
        operation_id="chats_get",
        responses=answers(event_schemas.ChatDetailSchema, also=(404,)),
        examples=[OpenApiExample("Chat", event_schemas.CHAT_DETAIL, response_only=True)],
    )
    def get(self, _request: Request, chat_id: str) -> Response:
        organization_id = self.grant.organization_id
        filters = {**params.own_filters(self.grant), "chat": (chat_id,)}
        found = [] if "\0" in chat_id else list_chats(organization_id, EARLIEST, LATEST, filters).rows
        if not found:
            raise ApiError(404, "not_found", "There is no chat with this id.")
        # The chat's own events are few; asking for them by its life keeps the other months' partitions out of it.
        end = found[0].last_at + found[0].last_at.resolution
        models, messages = (
            run(
                UsageQuery(organization_id, found[0].first_at, end, UTC, group_by=(name,), filters=filters, limit=limit)
            )
            for name, limit in (("model", None), ("message", MOST_MESSAGES))
        )
        return Response(
            {
                **write_chat(found[0]),
                "coverage": write_coverage(found[0].figures.coverage),
                "models": [{"model": r.group["model"].key, **written(r.figures, _METRICS)} for r in models.rows],
                "messages": [
                    {"message": r.group["message"].key, **written(r.figures, _METRICS)} for r in messages.rows
                ],
            }
        )


def write_chat(row: ChatRow) -> dict[str, Any]:
    return {
        "id": row.chat,
        "title": row.title,
        "first_at": instant_text(row.first_at),
        "last_at": instant_text(row.last_at),
        **written(row.figures, _METRICS),
    }
