"""OTLP's messages: bytes to spans, what became of them to an answer. Protobuf is here, JSON in wire_json.py."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from starlette.requests import Request
from starlette.responses import Response

from core.errors import ApiError
from metering.ingest.otlp import wire_json
from metering.ingest.otlp.attributes import EXCEPTION_EVENT, FIRST_TOKEN_EVENTS, Value, is_wanted
from metering.ingest.otlp.span import Span

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MOST_SPANS = 10_000
TRACES, METRICS, LOGS = ExportTraceServiceRequest, ExportMetricsServiceRequest, ExportLogsServiceRequest


def content_type(request: Request) -> str:
    """Protobuf or JSON. Raises ApiError 415."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named not in (PROTOBUF, JSON):
        raise ApiError(415, "unsupported_type", f"Content-Type is {PROTOBUF} or {JSON}; this is {named[:100]!r}.")
    return named


def read_spans(body: bytes, encoding: str) -> list[Span]:
    """Raises ApiError 400 for what is no OTLP, 413 for too many spans."""
    spans = wire_json.read_spans(body) if encoding == JSON else _read_protobuf(body)
    if len(spans) > MOST_SPANS:
        message = f"A request has at most {MOST_SPANS} spans; this one has {len(spans)}."
        raise ApiError(413, "too_many_spans", message)
    return spans


def check(body: bytes, encoding: str, message: type[Message]) -> None:
    """Whether a body is what its address takes. Raises ApiError 400."""
    if encoding == JSON:
        wire_json.check(body)
    else:
        _decode(body, message())


def answer(encoding: str, *, rejected: int = 0, message: str = "") -> Response:
    """ExportTraceServiceResponse. Metrics and logs are answered by the same bytes when nothing was refused."""
    if encoding == JSON:
        partial = {"rejectedSpans": str(rejected), "errorMessage": message}
        return Response(msgspec.json.encode({"partialSuccess": partial} if message else {}), media_type=JSON)
    response = ExportTraceServiceResponse()
    if message:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message
    return Response(response.SerializeToString(), media_type=PROTOBUF)


def refusal(error: ApiError) -> Response:
    """google.rpc.Status, which OTLP asks for: its field 2 is the message; the code in field 1 may be left out."""
    text = f"{error.code}: {error.message}".encode()
    size, length = len(text), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return Response(b"\x12" + length + bytes([size]) + text, error.status, dict(error.headers), PROTOBUF)


def _decode(body: bytes, into: Message) -> None:
    try:
        into.ParseFromString(body)
    except DecodeError as error:
        raise ApiError(400, "invalid_protobuf", "The body is not the protobuf message of this address.") from error


def _read_protobuf(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest()
    _decode(body, request)
    spans = []
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            spans += [_span(span, scope, resource) for span in scope_spans.spans]
    return spans


def _span(span: trace_pb2.Span, scope: str, resource: dict[str, Value]) -> Span:
    attributes = _attributes(span.attributes)
    first_token_at = None
    for event in span.events:
        if event.name in FIRST_TOKEN_EVENTS:
            first_token_at = min(first_token_at or event.time_unix_nano, event.time_unix_nano)
        elif event.name == EXCEPTION_EVENT:
            attributes = _attributes(event.attributes) | attributes
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        scope=scope,
        started_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        attributes=attributes,
        resource=resource,
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        first_token_ns=first_token_at,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs if is_wanted(pair.key)}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind in ("string_value", "bool_value", "int_value", "double_value"):
        plain: Value = getattr(value, kind)
        return plain
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None
