"""Holds in PostgreSQL: what one call may use at most, set aside from its admission to its settlement.

Whoever grants for an organization has its lock (`enter`) until it has committed, so that nobody else counts what is
left meanwhile. Settling needs no lock: it removes the hold, stores the event and adds to the roll-ups in one
transaction, and a statement sees all of that or nothing.

Rows of holds are locked before anything of the ledger, in the order of their ids.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Mapping

import msgspec

from core.tenancy import SETTING, setting_value
from metering.store.steps import Execute, Steps

# Granting takes an organization's lock alone.
LOCK_CLASS = 7_044
_KEEP_PLANS = "SET LOCAL plan_cache_mode = force_generic_plan"

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


def scope(organization_ids: Iterable[int]) -> str:
    return f"SELECT set_config('{SETTING}', '{setting_value(organization_ids)}', true)"


def enter(organization_ids: Collection[int]) -> Execute:
    """The scope of these organizations, and the right to grant for them, until the end of the transaction.

    Plans that are made once serve every claim: planning would take longer than the rest.
    """
    locks = [f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {int(i)})" for i in sorted(set(organization_ids))]
    return Execute("; ".join([scope(organization_ids), _KEEP_PLANS, *locks]))


def free(wanted: Mapping[uuid.UUID, int]) -> Steps[set[uuid.UUID]]:
    """Remove holds (id → organization), to be the first act of the transaction that stores their events.

    Returns those that were there.
    """
    # Numbers and UUIDs need no quoting, so that the scope can travel along.
    ids = ", ".join(f"'{hold_id}'" for hold_id in sorted(wanted))
    gone = yield Execute(f"{scope(wanted.values())}; DELETE FROM metering_hold WHERE id IN ({ids}) RETURNING id")
    return {hold_id for (hold_id,) in gone}


def renew(wanted: Mapping[uuid.UUID, int], lease_seconds: float) -> Steps[None]:
    """Let holds (id → organization) expire later. Those that somebody is settling are left alone."""
    yield Execute(scope(wanted.values()))
    yield Execute(_RENEW, (lease_seconds, sorted(wanted)))


def release(organization_id: int, hold_id: uuid.UUID, remembered_seconds: float) -> Steps[bool]:
    """Give a hold back; whether there is (still) one."""
    yield Execute(scope([organization_id]))
    return bool((yield Execute(_RELEASE, (remembered_seconds, organization_id, hold_id))))


# ── Given up for lost ──

_EXPIRED = """
SELECT organization_id, id, estimate FROM metering_hold
WHERE expires_at <= clock_timestamp() AND released_at IS NULL ORDER BY organization_id, id LIMIT %s
"""
# Whoever settles or renews one meanwhile has it.
_TAKE = """
DELETE FROM metering_hold WHERE id IN (
    SELECT id FROM metering_hold
    WHERE id = ANY (%s) AND expires_at <= clock_timestamp() AND released_at IS NULL
    ORDER BY id FOR UPDATE SKIP LOCKED
) RETURNING id
"""
_FORGET = """
DELETE FROM metering_hold WHERE id IN (
    SELECT id FROM metering_hold WHERE expires_at <= clock_timestamp() AND released_at IS NOT NULL
    ORDER BY id FOR UPDATE SKIP LOCKED
)
"""


def expired(most: int) -> Steps[list[tuple[int, uuid.UUID, bytes]]]:
    """Organization, id and estimate of holds that nobody settled. Needs a scope."""
    found = yield Execute(_EXPIRED, (most,))
    return [(organization_id, hold_id, bytes(estimate)) for organization_id, hold_id, estimate in found]


def take_expired(ids: Collection[uuid.UUID]) -> Steps[set[uuid.UUID]]:
    """Remove those that are still nobody's; to be followed by their events in the same transaction. Needs a scope."""
    return {hold_id for (hold_id,) in (yield Execute(_TAKE, (sorted(ids),)))}


def forget_released() -> Steps[None]:
    """Remove what was given back long enough ago. Needs a scope."""
    yield Execute(_FORGET, ())


# ── Looking one up ──

_FIND = """
SELECT h.id, h.project_id, coalesce(h.occurred_at, k.occurred_at), h.released_at IS NOT NULL
FROM (SELECT %s::int AS organization_id, %s::text AS event_id, %s::uuid AS key) AS w
LEFT JOIN metering_hold h
    ON h.organization_id = w.organization_id AND h.event_id = w.event_id AND h.source = 'admission'
LEFT JOIN metering_event_key k ON k.organization_id = w.organization_id AND k.key = w.key
WHERE h.id IS NOT NULL OR k.key IS NOT NULL
"""
_STORED_ESTIMATES = """
SELECT k.key FROM unnest(%s::uuid[], %s::uuid[]) AS w (key, body_hash)
JOIN metering_event_key k ON k.organization_id = %s AND k.key = w.key AND k.body_hash = w.body_hash
"""


class Found(msgspec.Struct, frozen=True):
    """An admission: its hold, or (`hold_id` None) the event that it has become."""

    hold_id: uuid.UUID | None
    project_id: int | None
    occurred_at: dt.datetime
    is_released: bool


def find(organization_id: int, event_id: str, key: bytes) -> Steps[Found | None]:
    yield Execute(scope([organization_id]))
    rows = yield Execute(_FIND, (organization_id, event_id, uuid.UUID(bytes=key)))
    return Found(*rows[0]) if rows else None


def stored_estimates(organization_id: int, hashes: Mapping[bytes, bytes]) -> Steps[set[bytes]]:
    """Of event keys (with the body hash an expired hold's event has) those that are such events."""
    yield Execute(scope([organization_id]))
    columns = [uuid.UUID(bytes=key) for key in hashes], [uuid.UUID(bytes=value) for value in hashes.values()]
    return {key.bytes for (key,) in (yield Execute(_STORED_ESTIMATES, (*columns, organization_id)))}
