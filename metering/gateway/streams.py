"""Server-sent events on their way through: passed on as they come, and read for what they say of usage.

Works on bytes: a character split between two chunks is nobody's business here. Of the events only those are decoded
that speak of usage, an error or the end; the others are kept a while, unread, for the case that the stream breaks off
and what was generated must be counted from its text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

# What is kept of a stream to count by, if it breaks off. Longer ones are counted by the piece.
MOST_KEPT_BYTES = 256 * 1024
# An event of this size without an end is none that a model sends.
MOST_EVENT_BYTES = 32 * 1024 * 1024

_DONE = b"[DONE]"
# What ends an event.
_BLANK = re.compile(rb"\n\r?\n")
# What makes an event worth decoding. Quotes inside of a JSON string are escaped, so these are always names.
_TELLING = re.compile(rb'"usage":(?! ?null)|"error"|"finish_reason": ?"')

_NULL_USAGE = (b',"usage":null', b', "usage": null', b'"usage":null,', b'"usage": null, ')
_ENDS = ("response.completed", "response.incomplete", "response.failed")


class OversizedEventError(Exception):
    """The upstream sends an event without end."""


class StreamReader:
    """Fed with a stream's chunks; returns what to pass on.

    `strips_usage`: the usage was asked for by the gateway, not by the client, who gets the stream without it.
    """

    def __init__(self, *, strips_usage: bool) -> None:
        self._strips_usage = strips_usage
        self._pending = b""
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._text_before: list[str] = []
        self.telling: list[Mapping[str, Any]] = []
        self.error: Mapping[str, Any] | None = None
        self.is_complete = False
        # When the first of the answer's content came by (time.perf_counter), if it has.
        self.first_at: float | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk in; returns what the client gets of it, and of what was held back before."""
        if self._strips_usage:
            return self._feed_events(chunk)
        # Whole lines are enough to read by, and the client need not wait for them.
        lines, end, rest = (self._pending + chunk if self._pending else chunk).rpartition(b"\n")
        self._hold(rest)
        if end:
            for line in lines.split(b"\n"):
                self._read(line)
        return chunk

    def finish(self) -> bytes:
        """The stream has ended: what was held back, if it is the client's."""
        rest, self._pending = self._pending, b""
        keeps = True
        for line in rest.split(b"\n"):
            keeps = self._read(line) and keeps
        return rest if self._strips_usage and keeps else b""

    def text(self) -> str:
        """What the kept events say, for counting."""
        self._fold_kept()
        return "".join(self._text_before)

    def _feed_events(self, chunk: bytes) -> bytes:
        """Event by event, as a client must not see the beginning of one that is not for it."""
        data = self._pending + chunk if self._pending else chunk
        passed: list[bytes] = []
        start = 0
        for blank in _BLANK.finditer(data):
            event = data[start : blank.end()]
            start = blank.end()
            keeps = True
            for line in event.split(b"\n"):
                keeps = self._read(line) and keeps
            if keeps:
                passed.append(event)
        self._hold(data[start:])
        return _without_null_usage(b"".join(passed))

    def _hold(self, rest: bytes) -> None:
        if len(rest) > MOST_EVENT_BYTES:
            raise OversizedEventError
        self._pending = rest

    def _read(self, line: bytes) -> bool:
        """Note what a line says; False when it only carries usage that the client did not ask for."""
        if not line.startswith(b"data:"):
            return True
        data = line[5:].strip()
        if data == _DONE:
            self.is_complete = True
            return True
        if self.first_at is None and (b"delta" in data or b'"text"' in data):
            self.first_at = time.perf_counter()
        # The first event says who answers.
        if not self.telling or _TELLING.search(data):
            return self._decode(data)
        self._keep(data)
        return True

    def _decode(self, data: bytes) -> bool:
        try:
            event = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._keep(data)
            return True
        if not isinstance(event, dict):
            return True
        kind = event.get("type")
        error = event.get("error")
        if isinstance(error, str):
            error = {"message": error}
        if kind in ("error", "response.failed") or isinstance(error, dict):
            inner = event.get("response")
            said = error or (inner.get("error") if isinstance(inner, dict) else None)
            self.error = said if isinstance(said, dict) else event
        usage = event.get("usage")
        if kind in _ENDS or kind == "message_delta" or (isinstance(usage, dict) and kind is None):
            self.is_complete = True
        self.telling.append(event)
        self._keep(data)
        return not (self._strips_usage and isinstance(usage, dict) and event.get("choices") == [])

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
