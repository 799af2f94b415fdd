"""OTLP's JSON: protobuf's mapping, but ids are hex and enums are numbers.

Read by msgspec and not by protobuf's json_format, which takes ids for base64 and seconds for a large body.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from msgspec import Struct

from core.errors import ApiError
from metering.ingest.otlp.attributes import EXCEPTION_EVENT, FIRST_TOKEN_EVENTS, Value, is_wanted
from metering.ingest.otlp.span import Span

# 64-bit integers come as strings, and from some senders as numbers; null is absent.
_Integer = int | str | None
T = TypeVar("T")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_ERROR = (2, "STATUS_CODE_ERROR")


class _Array(Struct, rename="camel", gc=False):
    values: list[_AnyValue] | None = None


class _AnyValue(Struct, rename="camel", gc=False):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | float | str | None = None
    double_value: int | float | str | None = None
    array_value: _Array | None = None


class _KeyValue(Struct, rename="camel", gc=False):
    key: str = ""
    value: _AnyValue | None = None


class _Event(Struct, rename="camel", gc=False):
    name: str | None = None
    time_unix_nano: _Integer = None
    attributes: list[_KeyValue] | None = None


class _Status(Struct, rename="camel", gc=False):
    code: int | str | None = None


class _Span(Struct, rename="camel", gc=False):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    start_time_unix_nano: _Integer = None
    end_time_unix_nano: _Integer = None
    attributes: list[_KeyValue] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _Scope(Struct, rename="camel", gc=False):
    name: str | None = None


class _ScopeSpans(Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _Resource(Struct, rename="camel", gc=False):
    attributes: list[_KeyValue] | None = None


class _ResourceSpans(Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Request(Struct, rename="camel", gc=False):
    resource_spans: list[_ResourceSpans] | None = None


_decoder = msgspec.json.Decoder(_Request)
_any_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_spans(body: bytes) -> list[Span]:
    """Raises ApiError 400."""
    request = _decoded(_decoder, body)
    spans = []
    for resource_spans in request.resource_spans or ():
        resource = _attributes(resource_spans.resource.attributes if resource_spans.resource else None)
        for scope_spans in resource_spans.scope_spans or ():
            scope = (scope_spans.scope.name if scope_spans.scope else None) or ""
            spans += [_span(span, scope, resource) for span in scope_spans.spans or ()]
    return spans


def check(body: bytes) -> None:
    """Whether a body is a JSON object. Raises ApiError 400."""
    _decoded(_any_object, body)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "invalid_json", f"The body is not OTLP's JSON: {error}.") from error


def _span(span: _Span, scope: str, resource: dict[str, Value]) -> Span:
    attributes = _attributes(span.attributes)
    first_token_at = None
    for event in span.events or ():
        if event.name in FIRST_TOKEN_EVENTS:
            at = _integer(event.time_unix_nano)
            first_token_at = min(first_token_at or at, at)
        elif event.name == EXCEPTION_EVENT:
            attributes = _attributes(event.attributes) | attributes
    return Span(
        trace_id=(span.trace_id or "").lower(),
        span_id=(span.span_id or "").lower(),
        parent_id=(span.parent_span_id or "").lower(),
        scope=scope,
        started_ns=_integer(span.start_time_unix_nano),
        ended_ns=_integer(span.end_time_unix_nano),
        attributes=attributes,
        resource=resource,
        is_error=span.status is not None and span.status.code in _ERROR,
        first_token_ns=first_token_at,
    )


def _integer(value: _Integer) -> int:
    """0 for what is no number: the span is then refused for its time, and no other."""
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else 0
    return value or 0


def _attributes(pairs: list[_KeyValue] | None) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs or () if is_wanted(pair.key)}


def _value(value: _AnyValue | None) -> Value:
    if value is None:
        return None
    if value.array_value is not None:
        return [_value(each) for each in value.array_value.values or ()]
    if isinstance(value.int_value, str):
        return int(value.int_value) if _WHOLE.fullmatch(value.int_value) else value.int_value
    for plain in (value.string_value, value.bool_value, value.int_value, value.double_value):
        if plain is not None:
            return plain
    return None
