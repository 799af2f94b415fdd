"""What every usage store takes and gives; metering/store/postgres.py is the first of them."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

# Organization and key: what an event is known by.
Address = tuple[int, bytes]


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """One rated event as a row. Fields are in the columns' order, and metering/pipeline.py fills them by position.

    References of 0 mean "none". Times are microseconds, days are days, both since 2000-01-01 UTC.
    `hour`, `day` and `month` are where the event lands in the organization's zone.
    """

    organization_id: int
    occurred_at: int
    key: bytes
    received_at: int
    cost_nanos: int | None
    input_cost_nanos: int | None
    output_cost_nanos: int | None
    project_id: int
    team_id: int
    department_id: int
    member_id: int
    api_key_id: int
    model_id: int
    provider_id: int
    endpoint_id: int
    feature_id: int
    tool_id: int
    integration_id: int
    status_id: int
    user_id: int
    end_user_id: int
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    reasoning: int
    audio_input: int
    audio_output: int
    image_input: int
    image_output: int
    web_searches: int
    images: int
    media_ms: int
    price_version_id: int
    duration_ms: int | None
    time_to_first_token_ms: int | None
    pricing: int
    is_error: bool
    is_estimated: bool
    is_usage_known: bool
    event_id: str
    price_rule: str
    service_tier: str | None
    chat: str | None
    message: str | None
    tags: bytes | None
    raw_usage: bytes | None
    detail: bytes | None
    # Only on the way in: the place in the roll-ups, and what tells a duplicate from a conflict.
    hour: int
    day: int
    month: int
    chat_title: str | None
    body_hash: bytes
    supersedes: bytes | None = None


class Outcome(enum.StrEnum):
    CREATED = "created"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    INVALID = "invalid"
    # What a door took and did not record, because it is no call to a model.
    IGNORED = "ignored"


class Problem(msgspec.Struct, frozen=True):
    """Why an event was not stored: `code` for programs, `message` for people, `param` names the field."""

    code: str
    message: str
    param: str | None = None


class Appended(msgspec.Struct, frozen=True):
    """What became of one event of a batch."""

    outcome: Outcome
    problem: Problem | None = None


CREATED = Appended(Outcome.CREATED)
DUPLICATE = Appended(Outcome.DUPLICATE)
CONFLICT = Appended(
    Outcome.CONFLICT,
    Problem(
        "event_conflict", "An event with this id is already stored with another body. The stored one stands.", "id"
    ),
)


def jsonb(value: Any) -> bytes | None:
    """JSON as PostgreSQL's binary jsonb takes it: a version byte, then the text."""
    return None if value is None else b"\x01" + msgspec.json.encode(value)
