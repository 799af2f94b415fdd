"""Roll-ups made anew from the events: after a change of zone, or to prove that they were right.

The statements are those of writing (metering/store/rollups.py), over events joined to their places; the result is
the identical rows. An organization's writers wait meanwhile.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from core.periods import buckets, local_day, month_span, month_start, next_month
from core.tenancy import SETTING, setting_value
from metering.store.rollups import (
    roll_up_chats,
    roll_up_days,
    roll_up_files,
    roll_up_hours,
    roll_up_latencies,
    roll_up_rates,
)
from metering.store.staging import LOCK_CLASS
from metering.store.steps import Execute, Steps

ENTER_ALONE = f"SELECT set_config('{SETTING}', %s, true), pg_advisory_xact_lock({LOCK_CLASS}, %s)"
SPAN_OF_EVENTS = "SELECT min(occurred_at), max(occurred_at) FROM metering_event WHERE organization_id = %s"
KEEP_ZONE = """
INSERT INTO metering_ledger (organization_id, timezone) VALUES (%s, %s)
ON CONFLICT (organization_id) DO UPDATE SET timezone = excluded.timezone
"""
CLEAR = tuple(
    f"DELETE FROM {table} WHERE organization_id = %s"
    for table in (
        "metering_usage_hour",
        "metering_usage_day",
        "metering_usage_chat",
        "metering_usage_file",
        "metering_usage_latency",
        "metering_usage_rate",
    )
)
# A binary search in the hours' starts places an event, whatever the planner believes about the tables' sizes.
_PLACED = """(
    SELECT e.*, 1 AS sign, places.hours[at] AS hour, places.days[at] AS day, places.month,
        e.detail ->> 'chat_title' AS chat_title
    FROM (SELECT %s::timestamptz[] AS hours, %s::date[] AS days, %s::date AS month) AS places,
        metering_event e, width_bucket(e.occurred_at, places.hours) AS at
    WHERE e.organization_id = %s AND e.occurred_at >= %s AND e.occurred_at < %s AND e.superseded_by IS NULL
) AS events"""
ADD = tuple(
    statement(_PLACED)
    for statement in (roll_up_hours, roll_up_days, roll_up_chats, roll_up_files, roll_up_latencies, roll_up_rates)
)


def rebuild(organization_id: int, zone: ZoneInfo) -> Steps[int]:
    """Make an organization's roll-ups anew, kept in `zone` from now on. One transaction of the caller's.

    Returns the number of months that were summed.
    """
    yield Execute(ENTER_ALONE, (setting_value([organization_id]), organization_id))
    yield Execute(KEEP_ZONE, (organization_id, zone.key))
    for statement in CLEAR:
        yield Execute(statement, (organization_id,))
    ((first, last),) = yield Execute(SPAN_OF_EVENTS, (organization_id,))
    if first is None:
        return 0
    month, months = month_start(local_day(first, zone)), 0
    while month <= local_day(last, zone):
        start, end = month_span(month, zone)
        hours = [hour for hour, _ in buckets(start, end, "hour", zone)]
        places = (hours, [local_day(hour, zone) for hour in hours], month, organization_id, start, end)
        for statement in ADD:
            yield Execute(statement, places)
        month, months = next_month(month), months + 1
    return months
