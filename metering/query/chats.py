"""Chats: each with its title, when it was first and last spoken in, and all its figures."""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from django.db import connection

from core.pagination import decode_cursor, encode_cursor
from metering.query.labels import resolve_filters
from metering.query.metrics import Figures
from metering.query.spec import FilterValue
from metering.query.sql import Statement, event_conditions
from metering.store.rollups import MEASURES


class ChatRow(msgspec.Struct, frozen=True):
    chat: str
    title: str | None
    first_at: dt.datetime
    last_at: dt.datetime
    figures: Figures


class ChatPage(msgspec.Struct, frozen=True):
    rows: list[ChatRow]
    next_cursor: str | None


def list_chats(
    organization_id: int,
    start: dt.datetime,
    end: dt.datetime,
    filters: dict[str, tuple[FilterValue, ...]],
    *,
    limit: int | None = None,
    cursor: str | None = None,
) -> ChatPage:
    """Chats last spoken in during [start, end), newest first. Needs the organization's scope.

    A chat's figures are those of its whole life; filters leave out events, and with them chats that have no other.
    """
    chats = _from_events(organization_id, filters) if filters else _from_rollup(organization_id)
    where, given = ["last_at >= %s AND last_at < %s"], [*chats.params, start, end]
    if cursor:
        where.append('(last_at, chat COLLATE "C") < (%s, %s)')
        given += decode_cursor(cursor, [_read_time, _read_chat])
    sql = (
        f"WITH chats AS ({chats.sql}) SELECT chat, title, first_at, last_at, {', '.join(MEASURES)} FROM chats"
        f' WHERE {" AND ".join(where)} ORDER BY last_at DESC, chat COLLATE "C" DESC'
    )
    if limit is not None:
        sql += " LIMIT %s"
        given.append(limit + 1)
    with connection.cursor() as database:
        database.execute(sql, given)
        rows = [ChatRow(row[0], row[1], row[2], row[3], Figures(*row[4:])) for row in database.fetchall()]
    following = None
    if limit is not None and len(rows) > limit:
        rows.pop()
        following = encode_cursor([rows[-1].last_at, rows[-1].chat])
    return ChatPage(rows, following)


def _from_rollup(organization_id: int) -> Statement:
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in MEASURES)
    newest = "(array_agg(title ORDER BY titled_at DESC, title DESC) FILTER (WHERE title IS NOT NULL))[1]"
    return Statement(
        f"SELECT chat, {newest} AS title, min(first_at) AS first_at, max(last_at) AS last_at, {sums}"
        " FROM metering_usage_chat WHERE organization_id = %s GROUP BY chat",
        [organization_id],
    )


def _from_events(organization_id: int, filters: dict[str, tuple[FilterValue, ...]]) -> Statement:
    sums = ", ".join(f"sum({expression})::bigint AS {name}" for name, expression in MEASURES.items())
    title = "detail ->> 'chat_title'"
    newest = f"(array_agg({title} ORDER BY occurred_at DESC, {title} DESC) FILTER (WHERE {title} IS NOT NULL))[1]"
    where = [
        Statement("organization_id = %s AND superseded_by IS NULL AND chat IS NOT NULL", [organization_id]),
        *event_conditions(resolve_filters(organization_id, filters)),
    ]
    return Statement(
        f"SELECT chat, {newest} AS title, min(occurred_at) AS first_at, max(occurred_at) AS last_at, {sums}"
        f" FROM metering_event WHERE {' AND '.join(part.sql for part in where)} GROUP BY chat",
        [param for part in where for param in part.params],
    )


def _read_time(value: Any) -> dt.datetime:
    at = dt.datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at


def _read_chat(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a chat")
    return value
