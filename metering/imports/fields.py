"""What a column can be mapped to, and how its text becomes the field's value."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from metering.ingest.document import STATUSES, status_of_http

TEXTS = (
    "id", "model", "provider", "endpoint", "user", "project", "chat.id", "chat.title", "message.id", "feature", "tool",
    "integration", "end_user", "error_code", "finish_reason", "service_tier", "supersedes",
)  # fmt: skip
OBJECTS = ("usage", "chat", "message", "files", "tags")
# Prefixes whose last part the file names.
OPEN = ("usage.", "tags.", "message.input_parts.", "message.output_parts.")

# Fields of the import alone, turned into fields of the document.
OCCURRED_MS = "occurred_at_ms"
DURATION_S = "duration_s"
FIRST_TOKEN_S = "time_to_first_token_s"  # noqa: S105
ENDED_AT = "ended_at"
FIRST_TOKEN_AT = "first_token_at"  # noqa: S105
IS_BATCH = "is_batch"
REQUESTS = "requests"
MOST_REQUESTS = 100_000
EXTRA = {
    OCCURRED_MS: "when the call began, in milliseconds",
    DURATION_S: "how long the call took, in seconds",
    FIRST_TOKEN_S: "until the first token, in seconds",
    ENDED_AT: "when the call ended; the duration follows",
    FIRST_TOKEN_AT: "when the first token came",
    IS_BATCH: "true for the batch service tier",
    REQUESTS: "how many calls the row sums up",
}
_MEASURED = ("duration_ms", "time_to_first_token_ms", DURATION_S, FIRST_TOKEN_S)
_TIMES = ("occurred_at", ENDED_AT, FIRST_TOKEN_AT)
FIELDS = ("occurred_at", *TEXTS, "status", "streamed", *_MEASURED[:2], *EXTRA, *OBJECTS)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# A count of seconds since 1970 up to here; then milliseconds, microseconds, nanoseconds.
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (float("inf"), 1e9))
# Lower than any time of interest: seconds that count from another start than 1970.
SMALLEST_EPOCH = 1e8
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_STATUS_WORDS = {
    "ok": "ok", "success": "ok", "succeeded": "ok", "successful": "ok", "completed": "ok", "default": "ok",
    "debug": "ok", "warning": "ok", "error": "error", "failure": "error", "failed": "error", "fail": "error",
    "rate_limited": "rate_limited", "rate_limit": "rate_limited", "ratelimited": "rate_limited",
    "timeout": "timeout", "timed_out": "timeout", "cancelled": "cancelled", "canceled": "cancelled",
}  # fmt: skip
_USAGE_WORDS = frozenset({"service_tier", "type", "traffictype", "trafficType", "inference_geo"})


class CellError(Exception):
    """A cell that does not hold what its field needs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Clock(msgspec.Struct, frozen=True):
    """How the file's times are to be read."""

    zone: ZoneInfo
    start: dt.datetime | None = None


Convert = Callable[[Any, Clock], Any]


def unknown_field(field: str) -> str | None:
    """Why this is no field, or None."""
    if field in FIELDS or any(field.startswith(prefix) and len(field) > len(prefix) for prefix in OPEN):
        return None
    near = difflib.get_close_matches(field, FIELDS, n=1)
    hint = f" Is it {near[0]}?" if near else f" Fields: {', '.join(FIELDS)}, usage.…, tags.…"
    return f"There is no field {field}.{hint}"


def converter(field: str) -> Convert:
    if field in _TIMES:
        return time
    if field == OCCURRED_MS:
        return time_in_ms
    if field in _MEASURED:
        return number
    if field in ("streamed", IS_BATCH):
        return truth
    if field == "status":
        return status
    if field == REQUESTS or field.startswith("message."):
        return text if field == "message.id" else count
    if field.startswith("usage."):
        return text if field.rpartition(".")[2] in _USAGE_WORDS else usage_count
    if field in OBJECTS:
        return structure
    return text


def text(value: Any, _clock: Clock) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise CellError("invalid_text", "This is no text.")


def count(value: Any, _clock: Clock) -> int:
    """A whole number; "16564.0", as programs that know only floats write it, is one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    as_float = _float(value)
    if isinstance(value, str) and as_float is not None:
        try:
            return int(value)
        except ValueError:
            pass
    if as_float is None or not as_float.is_integer():
        raise CellError("invalid_count", "This is no whole number.")
    return int(as_float)


def usage_count(value: Any, clock: Clock) -> Any:
    """A count, seconds with a fraction, or a part of the provider's object as it is."""
    if isinstance(value, dict | list):
        return value
    try:
        return count(value, clock)
    except CellError:
        as_float = _float(value)
        if as_float is None:
            raise
        return as_float


def number(value: Any, _clock: Clock) -> float:
    as_float = _float(value)
    if as_float is None:
        raise CellError("invalid_number", "This is no number.")
    return as_float


def truth(value: Any, _clock: Clock) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise CellError("invalid_truth", "This is neither true nor false.")


def status(value: Any, _clock: Clock) -> str:
    """Our words, other tools' words for them, and HTTP status codes."""
    word = str(value).strip().lower()
    if word.isascii() and word.isdigit():
        code = int(word)
        if 100 <= code < 600:
            return status_of_http(code)
    known = _STATUS_WORDS.get(word)
    if known is None:
        raise CellError("invalid_status", f"status is one of {', '.join(STATUSES)}, or an HTTP status code.")
    return known


def structure(value: Any, _clock: Clock) -> Any:
    if isinstance(value, dict | list):
        return value
    try:
        decoded = msgspec.json.decode(value)
    except (msgspec.DecodeError, TypeError, UnicodeError):
        decoded = None
    if not isinstance(decoded, dict | list):
        raise CellError("invalid_json", "This is no JSON object.")
    return decoded


def time(value: Any, clock: Clock) -> dt.datetime:
    """ISO 8601, or a number: seconds after the start where there is one, else since 1970 in the unit its size tells."""
    seconds = _float(value)
    if seconds is not None:
        return _from_number(seconds, clock.start)
    if not isinstance(value, str):
        raise CellError("invalid_time", "This is no time.")
    plain = value.strip()
    if plain.endswith((" UTC", " GMT")):
        plain = plain[:-4] + "Z"
    try:
        moment = dt.datetime.fromisoformat(plain)
    except ValueError:
        raise CellError(
            "invalid_time", "This is no time that reads the same everywhere: write 2026-11-21T12:00:00Z."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=clock.zone)
    return moment.astimezone(dt.UTC)


def time_in_ms(value: Any, clock: Clock) -> dt.datetime:
    """Milliseconds after the start, or since 1970; what no size tells."""
    milliseconds = _float(value)
    if milliseconds is None:
        raise CellError("invalid_time", "This is no number of milliseconds.")
    return _from_number(milliseconds / 1000, clock.start or _EPOCH)


def _from_number(seconds: float, start: dt.datetime | None) -> dt.datetime:
    try:
        if start is not None:
            return (start + dt.timedelta(seconds=seconds)).astimezone(dt.UTC)
        for limit, per_second in _UNITS:
            if abs(seconds) < limit:
                return _EPOCH + dt.timedelta(seconds=seconds / per_second)
    except (OverflowError, ValueError):
        pass
    raise CellError("invalid_time", "This number is no time.")


def _float(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and "_" in value:
        return None  # Python would take 1_000
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if found - found == 0 else None
