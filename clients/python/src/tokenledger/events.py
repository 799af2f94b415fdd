"""One tracked call as the document that POST /v1/events takes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, Optional, Union

from tokenledger.dimensions import Dimensions, check, merge


class EventFields(Dimensions, total=False):
    """What an event may say beside its model and usage. Durations are milliseconds."""

    id: Optional[str]
    occurred_at: Union[dt.datetime, str, None]
    provider: Optional[str]
    endpoint: Optional[str]
    status: Optional[str]
    error_code: Optional[str]
    duration_ms: Optional[float]
    time_to_first_token_ms: Optional[float]
    streamed: Optional[bool]
    finish_reason: Optional[str]
    service_tier: Optional[str]
    supersedes: Optional[str]


NAMES = frozenset({*EventFields.__annotations__, *Dimensions.__annotations__})


def make_event(model: str, usage: Any, context: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The event, with an id and a time of its own unless given, so that sending it again is the same event.

    Raises TypeError for unknown fields and for usage that is no object, ValueError for a time without an offset.
    """
    check(fields, NAMES)
    event = merge(context, fields)
    event["id"] = event.get("id") or uuid.uuid4().hex
    event["model"] = model
    event["usage"] = as_object(usage)
    event["occurred_at"] = _instant(event.get("occurred_at"))
    return event


def as_object(usage: Any) -> Optional[Mapping[str, Any]]:
    """A usage object as JSON knows it: a mapping as it is, an SDK's model as what the provider sent."""
    if usage is None or isinstance(usage, Mapping):
        return usage
    dump = getattr(usage, "model_dump", None)
    if dump is None:
        raise TypeError(f"usage is a mapping, an SDK's usage object or None, not {type(usage).__name__}")
    # Only what the provider said: a field the SDK added as None is no count.
    dumped: Mapping[str, Any] = dump(mode="json", exclude_unset=True)
    return dumped


def _instant(at: Union[dt.datetime, str, None]) -> str:
    if at is None:
        return dt.datetime.now(dt.timezone.utc).isoformat()
    if isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise ValueError("occurred_at needs an offset from UTC, as datetime.now(timezone.utc) has")
    return at.isoformat()
