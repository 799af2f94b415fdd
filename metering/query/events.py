"""Single events: found by time and filters, or by id; with what they superseded and what superseded them."""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import connection

from core.errors import ApiError
from core.pagination import decode_cursor, encode_cursor
from metering.dimensions import DIMENSIONS
from metering.events import BUCKETS, Usage
from metering.pipeline import event_key
from metering.pricing.rate import Pricing
from metering.pricing.receipt import RatedCall, Receipt, make_receipt
from metering.pricing.versions import load_versions
from metering.query.event_sql import WITH_AUDIO, Statement, event_conditions
from metering.query.labels import GroupValue, name_refs, resolve_filters
from metering.query.spec import FilterValue

_REFERENCES = tuple(dimension.column for dimension in DIMENSIONS.values())
_USAGE = (*BUCKETS, "web_searches", "images", "media_ms")
_PLAIN = (
    "occurred_at", "key", "received_at", "event_id", "cost_nanos", "input_cost_nanos", "output_cost_nanos", "pricing",
    "price_rule", "price_version_id", "is_error", "is_estimated", "is_usage_known", "duration_ms",
    "time_to_first_token_ms", "service_tier", "chat", "message", "tags", "detail", "superseded_by",
)  # fmt: skip


class EventRow(msgspec.Struct, kw_only=True):
    """An event as it is stored, its references named. `names` has every dimension of metering/dimensions.py."""

    occurred_at: dt.datetime
    key: uuid.UUID
    received_at: dt.datetime
    event_id: str
    usage: Usage | None
    cost_nanos: int | None
    input_cost_nanos: int | None
    output_cost_nanos: int | None
    pricing: Pricing
    price_rule: str
    price_version_id: int
    is_error: bool
    is_estimated: bool
    duration_ms: int | None
    time_to_first_token_ms: int | None
    service_tier: str | None
    chat: str | None
    message: str | None
    tags: dict[str, str]
    detail: dict[str, Any]
    names: dict[str, GroupValue]
    superseded_by: str | None
    # Only of a single event.
    supersedes: str | None = None
    raw_usage: Any = None


class EventPage(msgspec.Struct, frozen=True):
    rows: list[EventRow]
    next_cursor: str | None


def list_events(
    organization_id: int,
    start: dt.datetime,
    end: dt.datetime,
    filters: dict[str, tuple[FilterValue, ...]],
    *,
    limit: int,
    cursor: str | None = None,
    pricing: Pricing | None = None,
    with_superseded: bool = False,
    with_audio: bool = False,
) -> EventPage:
    """One page of events of [start, end), newest first. Needs the organization's scope."""
    where = [
        Statement("organization_id = %s AND occurred_at >= %s AND occurred_at < %s", [organization_id, start, end]),
        *event_conditions(resolve_filters(organization_id, filters), (start, end)),
    ]
    if not with_superseded:
        where.append(Statement("superseded_by IS NULL", []))
    if pricing is not None:
        where.append(Statement("pricing = %s", [int(pricing)]))
    if with_audio:
        where.append(Statement(WITH_AUDIO, []))
    if cursor:
        where.append(Statement("(occurred_at, key) < (%s, %s)", decode_cursor(cursor, [_read_time, _read_key])))
    rows = _select(organization_id, where, limit + 1)
    following = None
    if len(rows) > limit:
        rows.pop()
        following = encode_cursor([rows[-1].occurred_at, str(rows[-1].key)])
    return EventPage(rows, following)


def find_event(organization_id: int, event_id: str, filters: dict[str, tuple[FilterValue, ...]]) -> EventRow:
    """One event with everything known of it. Raises ApiError 404. Needs the organization's scope."""
    key = uuid.UUID(bytes=event_key(event_id))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT occurred_at FROM metering_event_key WHERE organization_id = %s AND key = %s", [organization_id, key]
        )
        placed = cursor.fetchone()
    where = [
        Statement("organization_id = %s AND key = %s", [organization_id, key]),
        Statement("occurred_at = %s", list(placed or [None])),
        *event_conditions(resolve_filters(organization_id, filters)),
    ]
    rows = _select(organization_id, where, 1) if placed else []
    if not rows:
        raise ApiError(404, "not_found", "There is no event with this id.")
    row = rows[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT raw_usage FROM metering_event WHERE organization_id = %s AND occurred_at = %s AND key = %s",
            [organization_id, row.occurred_at, key],
        )
        row.raw_usage = _decoded(cursor.fetchall()[0][0])
        cursor.execute(
            "SELECT event_id FROM metering_event WHERE organization_id = %s AND superseded_by = %s",
            [organization_id, key],
        )
        predecessor = cursor.fetchone()
    row.supersedes = predecessor[0] if predecessor else None
    return row


def events_by_id(organization_id: int, event_ids: Sequence[str]) -> dict[str, EventRow]:
    """Those of the events that there are, by their ids. Needs the organization's scope."""
    if not event_ids:
        return {}
    keys = [uuid.UUID(bytes=event_key(event_id)) for event_id in event_ids]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT occurred_at FROM metering_event_key WHERE organization_id = %s AND key = ANY(%s)",
            [organization_id, keys],
        )
        times = [at for (at,) in cursor.fetchall()]
    where = [
        Statement("organization_id = %s AND occurred_at = ANY(%s)", [organization_id, times]),
        Statement("key = ANY(%s)", [keys]),
    ]
    return {row.event_id: row for row in _select(organization_id, where, len(keys))}


def receipt_of(row: EventRow) -> Receipt:
    """How the event came to its cost, from the very version it was rated at."""
    return make_receipt(
        RatedCall(
            occurred_at=row.occurred_at,
            usage=row.usage,
            pricing=row.pricing,
            cost_nanos=row.cost_nanos,
            price_version_id=row.price_version_id or None,
            rule=row.price_rule,
            service_tier=row.service_tier,
            duration_ms=row.duration_ms,
        ),
        load_versions([row.price_version_id]).get(row.price_version_id) if row.price_version_id else None,
    )


# ── Rows ──


def _select(organization_id: int, where: Sequence[Statement], limit: int) -> list[EventRow]:
    columns = (*_PLAIN, *_REFERENCES, *_USAGE)
    conditions = " AND ".join(part.sql for part in where)
    sql = (
        f"SELECT {', '.join(columns)} FROM metering_event WHERE {conditions}"
        " ORDER BY occurred_at DESC, key DESC LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*(param for part in where for param in part.params), limit])
        found = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
    refs = {d.name: {row[d.column] for row in found} for d in DIMENSIONS.values()}
    names = name_refs(organization_id, refs)
    successors = _ids_of(organization_id, [row["superseded_by"] for row in found if row["superseded_by"]])
    return [_row(row, names, successors) for row in found]


def _row(row: dict[str, Any], names: dict[str, dict[int, GroupValue]], successors: dict[uuid.UUID, str]) -> EventRow:
    usage = Usage(**{name: row[name] for name in _USAGE})
    return EventRow(
        occurred_at=row["occurred_at"],
        key=row["key"],
        received_at=row["received_at"],
        event_id=row["event_id"],
        # Unknown, or an error that never had any.
        usage=None if not row["is_usage_known"] or (row["is_error"] and usage == Usage()) else usage,
        cost_nanos=row["cost_nanos"],
        input_cost_nanos=row["input_cost_nanos"],
        output_cost_nanos=row["output_cost_nanos"],
        pricing=Pricing(row["pricing"]),
        price_rule=row["price_rule"],
        price_version_id=row["price_version_id"],
        is_error=row["is_error"],
        is_estimated=row["is_estimated"],
        duration_ms=row["duration_ms"],
        time_to_first_token_ms=row["time_to_first_token_ms"],
        service_tier=row["service_tier"],
        chat=row["chat"],
        message=row["message"],
        tags=_decoded(row["tags"]) or {},
        detail=_decoded(row["detail"]) or {},
        names={d.name: names[d.name][row[d.column]] for d in DIMENSIONS.values()},
        superseded_by=successors.get(row["superseded_by"]),
    )


_IDS = """
SELECT k.key, e.event_id FROM metering_event_key k
JOIN metering_event e ON e.organization_id = k.organization_id AND e.occurred_at = k.occurred_at AND e.key = k.key
WHERE k.organization_id = %s AND k.key = ANY(%s)
"""


def _ids_of(organization_id: int, keys: list[uuid.UUID]) -> dict[uuid.UUID, str]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_IDS, [organization_id, keys])
        return dict(cursor.fetchall())


def _decoded(value: Any) -> Any:
    """jsonb arrives as text."""
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


def _read_time(value: Any) -> dt.datetime:
    at = dt.datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at


def _read_key(value: Any) -> uuid.UUID:
    if not isinstance(value, str):
        raise TypeError("not a key")
    return uuid.UUID(value)
