"""GET /v1/usage/export and /api/usage/export."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, QueryDict, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from core.periods import local_day
from metering.query import params, schemas
from metering.query.export import DEFAULT_COLUMNS, FORMATS, Format, make_export
from metering.query.metrics import METRICS
from metering.query.spec import UsageQuery, refusal
from metering.query.tables import Table, begun

_CSV = f"{','.join(DEFAULT_COLUMNS)}\n2025-01-17T00:00:00Z,gpt-4,1250,830,2080,12\n"


class FileView(OrganizationAPIView):
    """An endpoint whose `format` names the file's; errors are JSON whatever is accepted."""

    required_scopes = Scope.USAGE_READ
    query_parameters = None

    def perform_content_negotiation(
        self,
        request: Request,  # noqa: ARG002
        force: bool = False,  # noqa: ARG002
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), JSONRenderer.media_type


@extend_schema(tags=["Usage"])
class ExportView(FileView):
    @extend_schema(
        summary="Export usage",
        description=(
            "A file of any size, streamed: one row per interval and combination of the dimensions among the columns, "
            "ordered by time, then by these. Its sums are those of the query over the same range. A download that "
            "breaks off has failed; a file that ends is complete."
        ),
        parameters=[
            OpenApiParameter("format", str, enum=list(FORMATS), default="csv"),
            *schemas.PERIOD,
            schemas.INTERVAL,
            OpenApiParameter(
                "columns", str,
                description=f"With commas between: timestamp, dimensions, {', '.join(METRICS)}. "
                f"Default: {','.join(DEFAULT_COLUMNS)}.",
            ),
            *schemas.FILTERS,
        ],
        responses={
            **answers(schemas.ExportSchema),
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
            (200, FORMATS["parquet"].content_type): OpenApiTypes.BINARY,
            (200, FORMATS["xlsx"].content_type): OpenApiTypes.BINARY,
        },
        examples=[OpenApiExample("CSV", _CSV, response_only=True, media_type="text/csv", status_codes=["200"])],
    )  # fmt: skip
    def get(self, request: Request) -> StreamingHttpResponse:
        given = request.query_params
        asked = params.read(given, self.grant, ("format", "interval", "columns"))
        name = read_format(given)
        interval = params.read_interval(given, "hour")
        query = UsageQuery(asked.organization_id, asked.start, asked.end, asked.zone, filters=asked.filters)
        export = make_export(query, params.read_names(given, "columns") or DEFAULT_COLUMNS, interval)
        filename = f"{self.organization.slug}-usage-{days_of(query)}.{name}"
        return stream(request._request, export, FORMATS[name], filename)  # noqa: SLF001


def read_format(given: QueryDict) -> str:
    """A name of FORMATS. Raises ApiError 422."""
    name = given.get("format") or "csv"
    if name not in FORMATS:
        raise refusal(f"format is one of {', '.join(FORMATS)}.", "format")
    return name


def stream(request: HttpRequest, table: Table, file_format: Format, filename: str) -> StreamingHttpResponse:
    """A download under WSGI and ASGI alike. Call it inside the organization's scope: it asks the first question."""
    return download(request, file_format.write(table), file_format.content_type, filename)


def download(request: HttpRequest, chunks: Iterator[bytes], content_type: str, filename: str) -> StreamingHttpResponse:
    """A file sent as it is written. `chunks` are made after the request's scope has ended: they open their own."""
    begin = begun(chunks)
    body: Any = for_asgi(begin) if isinstance(request, ASGIRequest) else filter(None, begin)
    response = StreamingHttpResponse(body, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{re.sub(r"[^A-Za-z0-9._-]", "-", filename)}"'
    response["Cache-Control"] = "private, no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def for_asgi(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each chunk is made in the request's thread; a plain iterator would be read to its end before a byte is sent."""

    def advance() -> bytes | None:
        return next(filter(None, chunks), None)

    while (chunk := await sync_to_async(advance)()) is not None:
        yield chunk


def days_of(query: UsageQuery) -> str:
    """For the name of a file: 2026-11-01-2026-11-30."""
    first, last = local_day(query.start, query.zone), local_day(query.end - query.end.resolution, query.zone)
    return f"{first}-{last}" if first != last else f"{first}"
