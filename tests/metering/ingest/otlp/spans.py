"""Spans as exporters send them, and what became of them in the ledger."""

from __future__ import annotations

import time
from typing import Any

import httpx
import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from accounts.models import Organization
from metering.events import Usage
from tests.metering.door import Door, select

PROTOBUF = "application/x-protobuf"
TRACE = "5b8efff798038103d269b633813fc60c"
SDK = "com.anthropic.sdk.python"
ANSWER = "msg_01XFDUDYJgAACzvnptvVoYEL"
SECOND_NS = 1_000_000_000

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}


def tokens(prompt: int, completion: int) -> dict[str, Any]:
    return {"gen_ai.usage.input_tokens": prompt, "gen_ai.usage.output_tokens": completion}


def span(
    number: int = 1,
    attributes: dict[str, Any] | None = None,
    *,
    below: int | None = None,
    trace: str = TRACE,
    scope: str = "test",
    at: float = 0.0,
    lasts: float = 1.0,
    is_error: bool = False,
    events: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One span in OTLP's JSON, with its scope beside it. `at` is seconds after a minute ago."""
    start = START_NS + int(at * SECOND_NS)
    return {
        "scope": scope,
        "span": {
            "traceId": trace,
            "spanId": f"{number:016x}",
            "parentSpanId": "" if below is None else f"{below:016x}",
            "name": f"span {number}",
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + int(lasts * SECOND_NS)),
            "attributes": pairs(CHAT if attributes is None else attributes),
            "events": events or [],
            "status": {"code": 2} if is_error else {},
            **fields,
        },
    }


START_NS = (time.time_ns() - 60 * SECOND_NS) // 1000 * 1000


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    for kind, name in ((bool, "boolValue"), (int, "intValue"), (float, "doubleValue")):
        if isinstance(value, kind):
            return {name: str(value) if name == "intValue" else value}
    return {"stringValue": value}


def export(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> dict[str, Any]:
    """An ExportTraceServiceRequest in JSON."""
    attributes = {"service.name": "checkout-bot"} if resource is None else resource
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(attributes)},
                "scopeSpans": [{"scope": {"name": one["scope"]}, "spans": [one["span"]]} for one in spans],
            }
        ]
    }


def in_protobuf(request: dict[str, Any]) -> bytes:
    """The same request as protobuf."""
    message = ExportTraceServiceRequest()
    for theirs in request["resourceSpans"]:
        resource_spans = message.resource_spans.add()
        _fill(resource_spans.resource.attributes, theirs["resource"]["attributes"])
        for scoped in theirs["scopeSpans"]:
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name = scoped["scope"]["name"]
            for one in scoped["spans"]:
                made = scope_spans.spans.add(
                    trace_id=bytes.fromhex(one["traceId"]),
                    span_id=bytes.fromhex(one["spanId"]),
                    parent_span_id=bytes.fromhex(one["parentSpanId"]),
                    name=one["name"],
                    start_time_unix_nano=int(one["startTimeUnixNano"]),
                    end_time_unix_nano=int(one["endTimeUnixNano"]),
                )
                made.status.code = one["status"].get("code", 0)
                _fill(made.attributes, one["attributes"])
                for event in one["events"]:
                    at = int(event["timeUnixNano"])
                    _fill(made.events.add(name=event["name"], time_unix_nano=at).attributes, event["attributes"])
    return message.SerializeToString()


def _fill(into: Any, given: list[dict[str, Any]]) -> None:
    for pair in given:
        _fill_value(into.add(key=pair["key"]).value, pair["value"])


def _fill_value(into: Any, value: dict[str, Any]) -> None:
    ((kind, plain),) = value.items()
    if kind == "arrayValue":
        for each in plain["values"]:
            _fill_value(into.array_value.values.add(), each)
    else:
        name = {"stringValue": "string_value", "boolValue": "bool_value", "intValue": "int_value"}.get(kind)
        setattr(into, name or "double_value", int(plain) if kind == "intValue" else plain)


# ── Through the door ──


def send(door: Door, *spans: dict[str, Any], secret: str = "", **options: Any) -> dict[str, Any]:
    """Export in JSON; returns partialSuccess, {} for none. Everything else than success fails the test."""
    response = post(door, export(*spans, **options), secret=secret)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    partial: dict[str, Any] = response.json().get("partialSuccess", {})
    return partial


def post(
    door: Door,
    body: Any,
    *,
    path: str = "/v1/traces",
    content_type: str = "application/json",
    secret: str = "",
    **headers: str,
) -> httpx.Response:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    sent = {"content-type": content_type, "authorization": f"Bearer {secret or door.secret}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return door.request("POST", path, content=content, headers=sent)


def partial_success(response: httpx.Response) -> tuple[int, str]:
    answer = ExportTraceServiceResponse.FromString(response.content).partial_success
    return answer.rejected_spans, answer.error_message


# ── What is stored ──


def counted(organization: Organization) -> list[tuple[str, int | None, int | None]]:
    """(event id, prompt tokens, completion tokens) of every event that counts; None for tokens that are unknown."""
    return select(
        organization,
        """SELECT event_id,
                  CASE WHEN is_usage_known AND NOT is_error OR input + output > 0
                       THEN input + cache_read + cache_write_5m + cache_write_1h + audio_input END,
                  CASE WHEN is_usage_known AND NOT is_error OR input + output > 0
                       THEN output + reasoning + audio_output END
           FROM metering_event WHERE superseded_by IS NULL ORDER BY event_id""",
    )


def usage_of(organization: Organization) -> Usage:
    """The buckets of the only event that counts."""
    names = ", ".join(Usage.__struct_fields__)
    (row,) = select(organization, f"SELECT {names} FROM metering_event WHERE superseded_by IS NULL")
    return Usage(**dict(zip(Usage.__struct_fields__, row, strict=True)))


def stored(organization: Organization) -> dict[str, Any]:
    """What the only event that counts says, by name; references as their texts."""
    texts = ("model", "provider", "endpoint", "feature", "tool", "integration", "status", "user", "end_user")
    plain = ("event_id", "duration_ms", "time_to_first_token_ms", "service_tier", "chat", "message", "tags", "detail",
             "raw_usage", "occurred_at", "is_error", "is_usage_known")  # fmt: skip
    columns = [f"(SELECT text FROM metering_label WHERE id = {name}_id) AS {name}" for name in texts]
    columns += plain
    (row,) = select(
        organization,
        f"""SELECT {", ".join(columns)}, (SELECT slug FROM accounts_project WHERE id = project_id)
            FROM metering_event WHERE superseded_by IS NULL""",
    )
    found = dict(zip((*texts, *plain, "project"), row, strict=True))
    return {
        name: msgspec.json.decode(value)
        if name in ("tags", "detail", "raw_usage") and isinstance(value, str)
        else value
        for name, value in found.items()
    }
