"""When an organization's ledger last grew."""

from __future__ import annotations

import datetime as dt

from django.db import connection

from metering.query.run import scope_of


def latest_event_at(organization_id: int) -> dt.datetime | None:
    """The time of the newest event that counts; None before the first."""
    with scope_of(organization_id), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT occurred_at FROM metering_event
            WHERE organization_id = %s AND superseded_by IS NULL ORDER BY occurred_at DESC LIMIT 1
            """,
            [organization_id],
        )
        row = cursor.fetchone()
    return row[0] if row else None
