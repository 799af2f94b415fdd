"""The event document of the public contract: read from JSON, checked, and made a UsageEvent.

The HTTP door, the file import and whatever else speaks this document read it here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from metering.events import MAX_COUNT, UsageEvent
from metering.normalize import UsageError, extract, normalize
from metering.store.base import Problem

LONGEST_NAME = 200
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Milliseconds = Annotated[float, Meta(ge=0, le=MAX_COUNT)]

STATUSES = ("ok", "error", "rate_limited", "timeout", "cancelled")
MOST_TAGS = 32
LONGEST_TAG_NAME = 64
LONGEST_TAG = 200
MOST_FILES = 100
# Language models were not sold by the token before; an older time is a clock at zero or seconds taken for milliseconds.
EARLIEST = dt.datetime(2018, 1, 1, tzinfo=dt.UTC)
FUTURE_TOLERANCE = dt.timedelta(minutes=5)


class Chat(Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    title: Annotated[str, Meta(max_length=300)] | None = None


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    id: Name | None = None
    input_parts: dict[str, Count] | None = None
    output_parts: dict[str, Count] | None = None


class File(Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    name: Annotated[str, Meta(max_length=300)] | None = None
    size_bytes: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    tokens: Count | None = None


class EventDocument(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One event as a client writes it; api.md, "Ingestion". Like all made of JSON it holds no cycles to look for."""

    model: Name
    id: Name | None = None
    occurred_at: Annotated[dt.datetime, Meta(tz=True)] | None = None
    provider: Name | None = None
    endpoint: Name | None = None
    usage: dict[str, Any] | UnsetType | None = UNSET
    user: Name | None = None
    project: Name | None = None
    chat: Chat | None = None
    message: Message | None = None
    files: Annotated[list[File], Meta(max_length=MOST_FILES)] | None = None
    feature: Name | None = None
    tool: Name | None = None
    integration: Name | None = None
    end_user: Name | None = None
    status: str = "ok"
    error_code: Name | None = None
    duration_ms: Milliseconds | None = None
    time_to_first_token_ms: Milliseconds | None = None
    streamed: bool | None = None
    finish_reason: Name | None = None
    service_tier: Name | None = None
    tags: dict[str, str | int | float | bool | None] | None = None
    supersedes: Name | None = None


class LenientEventDocument(EventDocument, frozen=True, forbid_unknown_fields=False, gc=False):
    """The same, fields of other names ignored."""


KNOWN_FIELDS = frozenset(EventDocument.__struct_fields__)


class RefusedError(Exception):
    """An event that is understood and wrong."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, param)


def to_event(document: EventDocument, received_at: dt.datetime) -> tuple[UsageEvent, tuple[str, ...]]:
    """The event a document speaks of, and notes on contradictions inside its usage object. Raises RefusedError."""
    usage = document.usage
    is_error = document.status != "ok"
    if is_error and document.status not in STATUSES:
        raise RefusedError("invalid_status", f"status is one of {', '.join(STATUSES)}.", "status")
    service_tier, event_id, raw_usage = document.service_tier, document.id, None
    notes: tuple[str, ...] = ()
    counts = None
    if usage is UNSET:
        if not is_error:
            raise RefusedError(
                "missing_field", "usage is required unless status is an error; null says it is unknown.", "usage"
            )
    elif usage is not None:
        raw_usage, response_id, tier = _usage_in(usage)
        try:
            normalized = normalize(raw_usage, provider=document.provider, endpoint=document.endpoint)
        except UsageError as error:
            raise RefusedError(error.code, error.message, error.param) from error
        counts, notes = normalized.usage, normalized.notes
        event_id = event_id or response_id
        service_tier = service_tier or normalized.service_tier or tier
    if event_id is None:
        raise RefusedError("missing_field", "id is required: it is what makes a retry count once.", "id")
    chat, message, at = document.chat, document.message, document.occurred_at
    # By position, which is three times as fast as by name.
    event = UsageEvent(
        event_id,
        received_at if at is None else _checked_time(at, received_at),
        document.model,
        counts,
        document.provider,
        document.endpoint,
        raw_usage,
        document.user,
        document.project,
        chat.id if chat else None,
        (chat.title or None) if chat else None,
        message.id if message else None,
        document.feature,
        document.tool,
        document.integration,
        document.end_user,
        document.status,
        service_tier,
        False,  # estimated: not what a client reports
        _whole(document.duration_ms),
        _whole(document.time_to_first_token_ms),
        checked_tags(document.tags) if document.tags else None,
        _detail(document),
        document.supersedes,
        _body_hash(document),
    )
    return event, notes


_ANSWER_FIELDS = frozenset({"usage", "usageMetadata", "id", "responseId", "meta"})


def _usage_in(usage: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None, str | None]:
    """The usage object, and what a whole provider response given in its place says beside it."""
    if _ANSWER_FIELDS.isdisjoint(usage):
        return usage, None, None
    found = extract(usage)
    raw = found.raw_usage
    return (
        (usage if raw is None and "id" not in usage else dict(raw) if raw is not None else None),
        found.response_id,
        found.service_tier,
    )


def _whole(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else round(milliseconds)


def status_of_http(code: int) -> str:
    """One of STATUSES for the HTTP status a provider answered with."""
    if code < 400:
        return "ok"
    return {429: "rate_limited", 408: "timeout", 504: "timeout", 499: "cancelled"}.get(code, "error")


def fitting_id(text: str) -> str:
    """An id that another system made, as it is; one that is too long for us by its digest, always the same."""
    return text if len(text) <= LONGEST_NAME else hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _checked_time(occurred_at: dt.datetime, received_at: dt.datetime) -> dt.datetime:
    if occurred_at > received_at + FUTURE_TOLERANCE:
        raise RefusedError("time_in_future", "occurred_at is more than 5 minutes in the future.", "occurred_at")
    if occurred_at < EARLIEST:
        raise RefusedError(
            "time_too_early", f"occurred_at is before {EARLIEST:%Y}; is the clock or its unit wrong?", "occurred_at"
        )
    return occurred_at


def checked_tags(tags: dict[str, Any]) -> dict[str, str]:
    if len(tags) > MOST_TAGS:
        raise RefusedError("too_many_tags", f"An event has at most {MOST_TAGS} tags; this one has {len(tags)}.", "tags")
    checked: dict[str, str] = {}
    for name, value in tags.items():
        if value is None:
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if not 1 <= len(name) <= LONGEST_TAG_NAME or len(text) > LONGEST_TAG:
            raise RefusedError(
                "invalid_tag",
                f"A tag's name has 1 to {LONGEST_TAG_NAME} characters, its value at most {LONGEST_TAG}.",
                f"tags.{name[:LONGEST_TAG_NAME]}",
            )
        checked[name] = text
    return checked


def _detail(document: EventDocument) -> dict[str, Any] | None:
    """What only a page about this event shows. `chat_title` is here so that roll-ups can be made anew from events."""
    detail: dict[str, Any] = {}
    if document.chat and document.chat.title:
        detail["chat_title"] = document.chat.title
    if document.message:
        if document.message.input_parts:
            detail["input_parts"] = document.message.input_parts
        if document.message.output_parts:
            detail["output_parts"] = document.message.output_parts
    if document.files:
        detail["files"] = document.files
    if document.error_code:
        detail["error_code"] = document.error_code
    if document.streamed is not None:
        detail["streamed"] = document.streamed
    if document.finish_reason:
        detail["finish_reason"] = document.finish_reason
    return detail or None


def _body_hash(document: EventDocument) -> bytes:
    """Tells a retry from another event of the same id. A retry may have asked the clock again, so time is left out."""
    body = msgspec.structs.replace(document, occurred_at=None)
    return hashlib.blake2b(msgspec.json.encode(body, order="deterministic"), digest_size=16).digest()


def has_nul(value: Any) -> bool:
    """Whether a NUL character, which PostgreSQL cannot store, is anywhere in decoded JSON."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(has_nul(k) or has_nul(v) for k, v in value.items())
    if isinstance(value, list):
        return any(map(has_nul, value))
    return False
