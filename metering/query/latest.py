"""When a ledger begins, and when it last grew."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import connection

from core.tenancy import unscoped
from metering.query.run import scope_of

_FIRST = """
    SELECT occurred_at FROM metering_event
    WHERE organization_id = %s AND superseded_by IS NULL ORDER BY occurred_at LIMIT 1
"""
_LATEST = """
    SELECT occurred_at FROM metering_event
    WHERE organization_id = %s AND superseded_by IS NULL ORDER BY occurred_at DESC LIMIT 1
"""


def first_event_at(organization_id: int) -> dt.datetime | None:
    """The time of the oldest event that counts; None before the first."""
    return _event_at(organization_id, _FIRST)


def latest_event_at(organization_id: int) -> dt.datetime | None:
    """The time of the newest event that counts; None before the first."""
    return _event_at(organization_id, _LATEST)


def _event_at(organization_id: int, query: str) -> dt.datetime | None:
    with scope_of(organization_id), connection.cursor() as cursor:
        cursor.execute(query, [organization_id])
        row = cursor.fetchone()
    return row[0] if row else None


def latest_events(organization_ids: Sequence[int] | None = None) -> dict[int, dt.datetime]:
    """The same for these organizations, or for all; those without an event are left out. For the operator."""
    wanted = None if organization_ids is None else list(organization_ids)
    with unscoped("the operator sees when each organization last sent anything"), connection.cursor() as cursor:
        # Each organization's newest is at one end of its part of the index.
        cursor.execute(
            """
            SELECT l.organization_id, newest.occurred_at FROM metering_ledger l
            CROSS JOIN LATERAL (
                SELECT e.occurred_at FROM metering_event e
                WHERE e.organization_id = l.organization_id AND e.superseded_by IS NULL
                ORDER BY e.occurred_at DESC LIMIT 1
            ) AS newest
            WHERE %s::int[] IS NULL OR l.organization_id = ANY(%s)
            """,
            [wanted, wanted],
        )
        return dict(cursor.fetchall())
