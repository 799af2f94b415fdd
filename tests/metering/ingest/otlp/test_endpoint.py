"""The wire: encodings, what is refused in part and what as a whole, and the signals that carry no usage."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from django.utils.timezone import now
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess

from accounts.models import Organization, Scope
from metering.ingest.otlp.recording import read
from metering.ingest.otlp.wire import MOST_SPANS, read_spans
from tests.cast import Key
from tests.metering.door import Door
from tests.metering.ingest.otlp.spans import (
    CHAT,
    PROTOBUF,
    SECOND_NS,
    START_NS,
    counted,
    export,
    in_protobuf,
    partial_success,
    post,
    send,
    span,
    stored,
    tokens,
)

pytestmark = pytest.mark.django_db(transaction=True)

CALL = span(2, CHAT | tokens(10, 5) | {"gen_ai.response.finish_reasons": ["stop"], "gen_ai.request.stream": True})
REQUEST = export(CALL)


@pytest.mark.parametrize(("encoding", "pack"), [("", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_both_encodings_say_the_same(
    door: Door, acme: Organization, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    headers = {"content_encoding": encoding} if encoding else {}
    response = post(door, pack(in_protobuf(REQUEST)), content_type=PROTOBUF, **headers)
    assert (response.status_code, response.headers["content-type"], response.content) == (200, PROTOBUF, b"")
    by_protobuf = stored(acme)
    assert send(door, CALL) == {}
    assert stored(acme) == by_protobuf
    assert by_protobuf["detail"] == {"streamed": True, "finish_reason": "stop"}


def test_json_as_other_senders_write_it(door: Door, acme: Organization) -> None:
    """Upper-case ids, numbers for 64-bit integers, names for enums, null and unknown fields."""
    loose = span(
        2,
        status={"code": "STATUS_CODE_ERROR"},
        traceId="5B8EFFF798038103D269B633813FC60C",
        startTimeUnixNano=START_NS,
        endTimeUnixNano=START_NS + SECOND_NS,
        events=None,
        droppedLinksCount=3,
        kind="SPAN_KIND_CLIENT",
    )
    loose["span"]["attributes"] = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 7}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "m"}, "unknown": 1},
        {"key": "session.id", "value": None},
    ]
    request = export(loose)
    request["resourceSpans"].append({"scopeSpans": None, "schemaUrl": "x"})
    response = post(door, request, content_type="application/json; charset=utf-8")
    assert (response.status_code, response.json()) == (200, {})
    found = stored(acme)
    assert (found["status"], found["model"], found["duration_ms"]) == ("error", "m", 1000)


@pytest.mark.parametrize("body", [{}, {"resourceSpans": []}, export(), export(span(1, {"http.method": "GET"}))])
def test_nothing_to_count_is_success(door: Door, acme: Organization, body: dict[str, Any]) -> None:
    response = post(door, body)
    assert (response.status_code, response.json()) == (200, {})
    assert counted(acme) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "trace id too short": (span(3, traceId="abcd"), "trace_id"),
    "trace id of zeros": (span(3, traceId="0" * 32), "trace_id"),
    "trace id no hex": (span(3, traceId="z" * 32), "trace_id"),
    "span id missing": (span(3, spanId=None), "span_id"),
    "in the future": (span(3, at=3600.0), "future"),
    "at no time": (span(3, startTimeUnixNano="0"), "2018"),
    "at a strange time": (span(3, startTimeUnixNano="99999999999999999999999"), "2018"),
    "negative tokens": (span(3, CHAT | tokens(-1, 5)), "negative"),
    "half a token": (span(3, CHAT | {"gen_ai.usage.input_tokens": 1.5}), "whole number"),
    "absurdly many": (span(3, CHAT | tokens(2**31, 5)), "must not exceed"),
    "tokens in words": (span(3, CHAT | {"gen_ai.usage.input_tokens": "many"}), "whole number"),
    "a yes": (span(3, CHAT | {"gen_ai.usage.output_tokens": True}), "whole number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_spans(name: str) -> None:
    refused, why = REFUSED[name]
    reading = read(read_spans(json.dumps(export(refused, CALL)).encode(), "application/json"), now())
    assert reading.refused.total() == 1
    assert why in next(iter(reading.refused))
    assert len(reading.seen) == 1


def test_refused_spans_are_counted_and_the_rest_is_stored(door: Door, acme: Organization) -> None:
    partial = send(door, *(refused for refused, _ in REFUSED.values()), CALL)
    assert partial["rejectedSpans"] == str(len(REFUSED))
    assert "And " in partial["errorMessage"]
    assert len(counted(acme)) == 1


def test_partial_success_in_protobuf(door: Door, acme: Organization) -> None:
    refused = [span(n, CHAT | tokens(-1, 5)) for n in range(3, 6)]
    response = post(door, in_protobuf(export(*refused, CALL)), content_type=PROTOBUF)
    assert response.status_code == 200
    rejected, message = partial_success(response)
    assert rejected == 3
    assert message.startswith("3 × ")


def test_spans_that_are_no_calls_may_be_as_they_like(door: Door, acme: Organization) -> None:
    assert send(door, span(1, {"http.method": "GET"}, traceId="x", startTimeUnixNano="0"), CALL) == {}


def test_a_project_there_is_not_loses_no_call(door: Door, acme: Organization) -> None:
    lost = span(2, CHAT | tokens(1, 1) | {"tokenledger.project": "nowhere"})
    partial = send(door, lost, span(3, CHAT))
    assert partial["rejectedSpans"] == "0"
    assert "no project 'nowhere'" in partial["errorMessage"]
    assert send(door, lost) == {}
    assert len(counted(acme)) == 2


def test_the_project_of_a_lost_name_is_a_tag(door: Door, acme: Organization) -> None:
    send(door, span(2, CHAT | {"tokenledger.project": "nowhere"}))
    found = stored(acme)
    assert found["project"] is None
    assert found["tags"] == {"project": "nowhere", "service": "checkout-bot"}


# ── As a whole ──


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"\xff\xff nonsense", PROTOBUF, 400, "invalid_protobuf"),
        (b"{", "application/json", 400, "invalid_json"),
        (b"[]", "application/json", 400, "invalid_json"),
        (b'{"resourceSpans": {}}', "application/json", 400, "invalid_json"),
        (b"\xff", "application/json", 400, "invalid_json"),
        (b'{"resourceSpans":' + b"[" * 20_000, "application/json", 400, None),
        (b"{}", "text/plain", 415, "unsupported_type"),
        (b"{}", "", 415, "unsupported_type"),
        (b"x" * (16 * 1024 * 1024 + 1), PROTOBUF, 413, "body_too_large"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_unreadable(
    door: Door, acme: Organization, path: str, body: bytes, content_type: str, status: int, code: str | None
) -> None:
    response = post(door, body, path=path, content_type=content_type)
    if path != "/v1/traces" and b"resourceSpans" in body:
        assert response.status_code in (200, 400)  # not theirs to look into
        return
    assert response.status_code == status, response.content
    if content_type == PROTOBUF:
        assert message_of(response.content).startswith(f"{code}: ")
        assert response.headers["content-type"] == PROTOBUF
    elif code:
        assert response.json()["error"]["code"] == code
    assert counted(acme) == []


def message_of(status: bytes) -> str:
    """google.rpc.Status has its message where this message has its own."""
    return ExportTracePartialSuccess.FromString(status).error_message


def test_an_encoding_that_lies(door: Door) -> None:
    response = post(door, b"no gzip", content_type=PROTOBUF, content_encoding="gzip")
    assert response.status_code == 400
    assert message_of(response.content).startswith("invalid_encoding: ")
    assert post(door, b"x", content_encoding="br").status_code == 415


def test_at_most_so_many_spans(door: Door, acme: Organization) -> None:
    plain = [span(n, {"k": "v"}) for n in range(1, MOST_SPANS + 1)]
    assert send(door, *plain) == {}
    response = post(door, in_protobuf(export(*plain, CALL)), content_type=PROTOBUF)
    assert response.status_code == 413
    assert "10000 spans" in message_of(response.content)
    assert counted(acme) == []


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_who_may(door: Door, acme: Organization, new_key: Callable[..., Key], path: str) -> None:
    reader = new_key(Scope.USAGE_READ).secret
    assert post(door, {}, path=path, secret=reader).json()["error"]["code"] == "missing_scope"
    assert post(door, b"", path=path, secret=reader, content_type=PROTOBUF).status_code == 403
    response = post(door, b"", path=path, secret="tl_wrong", content_type=PROTOBUF)
    assert response.status_code == 401
    assert message_of(response.content).startswith("invalid_api_key: ")
    assert post(door, {}, path=path, secret=new_key(Scope.USAGE_WRITE).secret).json() == {}
    assert door.request("GET", path).status_code == 405


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs"])
def test_other_signals_are_taken_and_ignored(door: Door, acme: Organization, path: str) -> None:
    for content_type, body in ((PROTOBUF, b""), ("application/json", b'{"resourceMetrics": [], "resourceLogs": []}')):
        response = post(door, body, path=path, content_type=content_type)
        assert response.status_code == 200
        assert response.headers["content-type"] == content_type
        assert response.content in (b"", b"{}")
    assert post(door, gzip.compress(b""), path=path, content_type=PROTOBUF, content_encoding="gzip").status_code == 200
    assert counted(acme) == []
