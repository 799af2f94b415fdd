"""Chats: each with its title, when it was first and last spoken in, and all its figures."""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection

from core.pagination import decode_cursor, encode_cursor
from core.periods import local_day, month_start
from metering.query.event_sql import Filters, Statement, Wanted, event_conditions
from metering.query.labels import GroupValue, name_refs, resolve_filters
from metering.query.metrics import METRICS, Figures
from metering.query.run import LedgerMovedError, ledger_zone
from metering.query.spec import FilterValue, check_search, refusal
from metering.store.rollups import MEASURES

_ATTEMPTS = 3
_EVERY_ONE = Statement("", [])


class ChatRow(msgspec.Struct, frozen=True):
    chat: str
    title: str | None
    first_at: dt.datetime
    last_at: dt.datetime
    figures: Figures


class ChatPage(msgspec.Struct, frozen=True):
    rows: list[ChatRow]
    next_cursor: str | None


class ChatAbout(msgspec.Struct, frozen=True):
    """Who spoke in a chat, where, with which models; `users` are as sent, of calls that are no member's."""

    messages: int
    members: list[GroupValue]
    users: list[GroupValue]
    projects: list[GroupValue]
    models: list[GroupValue]


class _Order(msgspec.Struct, frozen=True):
    sql: str
    read: Callable[[Any], Any]


def list_chats(
    organization_id: int,
    start: dt.datetime,
    end: dt.datetime,
    filters: dict[str, tuple[FilterValue, ...]],
    *,
    order_by: str = "-last_at",
    search: str = "",
    limit: int | None = None,
    cursor: str | None = None,
) -> ChatPage:
    """Chats last spoken in during [start, end), newest first unless asked otherwise. Needs the organization's scope.

    A chat's figures are those of its whole life; filters leave out events, and with them chats that have no other.
    `order_by` is one of ORDERS, "-" before it puts the greatest first; `search` is a part of the title or how the id
    begins. Raises ApiError 422 for another order, a search that is too long, and a cursor of another list.
    """
    name, is_descending = order_by.removeprefix("-"), order_by.startswith("-")
    if name not in ORDERS:
        raise refusal(f"order_by is one of {', '.join(ORDERS)}, with - before it to descend.", "order_by")
    order = ORDERS[name]
    resolved = resolve_filters(organization_id, filters)
    where = [Statement("last_at >= %s AND last_at < %s", [start, end])]
    if search:
        where.append(_matches(search))
    if cursor:
        after = decode_cursor(cursor, [order.read, _read_chat])
        where.append(Statement(f'({order.sql}, chat COLLATE "C") {"<" if is_descending else ">"} (%s, %s)', after))
    direction = "DESC" if is_descending else "ASC"
    page = Statement(
        f" WHERE {' AND '.join(part.sql for part in where)}"
        f' ORDER BY {order.sql} {direction}, chat COLLATE "C" {direction}' + ("" if limit is None else " LIMIT %s"),
        [*(param for part in where for param in part.params), *([] if limit is None else [limit + 1])],
    )

    def read(zone: ZoneInfo) -> list[tuple[Any, ...]]:
        if filters:
            chats = _from_events(organization_id, start, end, resolved, zone)
        elif name == "last_at" and not search:
            # The page's chats are known before their lives are summed.
            chats = _from_rollup(organization_id, _spoken_since(organization_id, start, zone, page))
        else:
            chats = _from_rollup(organization_id, _spoken_since(organization_id, start, zone))
        if chats is None:
            return []
        with connection.cursor() as database:
            database.execute(
                f"WITH chats AS ({chats.sql}) SELECT {order.sql}, chat, title, first_at, last_at, {', '.join(MEASURES)}"
                f" FROM chats{page.sql}",
                [*chats.params, *page.params],
            )
            rows: list[tuple[Any, ...]] = database.fetchall()
        return rows

    found = _in_one_zone(organization_id, read)
    following = None
    if limit is not None and len(found) > limit:
        found.pop()
        following = encode_cursor(found[-1][:2])
    return ChatPage([ChatRow(row[1], row[2], row[3], row[4], Figures(*row[5:])) for row in found], following)


def _matches(search: str) -> Statement:
    check_search(search)
    escaped = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return Statement("(title ILIKE %s OR starts_with(chat, %s))", [f"%{escaped}%", search])


def _in_one_zone(organization_id: int, read: Callable[[ZoneInfo], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """What is read from months that are kept in the zone all the while; before the first event there is nothing."""
    for _ in range(_ATTEMPTS):
        ledger = ledger_zone(organization_id)
        found = read(ledger) if ledger else []
        # A rebuild in between kept the months in another zone.
        if ledger_zone(organization_id) == ledger:
            return found
    raise LedgerMovedError


def _spoken_since(organization_id: int, start: dt.datetime, zone: ZoneInfo, page: Statement = _EVERY_ONE) -> Statement:
    """The chats with an event at `start` or later, and no month that ended before it looked at.

    `page` picks among their (chat, last_at).
    """
    return Statement(
        "SELECT chat FROM (SELECT chat, max(last_at) AS last_at FROM metering_usage_chat"
        f" WHERE organization_id = %s AND month >= %s AND last_at >= %s GROUP BY chat) AS spoken{page.sql}",
        [organization_id, month_start(local_day(start, zone)), start, *page.params],
    )


def _from_rollup(organization_id: int, chosen: Statement) -> Statement:
    """The lives of the `chosen` chats. Each month is looked up by itself, as the key has the month before the chat."""
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in MEASURES)
    newest = "(array_agg(title ORDER BY titled_at DESC, title DESC) FILTER (WHERE title IS NOT NULL))[1]"
    ends = (f"(SELECT {end}(month) FROM metering_usage_chat WHERE organization_id = %s)" for end in ("min", "max"))
    months = f"ARRAY(SELECT generate_series({', '.join(ends)}, interval '1 month')::date)"
    return Statement(
        f"SELECT chat, {newest} AS title, min(first_at) AS first_at, max(last_at) AS last_at, {sums}"
        f" FROM metering_usage_chat WHERE organization_id = %s AND month = ANY({months}) AND chat IN ({chosen.sql})"
        " GROUP BY chat HAVING sum(requests) <> 0",
        [organization_id, organization_id, organization_id, *chosen.params],
    )


def _from_events(
    organization_id: int, start: dt.datetime, end: dt.datetime, filters: Filters, zone: ZoneInfo
) -> Statement | None:
    """None when no chat was spoken in at all. Asking for the lives of those that were keeps other months out of it."""
    life = _life(organization_id, start, end, filters.get("chat"), zone)
    if life is None:
        return None
    sums = ", ".join(f"sum({expression})::bigint AS {name}" for name, expression in MEASURES.items())
    title = "detail ->> 'chat_title'"
    newest = f"(array_agg({title} ORDER BY occurred_at DESC, {title} DESC) FILTER (WHERE {title} IS NOT NULL))[1]"
    where = [
        Statement("organization_id = %s AND superseded_by IS NULL AND chat IS NOT NULL", [organization_id]),
        Statement("occurred_at >= %s AND occurred_at <= %s", list(life)),
        *event_conditions(filters, (life[0], life[1] + life[1].resolution)),
    ]
    return Statement(
        f"SELECT chat, {newest} AS title, min(occurred_at) AS first_at, max(occurred_at) AS last_at, {sums}"
        f" FROM metering_event WHERE {' AND '.join(part.sql for part in where)} GROUP BY chat",
        [param for part in where for param in part.params],
    )


def _life(
    organization_id: int, start: dt.datetime, end: dt.datetime, wanted: Wanted | None, zone: ZoneInfo
) -> tuple[dt.datetime, dt.datetime] | None:
    """When the chats spoken in during [start, end) were first and last spoken in."""
    month = month_start(local_day(start, zone))
    of_these = Statement(" AND chat = ANY(%s)", [list(wanted.texts)]) if wanted else Statement("", [])
    sql = (
        "SELECT min(first_at), max(last_at) FROM metering_usage_chat WHERE organization_id = %s AND chat IN ("
        "SELECT chat FROM metering_usage_chat WHERE organization_id = %s AND month >= %s AND last_at >= %s"
        f" AND first_at < %s{of_these.sql}){of_these.sql}"
    )
    given = [organization_id, organization_id, month, start, end, *of_these.params, *of_these.params]
    with connection.cursor() as database:
        database.execute(sql, given)
        first, last = database.fetchall()[0]
    return None if first is None else (first, last)


# ── What else is known of them ──


def describe_chats(
    organization_id: int, rows: Sequence[ChatRow], filters: dict[str, tuple[FilterValue, ...]]
) -> dict[str, ChatAbout]:
    """By chat. Needs the organization's scope."""
    if not rows:
        return {}
    columns = {"member": "member_id", "user": "user_id", "project": "project_id", "model": "model_id"}
    kept = {"user": " FILTER (WHERE member_id = 0)"}
    sets = ", ".join(f"array_agg(DISTINCT {column}){kept.get(name, '')}" for name, column in columns.items())
    where = _events_of(organization_id, rows, filters)
    with connection.cursor() as database:
        database.execute(
            f"SELECT chat, count(DISTINCT message), {sets} FROM metering_event WHERE {where.sql} GROUP BY chat",
            where.params,
        )
        found = database.fetchall()
    refs = {name: {ref for row in found for ref in row[2 + i] or ()} for i, name in enumerate(columns)}
    names = name_refs(organization_id, refs)

    def named(row: tuple[Any, ...], name: str) -> list[GroupValue]:
        values = row[2 + list(columns).index(name)] or ()
        return [names[name][ref] for ref in values if ref]

    return {
        row[0]: ChatAbout(row[1], named(row, "member"), named(row, "user"), named(row, "project"), named(row, "model"))
        for row in found
    }


def _events_of(organization_id: int, rows: Sequence[ChatRow], filters: dict[str, tuple[FilterValue, ...]]) -> Statement:
    """Conditions on the events of these chats; their lives keep the other months' partitions out of it."""
    first, last = min(row.first_at for row in rows), max(row.last_at for row in rows)
    where = [
        Statement("organization_id = %s AND superseded_by IS NULL", [organization_id]),
        Statement("chat = ANY(%s)", [[row.chat for row in rows]]),
        Statement("occurred_at >= %s AND occurred_at <= %s", [first, last]),
        *event_conditions(resolve_filters(organization_id, filters), (first, last + last.resolution)),
    ]
    return Statement(" AND ".join(part.sql for part in where), [param for part in where for param in part.params])


# ── Cursors ──


def _read_time(value: Any) -> dt.datetime:
    at = dt.datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at


def _read_chat(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a chat")
    return value


def _read_number(value: Any) -> int:
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError("not a number")
    return value


ORDERS: dict[str, _Order] = {
    "last_at": _Order("last_at", _read_time),
    "total_tokens": _Order(METRICS["total_tokens"].sort, _read_number),
    "cost_usd": _Order(METRICS["cost_usd"].sort, _read_number),
}
