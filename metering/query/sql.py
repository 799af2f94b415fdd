"""A plan as one SQL statement: each piece is summed where it lies, the pieces are summed once more, then put in order.

Dimensions are the columns d0, d1, …; time is the number of the bucket, from 1. Texts of the statement come from the
tables in this module and from metering/; everything a caller gave is a parameter.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from core.periods import local_day, next_month
from metering.dimensions import DIMENSIONS, Kind
from metering.query.event_sql import (
    WITH_AUDIO,
    Filters,
    Statement,
    by_file,
    event_column,
    event_conditions,
    number_of_bucket,
)
from metering.query.metrics import METRICS
from metering.query.plan import Piece, Plan, Source
from metering.query.rate_parts import RATE_PARTS, ROLLED_UP, part_of_event
from metering.query.spec import UsageQuery, is_text
from metering.store.rollups import MEASURES

_NAMES = tuple(MEASURES)


def usage_statement(
    query: UsageQuery, plan: Plan, whole: Plan | None, filters: Filters, after: Sequence[Any] | None
) -> Statement:
    """Rows (bucket, d0 …, measures …, sort keys …, ledger's zone): first, with bucket NULL, the totals; then one page.

    `whole` is a plan for the totals alone; without it they are the sum of the groups. `after` are the sort keys of
    the row the page begins behind.
    """
    groups = [f"d{i}" for i in range(len(query.group_by))]
    grouped = _grouped(query, plan, filters)
    params = grouped.params
    keys = sort_keys(query)
    columns = ", ".join(["bucket", *groups, *MEASURES])
    lines = [f"WITH grouped AS ({grouped.sql})"]
    source = "grouped"
    if not groups:
        # A chart needs its empty buckets.
        zeros = ", ".join(f"coalesce({name}, 0) AS {name}" for name in MEASURES)
        lines.append(
            f", filled AS (SELECT bucket, {zeros}"
            " FROM generate_series(1, %s) AS bucket LEFT JOIN grouped USING (bucket))"
        )
        params.append(len(plan.buckets))
        source = "filled"
    key_columns = "".join(f", ({key.sql}) AS k{i}" for i, key in enumerate(keys))
    lines.append(f", keyed AS (SELECT {columns}{key_columns} FROM {source})")
    nothing = "NULL::int" + "".join(f", NULL::{_type(name)}" for name in query.group_by)
    totals = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in MEASURES)
    no_keys = "".join(f", NULL::{key.type}" for key in keys)
    summed = Statement("grouped", []) if whole is None else _grouped(ungrouped(query), whole, filters)
    lines.append(
        f"SELECT {nothing}, {totals}{no_keys}, (SELECT timezone FROM metering_ledger WHERE organization_id = %s)"
        f" FROM {summed.sql if whole is None else f'({summed.sql}) AS whole'}"
    )
    params.append(query.organization_id)
    params.extend(summed.params)
    order = ", ".join(f"k{i}{' DESC' if key.is_descending else ''}" for i, key in enumerate(keys))
    where = ""
    if after is not None:
        beyond = _beyond(keys, after)
        where = f" WHERE {beyond.sql}"
        params.extend(beyond.params)
    limit = ""
    if query.limit is not None:
        limit = " LIMIT %s"
        params.append(query.limit + 1)
    listed = "".join(f", k{i}" for i in range(len(keys)))
    lines.append(f"UNION ALL (SELECT {columns}{listed}, NULL::text FROM keyed{where} ORDER BY {order}{limit})")
    return Statement("\n".join(lines), params)


def ungrouped(query: UsageQuery) -> UsageQuery:
    """The question of the totals."""
    return msgspec.structs.replace(query, group_by=(), interval=None, order_by=(), limit=None, cursor=None)


# ── Pieces ──


def _grouped(query: UsageQuery, plan: Plan, filters: Filters) -> Statement:
    parts = [part for piece in plan.pieces for part in _parts(piece, query, plan, filters)]
    if len(parts) == 1:
        return parts[0]
    keys = ["bucket", *(f"d{i}" for i in range(len(query.group_by)))]
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in MEASURES)
    union = "\nUNION ALL ".join(part.sql for part in parts)
    sql = (
        f"SELECT {', '.join(keys)}, {sums} FROM ({union}) AS parts GROUP BY {', '.join(keys)} HAVING sum(requests) <> 0"
    )
    return Statement(sql, [param for part in parts for param in part.params])


def _parts(piece: Piece, query: UsageQuery, plan: Plan, filters: Filters) -> list[Statement]:
    if piece.source is Source.DAY:
        return [_day_part(piece, query, plan, filters)]
    if piece.source is Source.HOUR:
        return [_hour_part(piece, query, plan, filters)]
    if piece.source is Source.RATE:
        return [_rate_part(piece, query, plan, filters)]
    if piece.source is Source.CHAT:
        return [_by_chat(piece, query, plan, filters)] if query.group_by else _of_chats(piece, query, plan, filters)
    return [_event_part(piece, query, plan, filters)]


def _sum(
    table: str,
    bucket: Statement,
    groups: Sequence[Statement],
    measures: Sequence[str],
    where: Sequence[Statement],
    *,
    is_alone: bool = False,
) -> Statement:
    """Sums by bucket and groups. `is_alone`: each has one row at most, which then is taken as it is."""
    columns = [
        f"{bucket.sql} AS bucket",
        *(f"{group.sql} AS d{i}" for i, group in enumerate(groups)),
        *(
            f"{expression} AS {name}" if is_alone else f"sum({expression})::bigint AS {name}"
            for name, expression in zip(MEASURES, measures, strict=True)
        ),
    ]
    conditions = " AND ".join(part.sql for part in where)
    sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {conditions}"
    if not is_alone:
        sql += f" GROUP BY {', '.join(str(i + 1) for i in range(len(groups) + 1))}"
    ordered = [bucket, *groups, *where]
    return Statement(sql, [param for part in ordered for param in part.params])


def _days(piece: Piece, plan: Plan) -> tuple[dt.date, dt.date]:
    return local_day(piece.start, plan.ledger), local_day(piece.end, plan.ledger)


def _day_starts(plan: Plan) -> list[dt.date]:
    return [local_day(start, plan.ledger) for start in plan.starts]


def _day_part(piece: Piece, query: UsageQuery, plan: Plan, filters: Filters) -> Statement:
    dimension = next(iter(query.dimensions), None)
    kind = DIMENSIONS[dimension].kind if dimension else Kind.TOTAL
    where = [
        Statement("organization_id = %s AND kind = %s", [query.organization_id, int(kind)]),
        Statement("day >= %s AND day < %s", list(_days(piece, plan))),
    ]
    if dimension and dimension in filters:
        where.append(Statement("ref = ANY(%s)", [list(filters[dimension].refs)]))
    groups = [Statement("ref", [])] if query.group_by else []
    bucket = number_of_bucket("day", "date", _day_starts(plan))
    is_alone = query.interval == "day" and (bool(groups) or dimension is None)
    return _sum("metering_usage_day", bucket, groups, _NAMES, where, is_alone=is_alone)


def _rate_part(piece: Piece, query: UsageQuery, plan: Plan, filters: Filters) -> Statement:
    columns = ROLLED_UP | {name: dimension.column for name, dimension in DIMENSIONS.items()}
    where = [
        Statement("organization_id = %s", [query.organization_id]),
        Statement("day >= %s AND day < %s", list(_days(piece, plan))),
        *(Statement(f"{columns[name]} = ANY(%s)", [list(w.refs)]) for name, w in filters.items()),
    ]
    groups = [Statement(columns[name], []) for name in query.group_by]
    bucket = number_of_bucket("day", "date", _day_starts(plan))
    return _sum("metering_usage_rate", bucket, groups, _NAMES, where)


def _hour_part(piece: Piece, query: UsageQuery, plan: Plan, filters: Filters) -> Statement:
    where = [
        Statement("organization_id = %s", [query.organization_id]),
        Statement("hour >= %s AND hour < %s", [piece.start, piece.end]),
        *(Statement(f"{DIMENSIONS[name].column} = ANY(%s)", [list(w.refs)]) for name, w in filters.items()),
    ]
    groups = [Statement(DIMENSIONS[name].column, []) for name in query.group_by]
    return _sum("metering_usage_hour", number_of_bucket("hour", "timestamptz", plan.starts), groups, _NAMES, where)


def _by_chat(piece: Piece, query: UsageQuery, plan: Plan, filters: Filters) -> Statement:
    """Each chat as it is kept; what has no chat is everything less every chat."""
    wanted = filters.get("chat")
    chats = _chats(piece, query, plan, wanted.texts if wanted else None)
    if wanted and not wanted.with_none:
        return chats
    every = chats if wanted is None else _chats(piece, query, plan, None)
    columns = ", ".join(("bucket", "d0", *_NAMES))
    less = ", ".join(f"-sum({name}) AS {name}" for name in _NAMES)
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in _NAMES)
    total = _day_total(piece, query, plan)
    rest = (
        f"SELECT bucket, NULL::text AS d0, {sums} FROM (SELECT bucket, {less} FROM every GROUP BY bucket"
        f" UNION ALL {total.sql}) AS rest GROUP BY bucket HAVING sum(requests) <> 0"
    )
    if wanted is None:
        return Statement(
            # In parentheses, because it may stand behind another part of the union.
            f"(WITH every AS MATERIALIZED ({every.sql}) SELECT {columns} FROM every UNION ALL {rest})",
            [*every.params, *total.params],
        )
    shown = f"{chats.sql} UNION ALL " if wanted.texts else ""
    return Statement(
        f"(WITH every AS MATERIALIZED ({every.sql}) {shown}{rest})",
        [*every.params, *(chats.params if wanted.texts else []), *total.params],
    )


def _of_chats(piece: Piece, query: UsageQuery, plan: Plan, filters: Filters) -> list[Statement]:
    """The same, not told apart by chat: parts of the sum."""
    wanted = filters["chat"]
    parts = [_chats(piece, query, plan, wanted.texts)] if wanted.texts else []
    if wanted.with_none:
        every = _chats(piece, query, plan, None)
        less = ", ".join(("bucket", *(f"-{name} AS {name}" for name in _NAMES)))
        parts.append(Statement(f"SELECT {less} FROM ({every.sql}) AS every", every.params))
        parts.append(_day_total(piece, query, plan))
    return parts


def _chats(piece: Piece, query: UsageQuery, plan: Plan, texts: Sequence[str] | None) -> Statement:
    first, last = _days(piece, plan)
    where = [Statement("organization_id = %s AND month >= %s AND month < %s", [query.organization_id, first, last])]
    if texts is not None:
        where.append(Statement("chat = ANY(%s)", [list(texts)]))
    bucket = number_of_bucket("month", "date", _day_starts(plan))
    groups = [Statement("chat", [])] if query.group_by else []
    is_alone = bool(groups) and (query.interval == "month" or next_month(first) == last)
    return _sum("metering_usage_chat", bucket, groups, _NAMES, where, is_alone=is_alone)


def _day_total(piece: Piece, query: UsageQuery, plan: Plan) -> Statement:
    where = Statement(
        "organization_id = %s AND kind = 0 AND day >= %s AND day < %s", [query.organization_id, *_days(piece, plan)]
    )
    return _sum("metering_usage_day", number_of_bucket("day", "date", _day_starts(plan)), [], _NAMES, [where])


def _event_part(piece: Piece, query: UsageQuery, plan: Plan, filters: Filters) -> Statement:
    table = Statement("metering_event", [])
    groups = []
    for name in query.group_by:
        if name == "file":
            table = by_file(filters.get("file"))
            groups.append(Statement("file", []))
        else:
            is_part = name in RATE_PARTS
            groups.append(
                Statement(part_of_event(name, query.lengths, query.times), []) if is_part else event_column(name)
            )
    where = [
        Statement("organization_id = %s AND superseded_by IS NULL", [query.organization_id]),
        Statement("occurred_at >= %s AND occurred_at < %s", [piece.start, piece.end]),
        *event_conditions(filters, (piece.start, piece.end)),
        *([Statement(WITH_AUDIO, [])] if query.with_audio else []),
    ]
    bucket = number_of_bucket("occurred_at", "timestamptz", plan.starts)
    summed = _sum(table.sql, bucket, groups, list(MEASURES.values()), where)
    before = [param for part in (bucket, *groups) for param in part.params]
    return Statement(summed.sql, before + table.params + summed.params[len(before) :])


# ── Order ──


class SortKey(msgspec.Struct, frozen=True):
    sql: str
    type: str
    is_descending: bool = False


# What a reference is ordered by: the words people see, without regard to case, ties to the reference itself.
_WORDS = {
    "project": "SELECT lower(slug) FROM accounts_project WHERE id = {}",
    "team": "SELECT lower(slug) FROM accounts_team WHERE id = {}",
    "department": "SELECT lower(name) FROM accounts_department WHERE id = {}",
    "member": (
        "SELECT lower(u.email) FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id WHERE m.id = {}"
    ),
    "api_key": "SELECT prefix FROM accounts_apikey WHERE id = {}",
}
_LABEL = "SELECT text FROM metering_label WHERE id = {}"


def _type(name: str) -> str:
    return "text" if is_text(name) else "int"


def sort_keys(query: UsageQuery) -> list[SortKey]:
    """Columns that put every row in one definite place: as asked, then by time, then by the groups."""
    keys = []
    for term in query.order:
        name, is_descending = term.removeprefix("-"), term.startswith("-")
        if name == "start":
            keys.append(SortKey("bucket", "int", is_descending))
        elif name in METRICS:
            keys.append(SortKey(f"({METRICS[name].sort})::numeric", "numeric", is_descending))
        else:
            keys.append(SortKey(_words(query, name), "text", is_descending))
    keys.append(SortKey("bucket", "int"))
    for i, name in enumerate(query.group_by):
        if is_text(name):
            keys.append(SortKey(f"(d{i} IS NULL)::int", "int"))
            keys.append(SortKey(f"coalesce(d{i}, '') COLLATE \"C\"", "text"))
        else:
            keys.append(SortKey(f"d{i}", "int"))
    return keys


def _words(query: UsageQuery, name: str) -> str:
    column = f"d{query.group_by.index(name)}"
    if is_text(name):
        return f"coalesce({column}, '') COLLATE \"C\""
    select = _WORDS.get(name, _LABEL).format(column)
    return f"coalesce(({select}), '') COLLATE \"C\""


def _beyond(keys: Sequence[SortKey], values: Sequence[Any]) -> Statement:
    """Rows behind the one that has these keys: the first key that differs decides."""
    alternatives, params = [], []
    for i, key in enumerate(keys):
        same = [f"k{j} = %s::{keys[j].type}" for j in range(i)]
        alternatives.append(" AND ".join([*same, f"k{i} {'<' if key.is_descending else '>'} %s::{key.type}"]))
        params.extend([*values[:i], values[i]])
    return Statement(f"({' OR '.join(alternatives)})", params)
