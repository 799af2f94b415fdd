"""GET /v1/usage/focus and /v1/usage/focus/schema."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import OrganizationAPIView, answers
from accounts.models import Scope
from metering.query import params, schemas
from metering.query.export import FORMATS
from metering.query.export_api import FileView, days_of, read_format, stream
from metering.query.focus.columns import COLUMNS, SCHEMA_ID, VERSION, describe
from metering.query.focus.table import FocusFile
from metering.query.spec import UsageQuery

_CSV = (
    "BilledCost,BillingAccountId,…,PricingQuantity,PricingUnit,…,x_Model,…\n"
    "0.5,northbound,…,0.2,1000000 Tokens,…,gpt-4o,…\n"
)
SchemaSchema = schemas.inline(
    "FocusMetadata",
    DataGenerator=schemas.text(),
    Schema=schemas.inline(
        "FocusSchema",
        SchemaId=schemas.text(),
        FocusVersion=schemas.text(),
        CreationDate=schemas.at(),
        ColumnDefinition=schemas.inline(
            "FocusColumn",
            ColumnName=schemas.text(),
            DataType=schemas.text("STRING, DATETIME, DECIMAL or JSON."),
            NumericPrecision=serializers.IntegerField(required=False),
            NumberScale=serializers.IntegerField(required=False),
            StringEncoding=serializers.CharField(required=False),
        )(many=True),
    )(),
)
_EXAMPLE = {
    "DataGenerator": "Tokenledger",
    "Schema": {
        "SchemaId": SCHEMA_ID,
        "FocusVersion": VERSION,
        "CreationDate": "2026-11-22T00:00:00Z",
        "ColumnDefinition": [
            {"ColumnName": "BilledCost", "DataType": "DECIMAL", "NumericPrecision": 38, "NumberScale": 15}
        ],
    },
}


@extend_schema(tags=["Usage"])
class FocusView(FileView):
    @extend_schema(
        summary=f"Cost and usage as FOCUS {VERSION}",
        description=(
            f"The FinOps Open Cost and Usage Specification {VERSION}: a charge for each day, project, team, API key, "
            "model, kind of token and rate, streamed. `BilledCost` sums to the total cost of the range, to the last "
            "digit. Usage without a price is in rows of the category `Adjustment`, with its quantity in "
            "`x_UnpricedQuantity` and no cost. Columns: " + ", ".join(column.name for column in COLUMNS) + "."
        ),
        operation_id="usage_focus",
        parameters=[
            OpenApiParameter("format", str, enum=list(FORMATS), default="csv"),
            *schemas.PERIOD,
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
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        given = request.query_params
        asked = params.read(given, self.grant, ("format",))
        name = read_format(given)
        query = UsageQuery(asked.organization_id, asked.start, asked.end, asked.zone, filters=asked.filters)
        filename = f"{self.organization.slug}-focus-{days_of(query)}.{name}"
        return stream(request._request, FocusFile(query), FORMATS[name], filename)  # noqa: SLF001


@extend_schema(tags=["Usage"])
class FocusSchemaView(OrganizationAPIView):
    required_scopes = Scope.USAGE_READ

    @extend_schema(
        summary="The schema of the FOCUS export",
        description="The metadata that the specification asks for: version, columns, their types and precision.",
        operation_id="usage_focus_schema",
        responses=answers(SchemaSchema),
        examples=[OpenApiExample("Schema", _EXAMPLE, response_only=True)],
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002
        return Response(describe())
