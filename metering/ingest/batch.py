"""A request's body as events: whole batches at msgspec's speed, and one by one where something is wrong."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from core.errors import ApiError
from metering.events import UsageEvent
from metering.ingest.document import KNOWN_FIELDS, EventDocument, LenientEventDocument, RefusedError, has_nul, to_event
from metering.store.base import Problem

MOST_EVENTS = 10_000
# Counted by their commas before anything is made of them: 16 MiB hold eight million zeros, half a gigabyte of objects.
MOST_VALUES = 2_000_000

MOST_WARNINGS = 20

_STRICT = msgspec.json.Decoder(EventDocument)
_LENIENT = msgspec.json.Decoder(LenientEventDocument)
_STRICT_LIST = msgspec.json.Decoder(list[EventDocument])
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()
_PATH = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)


class _Envelope(msgspec.Struct):
    events: list[EventDocument]


class _RawEnvelope(msgspec.Struct):
    events: msgspec.Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_RAW_ENVELOPE = msgspec.json.Decoder(_RawEnvelope)


class Parsed(msgspec.Struct, gc=False):
    """One event of a request: understood, the problem with it, or why it is none of ours (`ignored`)."""

    event: UsageEvent | None = None
    problem: Problem | None = None
    event_id: str | None = None
    warnings: tuple[str, ...] = ()
    ignored: str | None = None


@contextmanager
def json_body(body: bytes) -> Iterator[None]:
    """Around the reading of a body. Raises ApiError 400 where it is no JSON, 413 where it holds too much of it."""
    if len(body) > 2 * MOST_VALUES and body.count(b",") > MOST_VALUES:
        raise ApiError(413, "too_many_values", f"A request holds at most {MOST_VALUES:,} values.")
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON: {error}.") from error


def split_list(body: bytes) -> list[msgspec.Raw]:
    """The items of a JSON list, not yet decoded. Raises msgspec.DecodeError; ApiError 413 for too many."""
    items = _RAW_LIST.decode(body)
    _check_number(len(items))
    return items


def split_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines of a body that hold something, with their numbers from 1. Raises ApiError 413 for too many."""
    found = 0
    for number, line in enumerate(io.BytesIO(body), start=1):
        if line.strip():
            found += 1
            _check_number(found)
            yield number, line


def parse_json(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """One event, `{"events": […]}`, or a bare list. Raises ApiError for what is no such thing."""
    with json_body(body):
        return _parse_json(body, is_strict=is_strict, received_at=received_at)


def _parse_json(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    start = body[:100].lstrip()[:1] or body.lstrip()[:1]
    if start == b"[":
        return _parse_list(body, is_strict=is_strict, received_at=received_at)
    if start != b"{":
        _ANY.decode(body)
        raise ApiError(400, "invalid_body", "The body is one event, a list of events, or an object with events.")
    if b'"events"' in body:
        try:
            return _parse_documents(_ENVELOPE.decode(body).events, body, received_at)
        except msgspec.ValidationError:
            pass
        try:
            events = bytes(_RAW_ENVELOPE.decode(body).events)
        except msgspec.ValidationError:
            pass  # one event, that speaks of events
        else:
            if events.lstrip()[:1] != b"[":
                raise ApiError(422, "invalid_type", "events is a list.", param="events")
            return _parse_items(events, is_strict=is_strict, received_at=received_at)
    return [_parse_one(body, is_strict=is_strict, received_at=received_at)]


def parse_ndjson(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """One event a line; empty lines are skipped. A line that is no JSON is that event's problem alone."""
    parsed: list[Parsed] = []
    for number, line in split_lines(body):
        try:
            parsed.append(_parse_one(line, is_strict=is_strict, received_at=received_at))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            parsed.append(Parsed(problem=not_json(number, error)))
    return parsed


def not_json(line: int, error: Exception) -> Problem:
    return Problem("invalid_json", f"Line {line} is not JSON: {error}.")


def parse_value(value: Any, *, is_strict: bool, received_at: dt.datetime) -> Parsed:
    """One event from a decoded object (a row of an imported file, the data of a CloudEvent)."""
    try:
        document = msgspec.convert(value, EventDocument if is_strict else LenientEventDocument)
        if has_nul(value):
            return Parsed(problem=_NUL, event_id=_id_of(value))
        parsed = _understood(document, received_at)
    except msgspec.ValidationError as error:
        return Parsed(problem=problem_of(error), event_id=_id_of(value))
    except UnicodeEncodeError:
        return Parsed(problem=_SURROGATE)
    parsed.warnings = _left_out(value) + parsed.warnings
    return parsed


def _parse_list(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    try:
        return _parse_documents(_STRICT_LIST.decode(body), body, received_at)
    except msgspec.ValidationError:
        return _parse_items(body, is_strict=is_strict, received_at=received_at)


def _parse_documents(documents: list[EventDocument], body: bytes, received_at: dt.datetime) -> list[Parsed]:
    """The fast way, where every event has the right shape. Raises ValidationError where one by one is called for."""
    _check_number(len(documents))
    if _may_hold_nul(body):
        raise msgspec.ValidationError("a NUL may be in some event")
    return [_understood(document, received_at) for document in documents]


def _parse_items(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """One by one, because something is wrong with some."""
    return [_parse_one(bytes(item), is_strict=is_strict, received_at=received_at) for item in split_list(body)]


def _parse_one(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> Parsed:
    """Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError for what is no JSON."""
    warnings: tuple[str, ...] = ()
    try:
        document: EventDocument = _STRICT.decode(body)
    except msgspec.ValidationError as error:
        try:
            value = _ANY.decode(body)
        except msgspec.ValidationError as worse:  # a number beyond all bounds
            return Parsed(problem=problem_of(worse))
        if is_strict or not isinstance(value, dict):
            return Parsed(problem=problem_of(error), event_id=_id_of(value))
        try:
            document = _LENIENT.decode(body)
        except msgspec.ValidationError as worse:
            return Parsed(problem=problem_of(worse), event_id=_id_of(value))
        warnings = _left_out(value)
    if _may_hold_nul(body) and has_nul(_ANY.decode(body)):
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


def _left_out(value: dict[str, Any]) -> tuple[str, ...]:
    unknown = [name for name in value if name not in KNOWN_FIELDS]
    return tuple(f"unknown field {name[:100]} was left out" for name in unknown[:MOST_WARNINGS])


def _may_hold_nul(body: bytes) -> bool:
    # Most bodies hold no backslash at all, which is found out ten times as fast.
    return b"\\" in body and b"\\u0000" in body


def _check_number(number: int) -> None:
    if number > MOST_EVENTS:
        raise ApiError(
            413, "too_many_events", f"A request holds at most {MOST_EVENTS:,} events; this one has {number:,}."
        )


_SURROGATE = Problem("invalid_text", "A text holds half of a surrogate pair, which is no character.")
_NUL = Problem("nul_character", "A text holds the character U+0000, which cannot be stored.")


def _id_of(value: Any) -> str | None:
    given = value.get("id") if isinstance(value, dict) else None
    return given[:200] if isinstance(given, str) and "\0" not in given else None


def problem_of(error: msgspec.ValidationError) -> Problem:
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
