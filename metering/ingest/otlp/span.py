"""A span as far as the ledger looks at it, whichever encoding brought it."""

from __future__ import annotations

from typing import Any

import msgspec


class Span(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ids are lower-case hex, times nanoseconds since 1970; attributes are only those in attributes.py."""

    trace_id: str
    span_id: str
    parent_id: str
    scope: str
    started_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    is_error: bool
    first_token_ns: int | None = None
