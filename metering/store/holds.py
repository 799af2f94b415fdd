"""Holds in PostgreSQL: what one call may use at most, set aside from its admission to its settlement.

Whoever grants for an organization has its lock (`enter`) until it has committed, so that nobody else counts what is
left meanwhile. Settling needs no lock: it removes the hold, stores the event and adds to the roll-ups in one
transaction, and a statement sees all of that or nothing.

Rows of holds are locked before anything of the ledger, in the order of their ids.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping

from core.tenancy import SETTING, setting_value
from metering.store.steps import Execute, Steps

# Granting takes an organization's lock alone.
LOCK_CLASS = 7_044

_RENEW = """
UPDATE metering_hold SET expires_at = clock_timestamp() + make_interval(secs => %s)
WHERE id IN (
    SELECT id FROM metering_hold WHERE id = ANY (%s) AND released_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED
)
"""
# Given back twice is given back once. Only an admission is remembered, because only there may somebody ask again.
_RELEASE = """
UPDATE metering_hold SET
    released_at = coalesce(released_at, clock_timestamp()),
    expires_at = CASE WHEN source = 'admission' AND released_at IS NULL
                      THEN clock_timestamp() + make_interval(secs => %s) ELSE expires_at END
WHERE organization_id = %s AND id = %s
RETURNING id
"""


class HoldGoneError(Exception):
    """The hold that an event should settle is not there: it is settled already, or was given up for lost."""


def scope(organization_ids: Iterable[int]) -> str:
    return f"SELECT set_config('{SETTING}', '{setting_value(organization_ids)}', true)"


def enter(organization_ids: Collection[int]) -> Execute:
    """The scope of these organizations, and the right to grant for them, until the end of the transaction."""
    locks = [f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {int(i)})" for i in sorted(set(organization_ids))]
    return Execute("; ".join([scope(organization_ids), *locks]))


def free(wanted: Mapping[uuid.UUID, int]) -> Steps[set[uuid.UUID]]:
    """Remove holds (id → organization), to be the first act of the transaction that stores their events.

    Returns those that were there.
    """
    # Numbers and UUIDs need no quoting, so that the scope can travel along.
    ids = ", ".join(f"'{hold_id}'" for hold_id in sorted(wanted))
    gone = yield Execute(
        f"{scope(wanted.values())}; DELETE FROM metering_hold WHERE id IN ({ids}) RETURNING id"
    )
    return {hold_id for (hold_id,) in gone}


def renew(wanted: Mapping[uuid.UUID, int], lease_seconds: float) -> Steps[None]:
    """Let holds (id → organization) expire later. Those that somebody is settling are left alone."""
    yield Execute(scope(wanted.values()))
    yield Execute(_RENEW, (lease_seconds, sorted(wanted)))


def release(organization_id: int, hold_id: uuid.UUID, remembered_seconds: float) -> Steps[bool]:
    """Give a hold back; whether there is (still) one."""
    yield Execute(scope([organization_id]))
    return bool((yield Execute(_RELEASE, (remembered_seconds, organization_id, hold_id))))
