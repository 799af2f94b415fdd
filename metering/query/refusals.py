"""Calls that were refused for coming too fast, and whose keys they came with. They are no usage: nothing was called."""

from __future__ import annotations

import datetime as dt

import msgspec

from accounts.models import APIKey
from metering.models import RefusedQuarter


class Refused(msgspec.Struct, frozen=True):
    """`project` and `member` are those of the key, as it is now; 0 is none."""

    api_key: int
    project: int
    member: int
    quarter: dt.datetime
    count: int


def too_fast(start: dt.datetime, end: dt.datetime) -> list[Refused]:
    """By key and quarter hour, of the quarters that begin in [start, end). Needs the organization's scope."""
    rows = list(
        RefusedQuarter.objects.filter(quarter__gte=start, quarter__lt=end)
        .order_by("quarter", "api_key_id")
        .values_list("api_key_id", "quarter", "count")
    )
    keys = APIKey.objects.filter(pk__in={key for key, _, _ in rows}).values_list("pk", "project_id", "member_id")
    whose = {pk: (project or 0, member or 0) for pk, project, member in keys} if rows else {}
    return [Refused(key, *whose.get(key, (0, 0)), quarter, count) for key, quarter, count in rows]
