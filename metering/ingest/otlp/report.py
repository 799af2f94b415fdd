"""What one span, or several of the same call taken together, say of a model call."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import msgspec

from metering.events import MAX_COUNT, Usage, UsageEvent
from metering.ingest.document import MOST_TAGS
from metering.ingest.otlp.usage import Source

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Rank(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Which of several reports speaks first: the best source, the most details, the outermost span."""

    source: int
    told: int
    started_before: int
    lasted_us: int


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times are microseconds since 1970. None is unsaid, and filled from another report of the same call."""

    rank: Rank
    started_us: int
    ended_us: int
    operation: str
    status: str = "ok"
    model: str | None = None
    usage: Usage | None = None
    raw_usage: dict[str, Any] | None = None
    provider: str | None = None
    endpoint: str | None = None
    project: str | None = None
    user: str | None = None
    end_user: str | None = None
    chat: str | None = None
    chat_title: str | None = None
    message: str | None = None
    feature: str | None = None
    tool: str | None = None
    integration: str | None = None
    service_tier: str | None = None
    time_to_first_token_ms: int | None = None
    streamed: bool | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    tags: dict[str, str] = {}

    @property
    def has_usage(self) -> bool:
        return self.rank.source > Source.NOWHERE


_SAID_ONCE = ("rank", "started_us", "ended_us", "operation", "status", "usage", "raw_usage", "error_code", "tags")
_FILLED = tuple(name for name in Report.__struct_fields__ if name not in _SAID_ONCE)
# What another report of the same call may add that is worth a correction of an event that is stored already.
_WORTH_CORRECTING = (
    "usage", "status", "model", "provider", "project", "user", "end_user", "chat", "message", "feature", "tool",
    "integration", "service_tier",
)  # fmt: skip


def merge(one: Report, other: Report) -> Report:
    """Both together: tokens and outcome are the better one's, whatever it does not say is the other's."""
    first, second = (one, other) if one.rank >= other.rank else (other, one)
    filled = {name: getattr(second, name) for name in _FILLED if getattr(first, name) is None}
    tags = second.tags | first.tags
    return msgspec.structs.replace(
        first,
        started_us=min(one.started_us, other.started_us),
        ended_us=max(one.ended_us, other.ended_us),
        # An attempt that failed is no reason to call a call failed that gave an answer.
        error_code=(first.error_code or second.error_code) if first.status != "ok" else None,
        tags=dict(sorted(tags.items())[:MOST_TAGS]),
        **filled,
    )


def is_improved(stored: Report, merged: Report) -> bool:
    return any(getattr(stored, name) != getattr(merged, name) for name in _WORTH_CORRECTING)


def to_event(report: Report, event_id: str, supersedes: str | None) -> UsageEvent:
    lasted_ms = round((report.ended_us - report.started_us) / 1000)
    return UsageEvent(
        event_id=event_id,
        occurred_at=_EPOCH + dt.timedelta(microseconds=report.started_us),
        model=report.model or UNKNOWN_MODEL,
        usage=report.usage,
        provider=report.provider,
        endpoint=report.endpoint or report.operation,
        raw_usage=report.raw_usage,
        user=report.user,
        project=report.project,
        chat=report.chat,
        chat_title=report.chat_title if report.chat else None,
        message=report.message,
        feature=report.feature,
        tool=report.tool,
        integration=report.integration,
        end_user=report.end_user,
        status=report.status,
        service_tier=report.service_tier,
        duration_ms=min(lasted_ms, MAX_COUNT),
        time_to_first_token_ms=report.time_to_first_token_ms,
        tags=report.tags or None,
        detail=_detail(report),
        supersedes=supersedes,
        body_hash=hashlib.blake2b(msgspec.json.encode(report, order="deterministic"), digest_size=16).digest(),
    )


# A call is not lost because its span does not name the model; nothing is priced under this name.
UNKNOWN_MODEL = "unknown"


def _detail(report: Report) -> dict[str, Any] | None:
    detail = {
        "chat_title": report.chat_title if report.chat else None,
        "error_code": report.error_code,
        "streamed": report.streamed,
        "finish_reason": report.finish_reason,
    }
    return {name: said for name, said in detail.items() if said is not None} or None
