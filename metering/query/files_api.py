"""GET /v1/files, /v1/files/{id}."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.errors import ApiError
from core.pagination import DEFAULT_LIMIT, LARGEST_LIMIT
from metering.query import file_schemas, params, schemas
from metering.query.api import write_coverage
from metering.query.files import ORDERS, FileChat, chats_of_file, list_files, write_file, write_shares
from metering.query.metrics import METRICS, Written, instant_text, written
from metering.query.run import run
from metering.query.spec import EARLIEST, LATEST, UsageQuery

MOST_CHATS = 100
_METRICS = tuple(METRICS)


@extend_schema(tags=["Files"])
class FilesView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ
    query_parameters = None

    @extend_schema(
        summary="List files",
        description=(
            "Files that calls of the range used, with their figures in it. `processing_cost_usd` is a file's share of "
            "its calls' input cost and can be added up; the metrics are those of whole calls, and a call counts for "
            "each of its files (in `totals` once)."
        ),
        operation_id="files_list",
        parameters=[
            *schemas.PERIOD,
            OpenApiParameter("q", str, description="A part of the name or of the id."),
            OpenApiParameter(
                "order_by",
                str,
                enum=[f"{sign}{name}" for name in ORDERS for sign in ("", "-")],
                description="`-` before a field puts the greatest first. Default: -processing_cost_usd.",
            ),
            OpenApiParameter("limit", int, description=f"1 to {LARGEST_LIMIT}, {DEFAULT_LIMIT} unless given."),
            schemas.PAGING[1],
            *schemas.FILTERS,
        ],
        responses=answers(file_schemas.FilePageSchema),
        examples=[OpenApiExample("Page", file_schemas.FILE_PAGE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        given = request.query_params
        asked = params.read(given, self.grant, ("q", "order_by", "limit", "cursor"))
        page = list_files(
            asked.organization_id,
            asked.start,
            asked.end,
            asked.filters,
            order_by=given.get("order_by") or "-processing_cost_usd",
            search=given.get("q", "").strip(),
            limit=params.read_whole(given, "limit", DEFAULT_LIMIT, LARGEST_LIMIT),
            cursor=given.get("cursor") or None,
        )
        totals = page.totals
        return Response(
            {
                "data": [write_file(row) for row in page.rows],
                "totals": {
                    "files": totals.files,
                    "chats": totals.chats,
                    **write_shares(totals.shares),
                    **written(totals.figures, _METRICS),
                },
                "coverage": write_coverage(totals.figures.coverage),
                "has_more": page.next_cursor is not None,
                "next_cursor": page.next_cursor,
            }
        )


@extend_schema(tags=["Files"])
class FileView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ

    @extend_schema(
        summary="Get a file",
        description="Of its whole life, with the chats that used it and its models. Its calls are `/v1/events?file=…`.",
        operation_id="files_get",
        responses=answers(file_schemas.FileDetailSchema, also=(404,)),
        examples=[OpenApiExample("File", file_schemas.FILE_DETAIL, response_only=True)],
    )
    def get(self, request: Request, file_id: str) -> Response:
        organization_id, own = self.grant.organization_id, params.own_filters(self.grant)
        filters = {**own, "file": (file_id,)}
        found = [] if "\0" in file_id else list_files(organization_id, EARLIEST, LATEST, filters).rows
        if not found:
            raise ApiError(404, "not_found", "There is no file with this id.")
        row = found[0]
        zone = params.read_zone(request.query_params, organization_id)
        # Asking for its own life keeps the other months' partitions out of it.
        end = row.last_at + row.last_at.resolution
        models = run(UsageQuery(organization_id, row.first_at, end, zone, group_by=("model",), filters=filters))
        chats = chats_of_file(organization_id, file_id, row.first_at, end, own, MOST_CHATS)
        return Response(
            {
                **write_file(row),
                "coverage": write_coverage(row.figures.coverage),
                "models": [{"model": r.group["model"].key, **written(r.figures, _METRICS)} for r in models.rows],
                "used_in": [_write_chat(chat) for chat in chats],
            }
        )


def _write_chat(chat: FileChat) -> dict[str, Written]:
    return {
        "chat": chat.chat,
        "title": chat.title,
        "last_at": instant_text(chat.last_at),
        **write_shares(chat.shares),
        **written(chat.figures, _METRICS),
    }
