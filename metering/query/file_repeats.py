"""Large files that were sent whole, again and again: each use with its exact share of the call.

docs/algorithms/files.md says what a share is.
"""

# ruff: noqa: S608  (what is put together here are this module's own words)

from __future__ import annotations

import datetime as dt

import msgspec
from django.db import connection

from metering.events import BUCKETS, Usage
from metering.store.file_shares import ANY_FILE, FILE_SHARES, HAS_FILES

# Tokens of a large file, times it was sent, and how much of it a use has to have sent to be of the whole file.
LARGE, LEAST_USES, WHOLE_TENTHS = 5_000, 6, 9
# The dearest are read when there are more.
MOST_USES = 50_000

_UNITS = ("web_searches", "images", "media_ms")
_STATEMENT = f"""
WITH uses AS (
    SELECT metering_event.*, file, file_name, extracted, share_tokens, share_nanos
    FROM metering_event CROSS JOIN LATERAL {FILE_SHARES}
    WHERE organization_id = %(organization)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
        AND superseded_by IS NULL AND {HAS_FILES} AND NOT is_error AND file <> '{ANY_FILE}'
        AND extracted >= {LARGE} AND 10 * share_tokens >= {WHOLE_TENTHS} * extracted AND share_nanos > 0
), counted AS (
    SELECT *, row_number() OVER (PARTITION BY file ORDER BY occurred_at, key) AS number,
        count(*) OVER (PARTITION BY file) AS uses,
        first_value(file_name) OVER (PARTITION BY file ORDER BY occurred_at DESC, key DESC) AS name
    FROM uses
)
SELECT event_id, occurred_at, file, coalesce(name, file), project_id, model_id, chat, cost_nanos, extracted,
    share_tokens::bigint, share_nanos::bigint, number, price_version_id, service_tier, {", ".join((*BUCKETS, *_UNITS))}
FROM counted WHERE uses >= {LEAST_USES} ORDER BY number > 1, share_nanos DESC, occurred_at, key LIMIT {MOST_USES}
"""


class FileUse(msgspec.Struct, frozen=True, gc=False):
    """A large file sent whole with a call. References are 0 for none.

    `extracted` are the tokens of its text, `share_tokens` and `share_nanos` its share of the call; `number` is 1 for
    the first of its uses in the range.
    """

    event_id: str
    at: dt.datetime
    file: str
    name: str
    project: int
    model: int
    chat: str | None
    cost_nanos: int
    extracted: int
    share_tokens: int
    share_nanos: int
    number: int
    price_version: int
    service_tier: str | None
    usage: Usage


def file_repeats(organization_id: int, start: dt.datetime, end: dt.datetime) -> list[FileUse]:
    """Uses of large files that were sent whole LEAST_USES times or more in [start, end): the first of each file first,
    then the dearest. Needs the organization's scope."""
    names = (*BUCKETS, *_UNITS)
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, {"organization": organization_id, "start": start, "end": end})
        return [
            FileUse(*(*row[: -len(names)], Usage(**dict(zip(names, row[-len(names) :], strict=True)))))
            for row in cursor.fetchall()
        ]
