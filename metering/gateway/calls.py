"""A client's request to the gateway, read as far as metering needs: which model, for whom, streamed or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

from core.errors import ApiError
from metering.ingest.document import MOST_TAGS
from metering.models.upstreams import Protocol

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_NAME = 200
MOST_TAG_NAME = 64
# A form field that is not a file, such as the model, has no more.
MOST_FIELD_BYTES = 64 * 1024
HEADER = "x-tokenledger-"
# Bodies' `metadata` and the `X-Tokenledger-…` headers may name these; everything else in metadata is a tag.
LABELS = ("chat", "message", "feature", "tool", "integration", "project", "user")
_OTHER_WORDS = {
    "chat_id": "chat", "conversation_id": "chat", "session_id": "chat", "thread_id": "chat", "message_id": "message",
    "user_id": "end_user", "end_user": "end_user", "end_user_id": "end_user",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What decides of the route, the hold and the price.
_MEASURED_BY = frozenset(
    {"model", "stream", "stream_options", "service_tier", "n", "best_of", "max_tokens", "max_completion_tokens"}
    | {"max_output_tokens"}
)
# As a key, with or without escapes.
_MODEL_KEY = re.compile(rb'"(?:m|\\u006d)(?:o|\\u006f)(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006c)"\s*:', re.IGNORECASE)


class Endpoint(msgspec.Struct, frozen=True):
    """One address of the gateway. `path` is what clients call, `upstream_path` comes after an upstream's base URL."""

    path: str
    protocol: Protocol
    upstream_path: str
    # Chat streams tell their usage only when they are asked to.
    asks_for_usage: bool = False
    takes_forms: bool = False
    # Counting tokens costs nothing.
    is_metered: bool = True


ENDPOINTS: dict[str, Endpoint] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("/v1/chat/completions", Protocol.OPENAI, "/chat/completions", asks_for_usage=True),
        Endpoint("/v1/completions", Protocol.OPENAI, "/completions", asks_for_usage=True),
        Endpoint("/v1/responses", Protocol.OPENAI, "/responses"),
        Endpoint("/v1/embeddings", Protocol.OPENAI, "/embeddings"),
        Endpoint("/v1/audio/transcriptions", Protocol.OPENAI, "/audio/transcriptions", takes_forms=True),
        Endpoint("/v1/images/generations", Protocol.OPENAI, "/images/generations"),
        Endpoint("/v1/messages", Protocol.ANTHROPIC, "/v1/messages"),
        Endpoint("/v1/messages/count_tokens", Protocol.ANTHROPIC, "/v1/messages/count_tokens", is_metered=False),
    )
}


class Labels(msgspec.Struct, frozen=True):
    """What a client says of a call beside the call itself."""

    chat: str | None = None
    message: str | None = None
    feature: str | None = None
    tool: str | None = None
    integration: str | None = None
    project: str | None = None
    user: str | None = None
    end_user: str | None = None
    tags: dict[str, str] | None = None


class Call(msgspec.Struct):
    """A request as it came and as it goes on. `document` is its JSON, or the fields of its form."""

    endpoint: Endpoint
    model: str
    body: bytes
    content_type: str
    document: Mapping[str, Any]
    labels: Labels
    is_streamed: bool = False
    # Usage is asked for on the gateway's own account, and taken out of the answer again.
    strips_usage: bool = False
    file: dict[str, Any] | None = None
    # Of a document that is not kept any more.
    prompt_tokens: int | None = None


def read_call(endpoint: Endpoint, headers: Headers, body: bytes) -> Call:
    """Raises ApiError 400, 415 or 422 for what no upstream could answer either, or no ledger could hold."""
    content_type = headers.get("content-type", "application/json")
    file = None
    if endpoint.takes_forms:
        document, file = read_form(content_type, body)
    else:
        document = _read_json(body)
    model = document.get("model")
    if model is None:
        raise ApiError(400, "missing_field", "The request names no model.", param="model")
    if not isinstance(model, str) or not 1 <= len(model) <= MOST_NAME or _CONTROL.search(model):
        message = f"model is a text of 1 to {MOST_NAME} characters."
        raise ApiError(422, "invalid_parameter", message, param="model")
    call = Call(endpoint, model, body, content_type, document, read_labels(headers, document), file=file)
    call.is_streamed = document.get("stream") in (True, "true")
    if call.is_streamed and endpoint.asks_for_usage:
        _ask_for_usage(call)
    return call


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ApiError(400, "invalid_body", "The body is a JSON object.")
    _refuse_ambiguous(document, body)
    return document


def _refuse_ambiguous(document: Mapping[str, Any], body: bytes) -> None:
    """Servers differ in which of two keys they read."""
    _refuse_other_cases(document)
    # Most bodies have the word once and no escapes, which is soon seen; and a second one may be an inner object's.
    if body.count(b'"model"') < 2 and b"\\u00" not in body:
        return
    if len(_MODEL_KEY.findall(body)) > 1 and _outer_names(body).count("model") > 1:
        raise _model_named_twice()


def _refuse_other_cases(document: Mapping[str, Any]) -> None:
    """Servers differ in whether "Model" is another name than "model"."""
    for name in document:
        if name not in _MEASURED_BY and name.lower() in _MEASURED_BY:
            message = f"{name[:MOST_NAME]!r} is written {name.lower()!r}."
            raise ApiError(422, "ambiguous_field", message, param=name.lower())


def _outer_names(body: bytes) -> list[str]:
    """The keys of a JSON object, of which every decoder of ours keeps one each."""
    names: list[str] = []

    def hook(pairs: list[tuple[str, Any]]) -> None:
        names[:] = [name for name, _ in pairs]  # the outer object comes last

    try:
        json.loads(body, object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "invalid_json", "The body is nested too deeply, or has a number too long.") from error
    return names


def _model_named_twice() -> ApiError:
    return ApiError(422, "ambiguous_field", "The request names its model twice.", param="model")


def _ask_for_usage(call: Call) -> None:
    """Have the stream end with its usage. A client's body is otherwise sent on byte for byte."""
    options = call.document.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is True:
        return
    if "stream_options" in call.document:
        if not isinstance(options, dict | None):
            return  # the upstream will say what is wrong with it
        asking = {**call.document, "stream_options": {**(options or {}), "include_usage": True}}
        call.body = msgspec.json.encode(asking)
    else:
        call.body = call.body.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    call.strips_usage = True


# ── Who and what for ──


def read_labels(headers: Headers, document: Mapping[str, Any]) -> Labels:
    """Headers win over the body's `metadata`, and that over OpenAI's `user`."""
    found: dict[str, str] = {}
    tags: dict[str, str] = {}
    end_user = document.get("safety_identifier") or document.get("user")
    if isinstance(end_user, str) and end_user:
        found["end_user"] = _text(end_user, "user")
    _read_metadata(document.get("metadata"), found, tags)
    conversation = document.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    if isinstance(conversation, str) and conversation:
        found.setdefault("chat", _text(conversation, "conversation"))
    for name in LABELS:
        said = headers.get(HEADER + name)
        if said:
            found[name] = _text(decoded(said), f"X-Tokenledger-{name.title()}")
    said = headers.get(HEADER + "tags")
    if said:
        tags |= _read_tags(decoded(said))
    return Labels(**found, tags=tags or None)


def _read_metadata(metadata: Any, found: dict[str, str], tags: dict[str, str]) -> None:
    """What does not fit a name or a tag was not meant for the ledger: it is left to the upstream."""
    if not isinstance(metadata, dict):
        return
    for name, value in metadata.items():
        if not isinstance(value, str) or not value or _CONTROL.search(value) or len(value) > MOST_NAME:
            continue
        label = name if name in LABELS else _OTHER_WORDS.get(name)
        if label is not None:
            found[label] = value
        elif 1 <= len(name) <= MOST_TAG_NAME and len(tags) < MOST_TAGS and not _CONTROL.search(name):
            tags[name] = value


def _read_tags(said: str) -> dict[str, str]:
    """`env=prod,team=search`, or a JSON object of texts."""
    if said.lstrip().startswith("{"):
        try:
            pairs: Iterable[tuple[str, str]] = msgspec.json.decode(said, type=dict[str, str]).items()
        except msgspec.DecodeError as error:
            raise _bad_tags(f"not an object of texts: {error}") from error
    else:
        pairs = [(name.strip(), value.strip()) for name, _, value in (pair.partition("=") for pair in said.split(","))]
    tags = dict(pairs)
    for name, value in tags.items():
        if not 1 <= len(name) <= MOST_TAG_NAME or not 1 <= len(value) <= MOST_NAME or _CONTROL.search(name + value):
            raise _bad_tags(f"a name has 1 to {MOST_TAG_NAME} characters and a value 1 to {MOST_NAME}")
    if len(tags) > MOST_TAGS:
        raise _bad_tags(f"at most {MOST_TAGS} of them")
    return tags


def _bad_tags(reason: str) -> ApiError:
    message = f"X-Tokenledger-Tags is name=value,name=value or a JSON object: {reason}."
    return ApiError(422, "invalid_tag", message, param="X-Tokenledger-Tags")


def _text(said: str, param: str) -> str:
    if len(said) > MOST_NAME or _CONTROL.search(said):
        message = f"{param} has at most {MOST_NAME} characters, none of them a control character."
        raise ApiError(422, "invalid_parameter", message, param=param)
    return said


def decoded(header: str) -> str:
    """Headers are Latin-1 by the standard and UTF-8 in practice."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


# ── Forms ──


def read_form(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, Any] | None]:
    """The text fields of a multipart form, and name and size of its file."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ApiError(415, "unsupported_type", "Content-Type is multipart/form-data with a boundary.")
    reader = _FormReader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise ApiError(400, "invalid_form", f"The form cannot be read: {error}.") from error
    _refuse_other_cases(reader.fields)
    return reader.fields, reader.file


class _FormReader:
    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.file: dict[str, Any] | None = None
        self._header_name = b""
        self._header_value = b""
        self._name: str | None = None
        self._file_name: str | None = None
        self._size = 0
        self._value = b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._header,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._name = self._file_name = None
        self._size, self._value = 0, b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self._header_value)
            self._name = options.get(b"name", b"").decode(errors="replace")
            file_name = options.get(b"filename")
            self._file_name = None if file_name is None else file_name.decode(errors="replace")
        self._header_name = self._header_value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._file_name is None and self._size <= MOST_FIELD_BYTES:
            self._value += data[start:end]

    def _end(self) -> None:
        if self._file_name is not None:
            name = _CONTROL.sub("", self._file_name)[:300]
            self.file = {"id": name[:MOST_NAME] or "file", "name": name or None, "size_bytes": self._size}
        elif self._name is not None and self._size <= MOST_FIELD_BYTES:
            if self._name == "model" and "model" in self.fields:
                raise _model_named_twice()
            self.fields[self._name] = self._value.decode(errors="replace")
