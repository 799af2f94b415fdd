"""What the OpenTelemetry doors say of themselves in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from metering.ingest.otlp.wire import JSON, MOST_SPANS, PROTOBUF

_EXAMPLE_REQUEST: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout-bot"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "opentelemetry.instrumentation.openai_v2"},
                    "spans": [
                        {
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                            "name": "chat gpt-4o",
                            "kind": 3,
                            "startTimeUnixNano": "1795262400123000000",
                            "endTimeUnixNano": "1795262405353000000",
                            "attributes": [
                                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                                {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
                                {"key": "gen_ai.response.model", "value": {"stringValue": "gpt-4o"}},
                                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "25"}},
                                {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "100"}},
                            ],
                        }
                    ],
                }
            ],
        }
    ]
}
_EXAMPLE_PARTIAL = {
    "partialSuccess": {
        "rejectedSpans": "1",
        "errorMessage": "1 × A span began more than 5 minutes in the future.",
    }
}

SCHEMAS: dict[str, Any] = {
    "OtlpExportRequest": {
        "type": "object",
        "description": (
            "OTLP's ExportTraceServiceRequest, ExportMetricsServiceRequest or ExportLogsServiceRequest. "
            "In JSON ids are hex and 64-bit integers strings; unknown fields are ignored."
        ),
        "properties": {
            name: {"type": "array", "items": {"type": "object"}}
            for name in ("resourceSpans", "resourceMetrics", "resourceLogs")
        },
    },
    "OtlpExportAnswer": {
        "type": "object",
        "properties": {
            "partialSuccess": {
                "type": "object",
                "description": "Left out when there is nothing to say. What was rejected is not to be sent again.",
                "required": ["rejectedSpans", "errorMessage"],
                "properties": {
                    "rejectedSpans": {"type": "string", "pattern": "^[0-9]+$"},
                    "errorMessage": {"type": "string"},
                },
            }
        },
    },
}

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_REQUEST = {"$ref": "#/components/schemas/OtlpExportRequest"}
_ANSWER = {"$ref": "#/components/schemas/OtlpExportAnswer"}
_ERRORS = {
    "400": "The body cannot be read.",
    "401": "No key, or none of ours.",
    "403": "The key lacks the scope usage:write.",
    "413": "Too many spans, or too large.",
    "415": "A content type or encoding that is not taken.",
    "503": "Nothing was stored; send it again after Retry-After.",
}


def _operation(
    signal: str, description: str, request: dict[str, Any] | None, answers: dict[str, Any]
) -> dict[str, Any]:
    sent: dict[str, Any] = {"schema": _REQUEST}
    if request is not None:
        sent["examples"] = {"ModelCall": {"value": request}}
    refused = {PROTOBUF: _BINARY, JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "operationId": f"otlp_{signal}_send",
        "summary": f"Send OpenTelemetry {signal}",
        "description": description,
        "tags": ["OpenTelemetry"],
        "security": [{"apiKey": []}],
        "parameters": [
            {"name": "Content-Encoding", "in": "header", "schema": {"type": "string", "enum": ["gzip", "zstd"]}}
        ],
        "requestBody": {"required": True, "content": {PROTOBUF: _BINARY, JSON: sent}},
        "responses": {
            "200": {
                "description": "Taken, in the encoding of the request.",
                "content": {PROTOBUF: _BINARY, JSON: {"schema": _ANSWER, "examples": answers}},
            },
            **{status: {"description": text, "content": refused} for status, text in _ERRORS.items()},
        },
    }


_NOTHING_TO_SAY: dict[str, Any] = {"Taken": {"value": {}}}
_IGNORED = "Taken and ignored, so that an exporter of all signals may be pointed here. Usage comes from traces."

PATHS: dict[str, dict[str, Any]] = {
    "/v1/traces": {
        "post": _operation(
            "traces",
            "OTLP/HTTP. Spans of model calls (GenAI conventions, OpenInference, Traceloop) become events, each call "
            f"once however many spans report it; other spans are ignored. At most {MOST_SPANS:,} spans and 16 MiB "
            "unpacked. Errors in protobuf are google.rpc.Status.",
            _EXAMPLE_REQUEST,
            {**_NOTHING_TO_SAY, "PartlyRejected": {"value": _EXAMPLE_PARTIAL}},
        )
    },
    "/v1/metrics": {"post": _operation("metrics", _IGNORED, None, _NOTHING_TO_SAY)},
    "/v1/logs": {"post": _operation("logs", _IGNORED, None, _NOTHING_TO_SAY)},
}
