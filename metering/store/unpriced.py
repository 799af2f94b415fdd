"""Calls that were let in under a limit in money and whose price is not known: what limits count of them all the same.

Their events cost None, which every total says, and which must not be room under a cap. A row is that event's, and goes
when the event gets a price or is superseded. metering/limits/standing.py counts them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from metering.store.steps import Execute, Steps

COLUMNS = (
    "organization_id, key, occurred_at, project_id, team_id, department_id, member_id, api_key_id, model, feature,"
    " cost_nanos"
)
# Written twice, by a settlement that is tried again, it is one; and what is known of a cost only grows.
KEEP_ONCE = (
    "ON CONFLICT (organization_id, key) DO UPDATE SET"
    " cost_nanos = greatest(metering_unpriced_call.cost_nanos, excluded.cost_nanos)"
)
_KEEP = f"""
INSERT INTO metering_unpriced_call ({COLUMNS})
SELECT {COLUMNS}
FROM unnest(%s::int[], %s::uuid[], %s::timestamptz[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[], %s::text[],
    %s::text[], %s::bigint[]) AS t ({COLUMNS})
{KEEP_ONCE}
"""
_DROP = """
DELETE FROM metering_unpriced_call u USING unnest(%s::int[], %s::uuid[]) AS t (organization_id, key)
WHERE u.organization_id = t.organization_id AND u.key = t.key
"""


class Unpriced(msgspec.Struct, frozen=True):
    """An event without a price, what limits choose it by (metering.limits.rules.Selection), and what they count."""

    organization_id: int
    key: uuid.UUID
    occurred_at: dt.datetime
    selection: tuple[int, int, int, int, int, str, str]
    cost_nanos: int


def keep(calls: Sequence[Unpriced]) -> Steps[None]:
    """Count so much of each. Needs the organizations' scope."""
    rows = [(one.organization_id, one.key, one.occurred_at, *one.selection, one.cost_nanos) for one in calls]
    yield Execute(_KEEP, [list(column) for column in zip(*rows, strict=True)])


def drop(addresses: Sequence[tuple[int, uuid.UUID]]) -> Steps[None]:
    """Count these no more: they have a price now, or another event stands in their place. Needs the scope."""
    if addresses:
        yield Execute(_DROP, [list(column) for column in zip(*addresses, strict=True)])
