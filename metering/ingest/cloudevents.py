"""CloudEvents 1.0 over HTTP, structured, batched and binary, whose data is an event object of ours.

`source` and `id` together identify the event, as their specification has it: its id here is `<source>|<id>` (a
URI-reference holds no bar), whatever id the data has. `subject` is the user and `time` when it occurred, where the data
says neither. Extension attributes are accepted and not kept.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Meta, structs

from core.errors import ApiError
from metering.ingest.batch import Parsed, json_body, parse_value, split_list
from metering.ingest.document import RefusedError, fitting_id
from metering.store.base import Problem

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

SPEC_VERSION = "1.0"
_PREFIX = "ce-"
_REQUIRED = ("specversion", "id", "source", "type")
_MARKS = frozenset(_PREFIX + name for name in _REQUIRED)
_DATA = ("data", "data_base64")

_ANY = msgspec.json.Decoder()
_NAME = re.compile(r"[a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# RFC 3986: the characters of a reference, percent-encodings whole; no colon in the first segment but a scheme's.
_REFERENCE = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:|(?![^/?#]*:))(?:[A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})*"
    r"(?:#(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# RFC 2046, with parameters.
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:\s*;\s*{_TOKEN}=(?:{_TOKEN}|"[^"]*"))*\s*;?\s*')
_JSON_TYPE = re.compile(rf"{_TOKEN}/(?:{_TOKEN}\+)?json", re.IGNORECASE)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_Moment = Annotated[dt.datetime, Meta(tz=True)]
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def is_binary(headers: Mapping[str, str], content_type: str) -> bool:
    """Whether a request carries its CloudEvent's attributes in headers. A structured one may repeat them there."""
    return content_type not in (STRUCTURED, BATCHED) and not _MARKS.isdisjoint(headers.keys())


def parse_structured(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """One CloudEvent. Raises ApiError 400 for what is no JSON object."""
    with json_body(body):
        envelope = _ANY.decode(body)
    if not isinstance(envelope, dict):
        raise ApiError(400, "invalid_body", f"A body of the type {STRUCTURED} is one CloudEvent, an object.")
    return [_parse_envelope(envelope, is_strict=is_strict, received_at=received_at)]


def parse_batch(body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """A list of CloudEvents, which may be empty. Raises ApiError 400 for what is no JSON list, 413 for too many."""
    with json_body(body):
        if body.lstrip()[:1] != b"[":
            _ANY.decode(body)
            raise ApiError(400, "invalid_body", f"A body of the type {BATCHED} is a list of CloudEvents.")
        return [_parse_item(item, is_strict=is_strict, received_at=received_at) for item in split_list(body)]


def _parse_item(item: msgspec.Raw, *, is_strict: bool, received_at: dt.datetime) -> Parsed:
    try:
        envelope = _ANY.decode(item)
    except msgspec.ValidationError as error:  # a number beyond all bounds
        return Parsed(problem=Problem("invalid_field", f"{error}."))
    if not isinstance(envelope, dict):
        return Parsed(problem=Problem("invalid_cloudevent", "A CloudEvent is an object."))
    return _parse_envelope(envelope, is_strict=is_strict, received_at=received_at)


def parse_binary(headers: Mapping[str, str], body: bytes, *, is_strict: bool, received_at: dt.datetime) -> list[Parsed]:
    """The CloudEvent of a request whose body is the data. Raises ApiError 400 for a body that is no JSON."""
    try:
        attributes = _attributes_in(headers)
        identity = _checked(attributes)
        _check_is_json(attributes["datacontenttype"])
    except RefusedError as error:
        return [Parsed(problem=error.problem)]
    with json_body(body):
        data = _ANY.decode(body)
    return [_parse_data(data, attributes, identity, "", is_strict=is_strict, received_at=received_at)]


def _attributes_in(headers: Mapping[str, str]) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        name.removeprefix(_PREFIX): _decoded_header(value)
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
    for name in (*_DATA, "datacontenttype"):
        if name in attributes:
            raise RefusedError("invalid_attribute", f"There is no header ce-{name}.", name)
    attributes["datacontenttype"] = headers.get("content-type")
    return attributes


def _decoded_header(value: str) -> str:
    """HTTP binding, 3.1.3.2: quoted strings are unquoted, then percent-encoded UTF-8 is decoded."""
    quoted = _QUOTED.fullmatch(value)
    if quoted:
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    return unquote_to_bytes(value.encode("latin-1")).decode("utf-8", "replace")


def _parse_envelope(envelope: dict[str, Any], *, is_strict: bool, received_at: dt.datetime) -> Parsed:
    attributes = {name: value for name, value in envelope.items() if name not in _DATA}
    try:
        identity = _checked(attributes)
        data = _data_of(envelope)
    except RefusedError as error:
        return Parsed(problem=error.problem)
    return _parse_data(data, attributes, identity, "data", is_strict=is_strict, received_at=received_at)


def _data_of(envelope: dict[str, Any]) -> Any:
    """What the event carries, decoded. Raises RefusedError where it is no JSON, or said twice, or not at all."""
    content_type = envelope.get("datacontenttype")
    encoded = envelope.get("data_base64")
    if encoded is None:
        if "data" not in envelope:
            raise RefusedError("missing_field", "data is required: it is the event.", "data")
        _check_is_json(content_type)
        return envelope["data"]
    if "data" in envelope:
        raise RefusedError("invalid_cloudevent", "data and data_base64 exclude each other.", "data_base64")
    # Base64 without a type may be anything, says the specification.
    _check_is_json(content_type or "application/octet-stream")
    try:
        return _ANY.decode(base64.b64decode(encoded if isinstance(encoded, str) else b"!", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise RefusedError("invalid_data", "data_base64 is not JSON in Base64.", "data_base64") from error


def _check_is_json(content_type: str | None) -> None:
    """Raises RefusedError for a media type that does not declare JSON; none at all does."""
    if content_type is not None and not _JSON_TYPE.fullmatch(content_type.partition(";")[0].strip()):
        message = "The data is an event object: datacontenttype is application/json."
        raise RefusedError("unsupported_datacontenttype", message, "datacontenttype")


def _parse_data(
    data: Any,
    attributes: Mapping[str, Any],
    identity: str,
    place: str,
    *,
    is_strict: bool,
    received_at: dt.datetime,
) -> Parsed:
    """The event object, completed from the attributes; `place` is where it was, for the problem's `param`."""
    if not isinstance(data, dict):
        return Parsed(problem=Problem("invalid_data", "data is an event object.", place or None), event_id=identity)
    document = data | {"id": identity}
    for field, attribute in (("user", "subject"), ("occurred_at", "time")):
        if document.get(field) is None and attributes.get(attribute) is not None:
            document[field] = attributes[attribute]
    parsed = parse_value(document, is_strict=is_strict, received_at=received_at)
    if parsed.problem is not None:
        param = ".".join(filter(None, (place, parsed.problem.param))) or None
        parsed.problem = structs.replace(parsed.problem, param=param)
        parsed.event_id = identity
    return parsed


# ── Attributes ──


def _checked(attributes: Mapping[str, Any]) -> str:
    """The event's id, once its attributes are found to be what the specification asks. Raises RefusedError."""
    for name in attributes:
        if not _NAME.fullmatch(name):
            message = "A CloudEvent's attributes are named in lower-case letters and digits."
            raise RefusedError("invalid_attribute", message, name[:100].replace("\0", ""))
    for name in _REQUIRED:
        if attributes.get(name) in (None, ""):
            raise RefusedError("missing_field", f"{name} is required, and not empty.", name)
    for name in (*_REQUIRED, "datacontenttype", "dataschema", "subject", "time"):
        value = attributes.get(name)
        if value is not None and (not isinstance(value, str) or not value or _CONTROL.search(value)):
            raise RefusedError("invalid_attribute", f"{name} is a text, not empty, without control characters.", name)
    if attributes["specversion"] != SPEC_VERSION:
        raise RefusedError("unsupported_specversion", f"specversion is {SPEC_VERSION}.", "specversion")
    _check_formats(attributes)
    return fitting_id(f"{attributes['source']}|{attributes['id']}")


def _check_formats(attributes: Mapping[str, Any]) -> None:
    if not _REFERENCE.fullmatch(attributes["source"]):
        raise RefusedError("invalid_attribute", "source is a URI-reference (RFC 3986).", "source")
    schema = attributes.get("dataschema")
    if schema is not None and not (_SCHEME.match(schema) and _REFERENCE.fullmatch(schema)):
        raise RefusedError("invalid_attribute", "dataschema is a URI (RFC 3986).", "dataschema")
    content_type = attributes.get("datacontenttype")
    if content_type is not None and not _MEDIA_TYPE.fullmatch(content_type):
        raise RefusedError("invalid_attribute", "datacontenttype is a media type (RFC 2046).", "datacontenttype")
    time = attributes.get("time")
    if time is not None and not _is_timestamp(time):
        raise RefusedError("invalid_attribute", "time is a timestamp (RFC 3339).", "time")


def _is_timestamp(text: str) -> bool:
    if not _TIMESTAMP.fullmatch(text):
        return False
    try:
        msgspec.convert(text, _Moment)
    except msgspec.ValidationError:
        return False
    return True
