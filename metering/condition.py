"""How the metering of the installation is: what it stores, what it has set aside, what it waits for, what it lacks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import connection
from django.db.models import Count, Min, Q

from core.tenancy import unscoped
from metering.gateway.gateway import SPOOL_FOLDER
from metering.gateway.spool import Backlog, read_backlog
from metering.models import Hold
from metering.query.across import AcrossQuery, run_across
from metering.query.latest import latest_events

# Beat gives up lost calls every 30 seconds; what is that late was not given up.
HOLDS_ARE_LATE_AFTER = dt.timedelta(minutes=5)
UNPRICED_DAYS = 30


class Holds(msgspec.Struct, frozen=True):
    """`expired` should have been given up by beat a while ago."""

    open: int
    expired: int
    oldest_at: dt.datetime | None


class Months(msgspec.Struct, frozen=True):
    """The months that events have a place for. Without the next one, the first call of it makes it."""

    first: dt.date
    last: dt.date
    count: int


class Unpriced(msgspec.Struct, frozen=True):
    """Of the last 30 days, in all organizations."""

    models: int
    tokens: int
    requests: int


class Condition(msgspec.Struct, frozen=True):
    last_event_at: dt.datetime | None
    holds: Holds
    months: Months | None
    backlog: Backlog | None
    unpriced: Unpriced


def read_condition(at: dt.datetime) -> Condition:
    """`backlog` is None where the journals cannot be read."""
    try:
        backlog = read_backlog(Path(settings.DATA_DIR) / SPOOL_FOLDER)
    except OSError:
        backlog = None
    return Condition(max(latest_events().values(), default=None), _holds(at), _months(), backlog, _unpriced(at))


def _holds(at: dt.datetime) -> Holds:
    with unscoped("the operator sees how many calls are under way"):
        found = Hold.objects.filter(released_at=None).aggregate(
            open=Count("pk", filter=Q(expires_at__gt=at)),
            expired=Count("pk", filter=Q(expires_at__lte=at - HOLDS_ARE_LATE_AFTER)),
            oldest_at=Min("held_at"),
        )
    return Holds(**found)


_MONTHS = """
SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'metering_event'::regclass AND pg_get_expr(c.relpartbound, c.oid) LIKE 'FOR VALUES FROM%%'
"""


def _months() -> Months | None:
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS, [])
        # FOR VALUES FROM ('2026-11-01 00:00:00+00') TO (…)
        starts = sorted(dt.date.fromisoformat(bound.split("'")[1][:10]) for (bound,) in cursor.fetchall())
    return Months(starts[0], starts[-1], len(starts)) if starts else None


def _unpriced(at: dt.datetime) -> Unpriced:
    today = at.date()
    found = run_across(
        AcrossQuery(today - dt.timedelta(days=UNPRICED_DAYS), today + dt.timedelta(days=2), group_by=("model",))
    )
    models = [row for row in found.rows if row.figures.unpriced_requests]
    return Unpriced(len(models), found.totals.unpriced_tokens, found.totals.unpriced_requests)
