"""Hours of many weeks as bare columns of numbers, for arithmetic over all keys and models of an organization at once.

`run` answers with every figure of every group; that is too much where thousands of hours of hundreds of keys are wanted
and four figures of each. What comes from here is the same (a test holds it to `run`).
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.db import connection

from metering.dimensions import DIMENSIONS
from metering.query.run import scope_of
from metering.store.rollups import MEASURES, TOTAL_TOKENS

# What is read of usage, in the order of the columns. Cost in nano-dollars, of what has a price.
COLUMNS = ("tokens", "cost", "requests", "errors")
_OF_EVENT = (TOTAL_TOKENS, *(MEASURES[name] for name in ("cost_nanos", "requests", "errors")))
_OF_HOUR = (TOTAL_TOKENS, "cost_nanos", "requests", "errors")

Figures4 = tuple[int, int, int, int]


class HourRow(msgspec.Struct, frozen=True, gc=False):
    """What one key used of one model in the hour that began at `start`, in seconds since 1970; 0 is without."""

    start: int
    api_key: int
    model: int
    figures: Figures4


def read_hours(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[HourRow]:
    """From the hours that begin in [start, end), as the ledger's clock has them. In no order."""
    sums = ", ".join(f"sum({column})::bigint" for column in _OF_HOUR)
    return _rows(
        f"SELECT extract(epoch FROM hour)::bigint, api_key_id, model_id, {sums} FROM metering_usage_hour"
        " WHERE organization_id = %s AND hour >= %s AND hour < %s GROUP BY 1, 2, 3",
        organization_id,
        [organization_id, start, end],
    )


def read_part_of_hour(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[HourRow]:
    """The same of the events in [start, end), which is a part of the hour that began at `start`."""
    sums = ", ".join(f"sum({expression})::bigint" for expression in _OF_EVENT)
    return _rows(
        f"SELECT extract(epoch FROM %s::timestamptz)::bigint, api_key_id, model_id, {sums} FROM metering_event"
        " WHERE organization_id = %s AND superseded_by IS NULL AND occurred_at >= %s AND occurred_at < %s"
        " GROUP BY 2, 3",
        organization_id,
        [start, organization_id, start, end],
    )


def _rows(sql: str, organization_id: int, params: list[Any]) -> list[HourRow]:
    with scope_of(organization_id), connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [HourRow(row[0], row[1], row[2], row[3:]) for row in cursor.fetchall() if any(row[3:])]


def read_spans(
    organization_id: int,
    spans: Sequence[tuple[dt.datetime, dt.datetime]],
    by: str,
    refs: Mapping[str, int],
) -> dict[int, Figures4]:
    """What each value of a dimension used in some spans of time together, by its reference.

    `refs` has what other dimensions must be. Read from events: meant for a few hours.
    """
    sums = ", ".join(f"sum({expression})::bigint" for expression in _OF_EVENT)
    column = DIMENSIONS[by].column
    where = "".join(f" AND e.{DIMENSIONS[name].column} = %s" for name in refs)
    starts, ends = ([span[side] for span in spans] for side in (0, 1))
    with scope_of(organization_id), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.{column}, {sums} FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS s (starts_at, ends_at)"
            " JOIN metering_event e ON e.occurred_at >= s.starts_at AND e.occurred_at < s.ends_at"
            f" WHERE e.organization_id = %s AND e.superseded_by IS NULL{where} GROUP BY 1",
            [starts, ends, organization_id, *refs.values()],
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


class Lifetime(msgspec.Struct, frozen=True):
    """The first and the last day that something was used on, of the days that were looked at."""

    first: dt.date
    last: dt.date


def read_lifetimes(organization_id: int, dimensions: Sequence[str], before: dt.date) -> dict[str, dict[int, Lifetime]]:
    """Of every value of some dimensions that was used on a day before the given one, by its reference."""
    kinds = {int(DIMENSIONS[name].kind): name for name in dimensions}
    found: dict[str, dict[int, Lifetime]] = {name: {} for name in dimensions}
    with scope_of(organization_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT kind, ref, min(day), max(day) FROM metering_usage_day"
            " WHERE organization_id = %s AND kind = ANY(%s) AND day < %s AND requests > 0 GROUP BY 1, 2",
            [organization_id, list(kinds), before],
        )
        for kind, ref, first, last in cursor.fetchall():
            found[kinds[kind]][ref] = Lifetime(first, last)
    return found


# What grouping() says of (feature_id, integration_id, chat) where one of them is kept.
_KEPT = {0b011: "feature", 0b101: "integration", 0b110: "chat"}


class ModelUse(msgspec.Struct, frozen=True):
    """Calls by model of one feature, integration (by reference) or chat (by its text), on two sides of an instant."""

    dimension: str
    ref: int | str
    before: dict[int, int]
    after: dict[int, int]


def read_model_use(
    organization_id: int, start: dt.datetime, middle: dt.datetime, end: dt.datetime, fewest: int
) -> list[ModelUse]:
    """Of those with at least `fewest` calls in [start, middle) and in [middle, end). Reads the events once."""
    with scope_of(organization_id), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT * FROM (
                SELECT *, sum(before) OVER whole AS all_before, sum(after) OVER whole AS all_after FROM (
                    SELECT grouping(feature_id, integration_id, chat) AS kept,
                        feature_id, integration_id, chat, model_id,
                        count(*) FILTER (WHERE occurred_at < %(middle)s) AS before,
                        count(*) FILTER (WHERE occurred_at >= %(middle)s) AS after
                    FROM metering_event
                    WHERE organization_id = %(organization)s AND superseded_by IS NULL
                        AND occurred_at >= %(start)s AND occurred_at < %(end)s
                    GROUP BY GROUPING SETS ((feature_id, model_id), (integration_id, model_id), (chat, model_id))
                ) AS counted
                WHERE coalesce(feature_id, integration_id, 1) <> 0 AND (kept <> 6 OR chat IS NOT NULL)
                WINDOW whole AS (PARTITION BY kept, feature_id, integration_id, chat)
            ) AS summed WHERE all_before >= %(fewest)s AND all_after >= %(fewest)s
            ORDER BY kept, feature_id, integration_id, chat, model_id
            """,
            {"organization": organization_id, "start": start, "middle": middle, "end": end, "fewest": fewest},
        )
        rows = cursor.fetchall()
    found: dict[tuple[str, int | str], ModelUse] = {}
    for kept, feature, integration, chat, model, before, after, _, _ in rows:
        name = _KEPT[kept]
        ref = {"feature": feature, "integration": integration, "chat": chat}[name]
        use = found.setdefault((name, ref), ModelUse(name, ref, {}, {}))
        for counts, count in ((use.before, before), (use.after, after)):
            if count:
                counts[model] = count
    return list(found.values())
