"""Reading one value of a usage object: a count, a duration, a section, a word.

Normalizers test the usual case (plain ints within range) where they stand, several at once, because
a call per counter is most of what normalizing costs; what fails that test comes here to be judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from metering.events import MAX_COUNT
from metering.normalize.errors import UsageError

NOTHING: Mapping[str, Any] = {}

# Only counts share no bit with this mask: a negative int has all its high bits set, a too large one
# has one above the limit. `not (a | b | c) & OUT_OF_RANGE` therefore tests any number of ints at once.
OUT_OF_RANGE = ~MAX_COUNT


def count(value: object, param: str) -> int | None:
    """The count, None for null. Floats without a fraction are counts: some providers send 28.0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError("invalid_usage", f"{param} must be a whole number, not {_kind(value)}", param)
    if value < 0:
        raise UsageError("negative_tokens", f"{param} must not be negative", param)
    if value > MAX_COUNT:
        raise UsageError("too_large", f"{param} must not exceed {MAX_COUNT}", param)
    if isinstance(value, float) and not value.is_integer():
        raise UsageError("invalid_usage", f"{param} must be a whole number", param)
    return int(value)


def optional(value: object, param: str) -> int:
    """A detail's count; a detail that is null or absent counts nothing."""
    return count(value, param) or 0


def within(total: int, param: str) -> int:
    """A sum of counts, which may pass the limit that each of them keeps."""
    if total > MAX_COUNT:
        raise UsageError("too_large", f"{param} must not exceed {MAX_COUNT}", param)
    return total


def milliseconds(seconds: object, param: str) -> int:
    """A duration in seconds, fractional or not, as whole milliseconds."""
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise UsageError("invalid_usage", f"{param} must be a number of seconds, not {_kind(seconds)}", param)
    if isinstance(seconds, float) and math.isnan(seconds):
        raise UsageError("invalid_usage", f"{param} must be a number of seconds", param)
    if seconds < 0:
        raise UsageError("negative_tokens", f"{param} must not be negative", param)
    if seconds > MAX_COUNT / 1000:
        raise UsageError("too_large", f"{param} must not exceed {MAX_COUNT} milliseconds", param)
    return round(seconds * 1000)


def section(value: object, param: str) -> Mapping[str, Any]:
    """A nested object; null and absent are empty."""
    if value is None:
        return NOTHING
    if not isinstance(value, Mapping):
        raise UsageError("invalid_usage", f"{param} must be an object, not {_kind(value)}", param)
    return value


def sections(value: object, param: str) -> list[Mapping[str, Any]]:
    """A list of nested objects; null and absent are empty."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise UsageError("invalid_usage", f"{param} must be a list, not {_kind(value)}", param)
    return [section(item, f"{param}[{index}]") for index, item in enumerate(value)]


def word(value: object) -> str | None:
    """A tier or a reason in the provider's own word; anything but a filled string is none."""
    return value if isinstance(value, str) and value else None


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return "null" if value is None else "a number"
