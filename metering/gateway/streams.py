"""Server-sent events on their way through: passed on as they come, and read for what they say of usage.

Works on bytes: a character split between two chunks is nobody's business here. Of the events only those are decoded
that speak of usage, an error or the end; the others are kept a while, unread, for the case that the stream breaks off
and what was generated must be counted from its text.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

# What is kept of a stream to count by, if it breaks off. Longer ones are counted by the piece.
MOST_KEPT_BYTES = 256 * 1024
# An event of this size without an end is none that a model sends.
MOST_EVENT_BYTES = 32 * 1024 * 1024
# Events that speak of usage, an error or the end, beside the first and the last of them: two or three in a stream.
MOST_TELLING = 32

_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
# What ends an event.
_BLANK = re.compile(rb"\n\r?\n|\r\r")
# What makes an event worth decoding. Quotes inside of a JSON string are escaped, so these are always names.
_TELLING = re.compile(rb'"usage" ?:(?! ?null)|"error"|"finish_reason" ?: ?"')
_NULL_USAGE = (b',"usage":null', b', "usage": null', b'"usage":null,', b'"usage": null, ')
_ENDS = ("response.completed", "response.incomplete", "response.failed", "message_stop")


class OversizedEventError(Exception):
    """The upstream sends an event without end."""


class StreamReader:
    """Fed with a stream's chunks; returns what to pass on.

    `strips_usage`: the usage was asked for by the gateway, not by the client, who gets the stream without it.
    """

    def __init__(self, *, strips_usage: bool) -> None:
        self._strips_usage = strips_usage
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._is_begun = False
        self._first: Mapping[str, Any] | None = None
        self._others: deque[Mapping[str, Any]] = deque(maxlen=MOST_TELLING)
        self._last_usage: Mapping[str, Any] | None = None
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._text_before: list[str] = []
        self.error: Mapping[str, Any] | None = None
        # The model has said its last word; its usage may still be on the way.
        self.is_finished = False
        self.is_complete = False
        # When the first of the answer's content came by (time.perf_counter), if it has.
        self.first_at: float | None = None

    @property
    def telling(self) -> list[Mapping[str, Any]]:
        """The decoded events, in their order: the first, what speaks of the end or an error, the last with usage."""
        found = [self._first, *self._others, self._last_usage]
        return [event for event in found if event is not None]

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk in; returns what the client gets of it, and of what was held back before."""
        passed = self._read_events(chunk)
        # Without anything to take out the client need not wait for an event to be whole.
        return passed if self._strips_usage else chunk

    def finish(self) -> bytes:
        """The stream has ended: what was held back, if it is the client's."""
        rest = b"".join(self._pending)
        self._pending.clear()
        passed = self._read(rest) if rest else b""
        return passed if self._strips_usage else b""

    def text(self) -> str:
        """What the kept events say, for counting."""
        self._fold_kept()
        return "".join(self._text_before)

    def _read_events(self, chunk: bytes) -> bytes:
        """What of the events that are whole now is the client's."""
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk)
            return b""
        data = b"".join((*self._pending, chunk)) if self._pending else chunk
        self._pending.clear()
        self._pending_bytes = 0
        passed: list[bytes] = []
        start = 0
        for blank in _BLANK.finditer(data):
            passed.append(self._read(data[start : blank.end()]))
            start = blank.end()
        if start < len(data):
            self._hold(data[start:])
        return _without_null_usage(b"".join(passed)) if self._strips_usage else b""

    def _hold(self, rest: bytes) -> None:
        self._pending_bytes += len(rest)
        if self._pending_bytes > MOST_EVENT_BYTES:
            raise OversizedEventError
        self._pending.append(rest)

    def _read(self, event: bytes) -> bytes:
        """Note what an event says. Returns what the client gets of it, when the usage in it is not for the client."""
        if not self._is_begun:
            self._is_begun = True
            lines = event.removeprefix(_BOM).splitlines()
        else:
            lines = event.splitlines()
        said = [line[5:].strip() for line in lines if line.startswith(b"data:")]
        if not said:
            return event
        data = said[0] if len(said) == 1 else b"\n".join(said)
        if data == _DONE:
            self.is_complete = True
            return event
        if self.first_at is None and (b"delta" in data or b'"text"' in data):
            self.first_at = time.perf_counter()
        # The first event says who answers.
        if self._first is None or _TELLING.search(data):
            return self._decode(data, event)
        self._keep(data)
        return event

    def _decode(self, data: bytes, event: bytes) -> bytes:
        self._keep(data)
        try:
            document = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return event
        if not isinstance(document, dict):
            return event
        usage = document.get("usage")
        self._note(document, usage)
        if not self._strips_usage or not isinstance(usage, dict):
            return event
        if not document.get("choices"):
            return b""
        return b"data: " + msgspec.json.encode({**document, "usage": None}) + b"\n\n"

    def _note(self, document: dict[str, Any], usage: Any) -> None:
        kind = document.get("type")
        self._note_error(document, kind)
        has_usage = isinstance(usage, dict)
        choices = document.get("choices")
        if isinstance(choices, list) and any(isinstance(one, dict) and one.get("finish_reason") for one in choices):
            self.is_finished = True
        if kind in _ENDS or (kind == "message_delta" and has_usage):
            self.is_complete = True
        elif kind is None and has_usage and (choices == [] or self.is_finished):
            # Some count in every event; that is the whole only behind or beside the last word.
            self.is_complete = True
        if self._first is None:
            self._first = document
        elif kind is None and has_usage:
            self._last_usage = document
        else:
            self._others.append(document)

    def _note_error(self, document: Mapping[str, Any], kind: Any) -> None:
        error = document.get("error")
        if isinstance(error, str) and error:
            error = {"message": error}
        if kind in ("error", "response.failed") or isinstance(error, dict):
            inner = document.get("response")
            said = error or (inner.get("error") if isinstance(inner, dict) else None)
            self.error = said if isinstance(said, dict) else document

    def _keep(self, data: bytes) -> None:
        if len(data) > MOST_KEPT_BYTES:
            return  # a whole response at the stream's end, whose parts were kept already
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._kept_bytes > MOST_KEPT_BYTES:
            self._fold_kept()

    def _fold_kept(self) -> None:
        self._text_before.extend(map(text_of, self._kept))
        self._kept.clear()
        self._kept_bytes = 0


def _without_null_usage(events: bytes) -> bytes:
    """Upstreams that are asked for usage also say in every other event that it is not there yet."""
    if b"usage" in events:
        for said in _NULL_USAGE:
            events = events.replace(said, b"")
    return events


def text_of(data: bytes) -> str:
    """What one event adds to the answer: text, reasoning and tool calls of every protocol; "" where nothing."""
    try:
        event = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(event, dict):
        return ""
    found: list[str] = []
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            _gather(choice.get("delta"), found)
            _gather(choice.get("text"), found)
    # A whole response repeats what its parts said.
    _gather(event.get("delta"), found)
    return "".join(found)


_WORDS = (
    "name", "content", "reasoning_content", "reasoning", "refusal", "text", "thinking", "partial_json", "arguments",
)  # fmt: skip
_PARTS = ("tool_calls", "function", "function_call")


def _gather(part: Any, found: list[str]) -> None:
    if isinstance(part, str):
        found.append(part)
    elif isinstance(part, dict):
        found.extend(part[name] for name in _WORDS if isinstance(part.get(name), str))
        for name in _PARTS:
            _gather(part.get(name), found)
    elif isinstance(part, list):
        for each in part:
            _gather(each, found)
