"""A request's body as events: whole batches at msgspec's speed, and one by one where something is wrong."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec

from core.errors import ApiError
from metering.events import UsageEvent
from metering.ingest.document import KNOWN_FIELDS, EventDocument, LenientEventDocument, RefusedError, has_nul, to_event
from metering.store.base import Problem

MOST_EVENTS = 10_000

_STRICT = msgspec.json.Decoder(EventDocument)
_LENIENT = msgspec.json.Decoder(LenientEventDocument)
_STRICT_LIST = msgspec.json.Decoder(list[EventDocument])
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()
_PATH = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)


class _Envelope(msgspec.Struct):
    events: msgspec.Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class Parsed(msgspec.Struct):
    """One event of a request: understood, or the problem with it."""

    event: UsageEvent | None = None
    problem: Problem | None = None
    event_id: str | None = None
    warnings: tuple[str, ...] = ()


def parse_json(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """One event, `{"events": […]}`, or a bare list. Raises ApiError for what is no such thing."""
    start = body.lstrip()[:1]
    if start == b"[":
        return _parse_list(body, is_strict=is_strict, received_at=received_at)
    if start != b"{":
        _decode_any(body)
        raise ApiError(400, "invalid_body", "The body is one event, a list of events, or an object with events.")
    if b'"events"' in body:
        try:
            envelope = _ENVELOPE.decode(body)
        except msgspec.ValidationError:
            pass
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _malformed(error) from error
        else:
            if bytes(envelope.events).lstrip()[:1] != b"[":
                raise ApiError(422, "invalid_type", "events is a list.", param="events")
            return _parse_list(bytes(envelope.events), is_strict=is_strict, received_at=received_at)
    return [_parse_one(body, is_strict=is_strict, received_at=received_at)]


def parse_ndjson(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """One event a line; empty lines are skipped. A line that is no JSON is that event's problem alone."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    _check_number(len(lines))
    parsed = []
    for line in lines:
        try:
            parsed.append(_parse_one(line, is_strict=is_strict, received_at=received_at))
        except ApiError as error:
            parsed.append(Parsed(problem=Problem(error.code, error.message)))
    return parsed


def parse_value(value: Any, *, is_strict: bool, received_at: dt.datetime) -> Parsed:
    """One event from a decoded object (a row of an imported file)."""
    try:
        document = msgspec.convert(value, EventDocument if is_strict else LenientEventDocument)
    except msgspec.ValidationError as error:
        return Parsed(problem=_problem(error), event_id=_id_of(value))
    if has_nul(value):
        return Parsed(problem=_NUL, event_id=_id_of(value))
    return _understood(document, received_at)


def _parse_list(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    try:
        documents = _STRICT_LIST.decode(body)
    except msgspec.ValidationError:
        items = _RAW_LIST.decode(body)
        _check_number(len(items))
        return [_parse_one(bytes(item), is_strict=is_strict, received_at=received_at) for item in items]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    _check_number(len(documents))
    if b"\\u0000" in body:
        items = _RAW_LIST.decode(body)
        return [_parse_one(bytes(item), is_strict=is_strict, received_at=received_at) for item in items]
    return [_understood(document, received_at) for document in documents]


def _parse_one(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> Parsed:
    warnings: tuple[str, ...] = ()
    try:
        document: EventDocument = _STRICT.decode(body)
    except msgspec.ValidationError as error:
        value = _decode_any(body)
        if is_strict or not isinstance(value, dict):
            return Parsed(problem=_problem(error), event_id=_id_of(value))
        try:
            document = _LENIENT.decode(body)
        except msgspec.ValidationError as worse:
            return Parsed(problem=_problem(worse), event_id=_id_of(value))
        warnings = tuple(f"unknown field {name[:100]} was left out" for name in value if name not in KNOWN_FIELDS)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    if b"\\u0000" in body and has_nul(_decode_any(body)):
        return Parsed(problem=_NUL, event_id=document.id if document.id and "\0" not in document.id else None)
    parsed = _understood(document, received_at)
    parsed.warnings = warnings + parsed.warnings
    return parsed


def _understood(document: EventDocument, received_at: dt.datetime) -> Parsed:
    try:
        event, notes = to_event(document, received_at)
    except RefusedError as error:
        return Parsed(problem=error.problem, event_id=document.id)
    return Parsed(event=event, event_id=event.event_id, warnings=notes)


def _decode_any(body: bytes) -> Any:
    try:
        return _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from error


def _malformed(error: Exception) -> ApiError:
    return ApiError(400, "invalid_json", f"The body is not JSON: {error}.")


def _check_number(number: int) -> None:
    if number > MOST_EVENTS:
        raise ApiError(
            413, "too_many_events", f"A request holds at most {MOST_EVENTS:,} events; this one has {number:,}."
        )


_NUL = Problem("nul_character", "A text holds the character U+0000, which cannot be stored.")


def _id_of(value: Any) -> str | None:
    given = value.get("id") if isinstance(value, dict) else None
    return given[:200] if isinstance(given, str) and "\0" not in given else None


def _problem(error: msgspec.ValidationError) -> Problem:
    """msgspec's words, with its path turned into the contract's `param`."""
    match = _PATH.match(str(error))
    message = match["message"] if match else str(error)
    param = (match["path"] or "").removeprefix("$").lstrip(".") or None if match else None
    missing = re.search(r"missing required field `(\w+)`", message)
    if missing:
        name = missing[1]
        return Problem("missing_field", f"{name} is required.", f"{param}.{name}" if param else name)
    unknown = re.search(r"unknown field `(.*)`", message)
    if unknown:
        return Problem("unknown_field", f"There is no field {unknown[1][:100]}.", unknown[1][:100])
    return Problem("invalid_field", message.rstrip(".") + ".", param)
