"""What came of a call, as the event that is kept of it.

The upstream's own usage object decides. Where there is none (the stream was cut off, or the server does not count) the
event is an estimate and says so. An upstream's refusal is an error at no cost. What was said never gets here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from metering.estimate.media import recording_ms
from metering.estimate.request import count_output, estimate_call, recording_tokens
from metering.events import MAX_COUNT, Usage, UsageEvent
from metering.gateway.calls import Call
from metering.gateway.streams import StreamReader, text_of
from metering.gateway.upstream import Attempt
from metering.gateway.upstreams import Route
from metering.normalize import Extract, UsageError, extract, fold_stream, normalize

MOST_CODE = 200
_STATUSES = {408: "timeout", 429: "rate_limited", 504: "timeout"}


class Start(msgspec.Struct, frozen=True):
    """When a call began, and what it is known by from then on."""

    event_id: str
    at: dt.datetime


class Timing(msgspec.Struct, frozen=True):
    duration_ms: int
    time_to_first_token_ms: int | None = None


def expected(start: Start, call: Call, route: Route) -> UsageEvent:
    """The call as it is estimated before it is made: what a hold takes, and what is kept if nobody hears more of it.

    With all that its model may be charged by: tokens, pictures, the length of a recording.
    """
    estimate = estimate_call(call.endpoint.path, call.document, provider=route.provider)
    heard_ms = 0
    if call.file is not None:
        heard_ms = min(recording_ms(call.file["size_bytes"], call.file["name"] or ""), MAX_COUNT)
    usage = Usage(
        input=estimate.input_tokens,
        output=estimate.max_output_tokens,
        audio_input=recording_tokens(call.model, heard_ms),
        images=estimate.images,
        media_ms=heard_ms,
    )
    tier = call.document.get("service_tier")
    return _event(
        start, call, route,
        usage=usage, is_estimated=True, detail={"error_code": "unsettled"},
        service_tier=tier[:MOST_CODE] if isinstance(tier, str) and tier else None,
    )  # fmt: skip


def unheard(start: Start, call: Call, route: Route) -> UsageEvent:
    """A call whose process ended before its answer did: that it was made is known, what it used is not."""
    return _event(start, call, route, usage=None, is_estimated=True, detail={"error_code": "unsettled"})


def refused(
    start: Start, call: Call, route: Route, timing: Timing, status: int, code: str | None, attempts: list[Attempt]
) -> UsageEvent:
    """The upstream refused, or could not be reached: an error at no cost."""
    detail = {"error_code": (code or f"http_{status}")[:MOST_CODE]} | _tried(attempts, route)
    return _event(start, call, route, timing=timing, status=_STATUSES.get(status, "error"), usage=None, detail=detail)


def cancelled(start: Start, call: Call, route: Route, timing: Timing) -> UsageEvent:
    """The client went before anything came back. The upstream may have read the prompt."""
    usage = _estimated(call, route, "")
    detail = {"error_code": "client_disconnected", "streamed": True}
    return _event(start, call, route, timing=timing, status="cancelled", usage=usage, is_estimated=True, detail=detail)


def answered(
    start: Start, call: Call, route: Route, timing: Timing, body: bytes, attempts: list[Attempt]
) -> UsageEvent:
    """A whole answer."""
    document = _decoded(body)
    found = extract(document, provider=route.provider) if document else Extract()
    raw = found.raw_usage
    error = document.get("error")
    if raw is None and isinstance(error, dict):
        # Some servers refuse with a status of success.
        return refused(start, call, route, timing, 200, _code_of(error), attempts)
    if raw is None and isinstance(document.get("duration"), int | float):
        raw = {"type": "duration", "seconds": document["duration"]}  # what a verbose transcription says of its audio
    usage, is_estimated = _counted(call, route, raw), False
    if usage is None and document and call.endpoint.path not in ("/v1/audio/transcriptions", "/v1/images/generations"):
        usage, is_estimated = _estimated(call, route, _said(document)), True
    return _event(
        start, call, route,
        timing=timing, usage=usage, raw=raw, is_estimated=is_estimated, service_tier=found.service_tier,
        detail=_about(found, streamed=False) | _tried(attempts, route),
    )  # fmt: skip


def streamed(
    start: Start,
    call: Call,
    route: Route,
    timing: Timing,
    reader: StreamReader,
    attempts: list[Attempt],
    cut_by: str | None,
) -> UsageEvent:
    """A stream that ended, or was cut off by the "client" or by the "upstream"."""
    detail: dict[str, Any] = {"streamed": True}
    for event in reader.telling:
        found = extract(event, provider=route.provider)
        detail |= _about(found, streamed=True)
    tier = next((t for event in reversed(reader.telling) if (t := extract(event).service_tier)), None)
    detail |= _tried(attempts, route)
    if reader.error is not None:
        detail["error_code"] = _code_of(reader.error)
        return _event(start, call, route, timing=timing, status="error", usage=None, service_tier=tier, detail=detail)
    raw = fold_stream(reader.telling, provider=route.provider)
    usage = _counted(call, route, raw)
    is_whole = reader.is_complete and usage is not None
    if not is_whole:
        guess = _estimated(call, route, reader.text())
        # What the beginning of a stream says of its prompt is true; of the answer it knows nothing yet.
        usage = guess if usage is None else msgspec.structs.replace(usage, output=max(usage.output, guess.output))
    status = "ok"
    if cut_by is not None and not reader.is_complete:
        status = "cancelled" if cut_by == "client" else "error"
        detail["error_code"] = f"{cut_by}_disconnected"
    return _event(
        start, call, route,
        timing=timing, status=status, usage=usage, raw=raw, is_estimated=not is_whole, service_tier=tier, detail=detail,
    )  # fmt: skip


def _event(
    start: Start,
    call: Call,
    route: Route,
    *,
    usage: Usage | None,
    detail: dict[str, Any],
    timing: Timing | None = None,
    status: str = "ok",
    raw: Mapping[str, Any] | None = None,
    is_estimated: bool = False,
    service_tier: str | None = None,
) -> UsageEvent:
    labels = call.labels
    detail = {"upstream": route.name, **detail}
    if call.file is not None:
        detail["files"] = [call.file]
    return UsageEvent(
        event_id=start.event_id,
        occurred_at=start.at,
        model=call.model,
        usage=usage,
        provider=route.provider or None,
        endpoint=call.endpoint.path,
        raw_usage=dict(raw) if raw is not None else None,
        user=labels.user,
        project=labels.project,
        chat=labels.chat,
        message=labels.message,
        feature=labels.feature,
        tool=labels.tool,
        integration=labels.integration,
        end_user=labels.end_user,
        status=status,
        service_tier=service_tier,
        is_estimated=is_estimated,
        duration_ms=timing.duration_ms if timing else None,
        time_to_first_token_ms=timing.time_to_first_token_ms if timing else None,
        tags=labels.tags,
        detail=detail,
    )


def sealed(event: UsageEvent) -> UsageEvent:
    """As it is stored: known by what it says, so that the same event read again from a spool counts once."""
    if event.body_hash:
        return event
    body = msgspec.json.encode(event, order="deterministic")
    return msgspec.structs.replace(event, body_hash=hashlib.blake2b(body, digest_size=16).digest())


def _counted(call: Call, route: Route, raw: Mapping[str, Any] | None) -> Usage | None:
    if raw is None:
        return None
    try:
        return normalize(raw, provider=route.provider or None, endpoint=call.endpoint.path).usage
    except UsageError:
        return None  # kept as the event's raw usage, for whoever looks why it is an estimate


def prompt_tokens(call: Call, route: Route) -> int:
    if call.prompt_tokens is not None:
        return call.prompt_tokens
    return estimate_call(call.endpoint.path, call.document, provider=route.provider).input_tokens


def _estimated(call: Call, route: Route, text: str) -> Usage:
    prompt = prompt_tokens(call, route)
    output = count_output(text, call.model, route.provider) if text else 0
    return Usage(input=min(prompt, MAX_COUNT), output=min(output, MAX_COUNT))


def _about(found: Extract, *, streamed: bool) -> dict[str, Any]:
    about: dict[str, Any] = {"streamed": streamed}
    if found.response_id:
        about["response_id"] = found.response_id[:MOST_CODE]
    if found.model:
        about["response_model"] = found.model[:MOST_CODE]
    if found.finish_reason:
        about["finish_reason"] = found.finish_reason[:MOST_CODE]
    return about


def _tried(attempts: list[Attempt], route: Route) -> dict[str, Any]:
    """The upstreams that were asked before, where there were any."""
    before = [attempt for attempt in attempts if attempt.upstream != route.name]
    return {"attempts": msgspec.to_builtins(before)} if before else {}


def error_code_of(body: bytes) -> str | None:
    """What an upstream's refusal calls itself."""
    error = _decoded(body).get("error")
    return _code_of(error) if isinstance(error, dict) else None


def _code_of(error: Mapping[str, Any]) -> str:
    for name in ("code", "type"):
        said = error.get(name)
        if isinstance(said, str) and said and said != "error":
            return "".join(sign for sign in said if sign >= " ")[:MOST_CODE]
        if isinstance(said, int):
            return str(said)
    return "upstream_error"


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _said(document: Mapping[str, Any]) -> str:
    """The text of a whole answer that came without a usage object."""
    said = (choice.get("message") or choice.get("text") for choice in _list(document, "choices"))
    parts = [text_of(msgspec.json.encode({"delta": each})) for each in said]
    for item in (*_list(document, "output"), document):
        parts.extend(str(part["text"]) for part in _list(item, "content") if isinstance(part.get("text"), str))
    return "".join(parts)


def _list(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
