"""What one metered model call is, before and after it is priced.

Every door produces `UsageEvent`; normalization fills `Usage`; rating adds `Rated`.
All are immutable: a changed event is a new event that supersedes the old one.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

PROMPT_BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input")
COMPLETION_BUCKETS = ("output", "reasoning", "audio_output", "image_output")
BUCKETS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning",
    "audio_input", "audio_output", "image_input", "image_output",
)  # fmt: skip
UNITS = ("web_searches", "images", "media_ms")

# A count beyond this is a client's mistake, not a model call; it is also what one column holds.
MAX_COUNT = 2**31 - 1


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Disjoint token buckets and counted units of one call.

    Buckets are tokens; each token is in exactly one bucket, so that their sum is the
    provider's total. `media_ms` is audio or video charged by duration, in milliseconds.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    web_searches: int = 0
    images: int = 0
    media_ms: int = 0

    @property
    def prompt_tokens(self) -> int:
        return (
            self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
            + self.audio_input + self.image_input
        )  # fmt: skip

    @property
    def completion_tokens(self) -> int:
        return self.output + self.reasoning + self.audio_output + self.image_output

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Normalized(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's usage object in our buckets.

    `usage` is None when the provider said nothing (null or absent counts): unknown, never 0.
    `notes` names every disagreement found inside the provider's object, in words for a person.
    """

    usage: Usage | None
    service_tier: str | None = None
    notes: tuple[str, ...] = ()


class UsageEvent(msgspec.Struct, frozen=True, gc=False):
    """One call as a door understood it. `raw_usage` is what the provider said, unchanged.

    The document's door fills it by position (metering/ingest/document.py); elsewhere use names.
    """

    event_id: str
    occurred_at: dt.datetime
    model: str
    usage: Usage | None
    provider: str | None = None
    endpoint: str | None = None
    raw_usage: Any = None
    user: str | None = None
    project: str | None = None
    chat: str | None = None
    chat_title: str | None = None
    message: str | None = None
    feature: str | None = None
    tool: str | None = None
    integration: str | None = None
    end_user: str | None = None
    status: str = "ok"
    service_tier: str | None = None
    is_estimated: bool = False
    duration_ms: int | None = None
    time_to_first_token_ms: int | None = None
    tags: dict[str, str] | None = None
    # What only a page about this very event shows: message parts, files, error code, finish reason, streamed.
    detail: dict[str, Any] | None = None
    supersedes: str | None = None
    body_hash: bytes = b""
