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
from metering.store import unpriced as unpriced_calls
from metering.store.base import StoredEvent
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
_RAISE = """
UPDATE metering_hold h SET cost_nanos = greatest(h.cost_nanos, w.cost_nanos)
FROM unnest(%s::uuid[], %s::bigint[]) AS w (id, cost_nanos)
WHERE h.id = w.id AND h.organization_id = %s
"""
_CHOSEN_BY = "occurred_at, project_id, team_id, department_id, member_id, api_key_id, model, feature"


def scope(organization_ids: Iterable[int]) -> str:
    return f"SELECT set_config('{SETTING}', '{setting_value(organization_ids)}', true)"


def enter(organization_ids: Collection[int]) -> Execute:
    """The scope of these organizations, and the right to grant for them, until the end of the transaction.

    Plans that are made once serve every claim: planning would take longer than the rest.
    """
    locks = [f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {int(i)})" for i in sorted(set(organization_ids))]
    return Execute("; ".join([scope(organization_ids), _KEEP_PLANS, *locks]))


def free(wanted: Mapping[uuid.UUID, StoredEvent], unpriced: Mapping[uuid.UUID, bytes]) -> Steps[set[uuid.UUID]]:
    """Remove holds, to be the first act of the transaction that stores the events that settle them.

    What a hold in money had set aside stays counted where its event has no price: `unpriced` is hold → the event's
    key. Returns those that were there. A hold stays, and counts as not there, where another event has the id of the
    one that settles it, which will therefore not be stored.
    """
    # Numbers and UUIDs need no quoting, so that the scope can travel along.
    ids = ", ".join(f"'{hold_id}'" for hold_id in sorted(wanted))
    settling = ", ".join(
        f"('{hold_id}'::uuid, {int(row.organization_id)}, '{row.key.hex()}'::uuid, '{row.body_hash.hex()}'::uuid)"
        for hold_id, row in wanted.items()
    )
    free = f"""DELETE FROM metering_hold WHERE id IN ({ids}) AND id NOT IN (
        SELECT s.id FROM (VALUES {settling}) AS s (id, organization_id, key, body_hash)
        JOIN metering_event_key k USING (organization_id, key) WHERE k.body_hash <> s.body_hash) RETURNING"""
    if unpriced:
        keys = ", ".join(f"('{hold_id}'::uuid, '{key.hex()}'::uuid)" for hold_id, key in unpriced.items())
        free = f"""
            WITH gone AS ({free} *), kept AS (
                INSERT INTO metering_unpriced_call ({unpriced_calls.COLUMNS})
                SELECT organization_id, w.key, {_CHOSEN_BY}, cost_nanos
                FROM gone JOIN (VALUES {keys}) AS w (hold_id, key) ON w.hold_id = gone.id WHERE cost_nanos > 0
                {unpriced_calls.KEEP_ONCE})
            SELECT id FROM gone"""
    else:
        free += " id"
    scoped = scope(row.organization_id for row in wanted.values())
    return {hold_id for (hold_id,) in (yield Execute(f"{scoped}; {free}"))}


def raise_costs(organization_id: int, costs: Mapping[uuid.UUID, int]) -> Steps[None]:
    """Let holds set aside at least so many nano-dollars: so much is known to have been used."""
    yield Execute(scope([organization_id]))
    yield Execute(_RAISE, (sorted(costs), [costs[hold_id] for hold_id in sorted(costs)], organization_id))


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
SELECT organization_id, id, source, estimate FROM metering_hold
WHERE expires_at <= clock_timestamp() AND released_at IS NULL AND (organization_id, id) > (%s, %s)
ORDER BY organization_id, id LIMIT %s
"""
# Whoever settles or renews one meanwhile has it.
_TAKE = """
DELETE FROM metering_hold WHERE id IN (
    SELECT id FROM metering_hold
    WHERE id = ANY (%s) AND expires_at <= clock_timestamp() AND released_at IS NULL
    ORDER BY id FOR UPDATE SKIP LOCKED
) RETURNING id, cost_nanos
"""
_FORGET = """
DELETE FROM metering_hold WHERE id IN (
    SELECT id FROM metering_hold WHERE expires_at <= clock_timestamp() AND released_at IS NOT NULL
    ORDER BY id FOR UPDATE SKIP LOCKED
)
"""


class Expired(msgspec.Struct, frozen=True):
    """A hold that nobody settled."""

    organization_id: int
    id: uuid.UUID
    source: str
    estimate: bytes


def expired(after: Expired | None, most: int) -> Steps[list[Expired]]:
    """A page of them, behind the last one of the page before. Needs a scope."""
    behind = (after.organization_id, after.id) if after is not None else (0, uuid.UUID(int=0))
    found = yield Execute(_EXPIRED, (*behind, most))
    return [Expired(owner, hold_id, source, bytes(estimate)) for owner, hold_id, source, estimate in found]


def take_expired(ids: Collection[uuid.UUID]) -> Steps[dict[uuid.UUID, int | None]]:
    """Remove those that are still nobody's; to be followed by their events in the same transaction. Needs a scope.

    Returns what each had set aside of limits in money.
    """
    return dict((yield Execute(_TAKE, (sorted(ids),))))


def forget_released() -> Steps[None]:
    """Remove what was given back long enough ago. Needs a scope."""
    yield Execute(_FORGET, ())


# ── Looking one up ──

# Only what a client was admitted to is an admission: its hold, or its event, which the gateway's estimates are not.
_FIND = """
SELECT h.id, coalesce(h.project_id, e.project_id), coalesce(h.occurred_at, e.occurred_at), h.released_at IS NOT NULL
FROM (SELECT %s::int AS organization_id, %s::text AS event_id, %s::uuid AS key) AS w
LEFT JOIN metering_hold h
    ON h.organization_id = w.organization_id AND h.event_id = w.event_id AND h.source = 'admission'
LEFT JOIN metering_event_key k
    ON k.organization_id = w.organization_id AND k.key = w.key AND k.body_hash <> %s::uuid
LEFT JOIN metering_event e
    ON e.organization_id = k.organization_id AND e.occurred_at = k.occurred_at AND e.key = k.key
WHERE h.id IS NOT NULL OR e.key IS NOT NULL
"""
_STORED_ESTIMATES = """
SELECT k.key, CASE WHEN e.superseded_by IS NULL THEN coalesce(e.cost_nanos, u.cost_nanos, 0) END
FROM unnest(%s::uuid[], %s::uuid[]) AS w (key, body_hash)
JOIN metering_event_key k ON k.organization_id = %s AND k.key = w.key AND k.body_hash = w.body_hash
JOIN metering_event e ON e.organization_id = k.organization_id AND e.occurred_at = k.occurred_at AND e.key = k.key
LEFT JOIN metering_unpriced_call u ON u.organization_id = k.organization_id AND u.key = k.key
"""


class Found(msgspec.Struct, frozen=True):
    """An admission: its hold, or (`hold_id` None) the event that it has become. A `project_id` of 0 is none."""

    hold_id: uuid.UUID | None
    project_id: int
    occurred_at: dt.datetime
    is_released: bool


def find(organization_id: int, event_id: str, key: bytes, foreign_hash: bytes) -> Steps[Found | None]:
    """`foreign_hash` is the body hash of an estimate that would be the gateway's."""
    yield Execute(scope([organization_id]))
    wanted = (organization_id, event_id, uuid.UUID(bytes=key), uuid.UUID(bytes=foreign_hash))
    rows = yield Execute(_FIND, wanted)
    return Found(*rows[0]) if rows else None


def stored_estimates(organization_id: int, hashes: Mapping[bytes, bytes]) -> Steps[dict[bytes, int | None]]:
    """Of event keys (with the body hash an expired hold's event has) those that are such events.

    With what limits in money count of each now; None where another event has superseded it.
    """
    yield Execute(scope([organization_id]))
    columns = [uuid.UUID(bytes=key) for key in hashes], [uuid.UUID(bytes=value) for value in hashes.values()]
    found = yield Execute(_STORED_ESTIMATES, (*columns, organization_id))
    return {key.bytes: counted for key, counted in found}
