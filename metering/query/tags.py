"""The names of tags that are in use, for menus: those of the latest events, since any event may bring new ones."""

# ruff: noqa: S608  (SQL is put together from our own names of columns)
from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.db import connection

from metering.dimensions import DIMENSIONS
from metering.query.event_sql import event_conditions
from metering.query.labels import resolve_filters
from metering.query.run import scope_of
from metering.query.spec import LONGEST_TAG_NAME, FilterValue

# How far back it looks, in time and in events, so that it costs the same however much there is.
LOOKS_BACK = dt.timedelta(days=45)
LATEST_EVENTS = 5_000
MOST_NAMES = 40


def tag_names(organization_id: int, now: dt.datetime, filters: Mapping[str, tuple[FilterValue, ...]]) -> list[str]:
    """By name, of the latest events that match the filters, which are by dimensions of the day cube."""
    columns = "".join(f", {DIMENSIONS[name].column}" for name in filters)
    with scope_of(organization_id):
        conditions = event_conditions(resolve_filters(organization_id, filters))
        where = " AND ".join(["jsonb_typeof(tags) = 'object'", *(one.sql for one in conditions)])
        sql = f"""
            SELECT DISTINCT name FROM (
                SELECT tags{columns} FROM metering_event
                WHERE organization_id = %s AND occurred_at > %s AND superseded_by IS NULL
                ORDER BY occurred_at DESC LIMIT {LATEST_EVENTS}
            ) AS latest, jsonb_object_keys(tags) AS name
            WHERE {where} AND length(name) BETWEEN 1 AND {LONGEST_TAG_NAME} ORDER BY name LIMIT {MOST_NAMES}
        """
        with connection.cursor() as cursor:
            given = [organization_id, now - LOOKS_BACK, *(param for one in conditions for param in one.params)]
            cursor.execute(sql, given)
            return [name for (name,) in cursor.fetchall()]
