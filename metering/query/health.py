"""Whether usage arrives as it should: when it comes, how late, corrected how often. For diagnosis, not for totals."""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec
from django.db import connection

from metering.query.event_sql import Statement, event_conditions
from metering.query.labels import resolve_filters
from metering.query.spec import FilterValue

# Clocks of honest senders differ by less.
SKEW = dt.timedelta(minutes=5)
# An event that takes longer to arrive was sent later on purpose, or waited somewhere.
PROMPT = dt.timedelta(days=1)


class Arrivals(msgspec.Struct, frozen=True):
    """The events of a range by how they came. Corrected ones are in `superseded` alone."""

    events: int
    late: int
    latest_delay: dt.timedelta | None
    # Of a time that had not come yet when they were received.
    early: int
    # Received after the range had ended: in no figure that was taken at its end.
    after_end: int
    superseded: int
    estimated: int
    unknown_usage: int


def arrivals(
    organization_id: int, start: dt.datetime, end: dt.datetime, filters: Mapping[str, tuple[FilterValue, ...]]
) -> Arrivals:
    """Reads the events themselves. Needs the organization's scope."""
    where = [
        Statement("organization_id = %s AND occurred_at >= %s AND occurred_at < %s", [organization_id, start, end]),
        *event_conditions(resolve_filters(organization_id, filters), (start, end)),
    ]
    counted = "count(*) FILTER (WHERE superseded_by IS NULL"
    late = "received_at - occurred_at"
    sql = (
        f"SELECT {counted}), {counted} AND {late} > %s), max({late}) FILTER (WHERE superseded_by IS NULL),"
        f" {counted} AND {late} < -%s), {counted} AND received_at >= %s),"
        " count(*) FILTER (WHERE superseded_by IS NOT NULL),"
        f" {counted} AND is_estimated), {counted} AND NOT is_usage_known)"
        f" FROM metering_event WHERE {' AND '.join(part.sql for part in where)}"
    )
    params = [PROMPT, SKEW, end, *(param for part in where for param in part.params)]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return Arrivals(*cursor.fetchone())
