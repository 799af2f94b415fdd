"""The temporary table that new rows pass through, and the ordinary append as one statement with kept plans.

Both are a session's own (`pg_temp`), so the SQL is always that of the running code and needs no migration.
"""

from __future__ import annotations

from core.tenancy import SETTING
from metering.store.base import StoredEvent
from metering.store.file_shares import HAS_FILES
from metering.store.rollups import (
    HAS_LATENCY,
    roll_up_chats,
    roll_up_days,
    roll_up_files,
    roll_up_hours,
    roll_up_latencies,
    roll_up_rates,
)

_ALL_COLUMNS = StoredEvent.__struct_fields__
EVENT_COLUMNS = _ALL_COLUMNS[: _ALL_COLUMNS.index("hour")]
EVENT_LIST = ", ".join(EVENT_COLUMNS)


def _wire_type(column: str) -> str:
    """What binary COPY is told a column is. Times and keys are sent as the integers and bytes they are on the wire."""
    if column in ("occurred_at", "received_at", "hour", "cost_nanos", "input_cost_nanos", "output_cost_nanos"):
        return "int8"
    if column in ("key", "body_hash", "supersedes", "tags", "raw_usage", "detail"):
        return "bytea"
    if column in ("event_id", "price_rule", "service_tier", "chat", "message", "chat_title"):
        return "text"
    if column.startswith("is_"):
        return "bool"
    return "int2" if column == "pricing" else "int4"


WIRE_TYPES = tuple(_wire_type(column) for column in _ALL_COLUMNS)
COPY_STAGING = f"COPY pg_temp.staging ({', '.join(_ALL_COLUMNS)}) FROM STDIN (FORMAT BINARY)"

# Appending shares an organization's lock; rebuilding its roll-ups takes it alone (metering/store/rebuild.py).
LOCK_CLASS = 7_041
ADD_EVENTS = f"INSERT INTO metering_event ({EVENT_LIST}) SELECT {EVENT_LIST} FROM pg_temp.staging WHERE sign = 1"
# Statement → the rows it is about; where a write has none of them, it is left out.
_ABOUT = {
    roll_up_hours: "",
    roll_up_days: "",
    roll_up_chats: "chat IS NOT NULL",
    roll_up_files: HAS_FILES,
    roll_up_latencies: HAS_LATENCY,
    roll_up_rates: "",
}
ROLL_UPS = tuple(statement("pg_temp.staging") for statement in _ABOUT)
_ROLL_UP_WHAT_IS_THERE = "\n".join(
    f"IF EXISTS (SELECT FROM pg_temp.staging WHERE {rows}) THEN {statement}; END IF;" if rows else f"{statement};"
    for statement, rows in zip(ROLL_UPS, _ABOUT.values(), strict=True)
)

# Whether the table is there, and whether an earlier append of this transaction left rows in it.
IS_READY = """
SELECT staging IS NOT NULL, coalesce(pg_relation_size(staging), 0) > 0 FROM to_regclass('pg_temp.staging') AS staging
"""
CLEAR = "DELETE FROM pg_temp.staging"
MAKE_READY = f"""
CREATE TEMPORARY TABLE staging (
    LIKE metering_event,
    hour timestamptz NOT NULL, day date NOT NULL, month date NOT NULL,
    chat_title text, body_hash uuid NOT NULL, supersedes uuid, sign smallint NOT NULL DEFAULT 1
) ON COMMIT DELETE ROWS;
CREATE FUNCTION pg_temp.store_staged(ids int[], zones text[], is_plain boolean)
RETURNS TABLE (organization_id int, key bytea, body_hash bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    taken_ids int[];
    taken_keys uuid[];
BEGIN
    PERFORM set_config('{SETTING}', ids::text, true);
    PERFORM pg_advisory_xact_lock_shared({LOCK_CLASS}, id) FROM unnest(ids) AS id;
    -- Organizations whose roll-ups are kept in another zone than the rows were placed by: nothing is written.
    RETURN QUERY SELECT id, NULL::bytea, NULL::bytea FROM unnest(ids, zones) AS placed (id, zone)
        WHERE NOT EXISTS (SELECT FROM metering_ledger l WHERE l.organization_id = id AND l.timezone = zone);
    IF FOUND THEN
        RETURN;
    END IF;
    -- NOT IN, because it is a hashed look-up whatever the planner believes of a table that is always new.
    WITH claimed AS (
        INSERT INTO metering_event_key (organization_id, key, body_hash, occurred_at)
        SELECT organization_id, key, body_hash, occurred_at FROM pg_temp.staging ORDER BY organization_id, key
        ON CONFLICT DO NOTHING RETURNING organization_id, key
    ), gone AS (
        DELETE FROM pg_temp.staging
        WHERE (organization_id, key) NOT IN (SELECT organization_id, key FROM claimed)
        RETURNING organization_id, key
    )
    SELECT array_agg(organization_id), array_agg(key) INTO taken_ids, taken_keys FROM gone;
    IF taken_ids IS NOT NULL THEN
        RETURN QUERY SELECT k.organization_id, uuid_send(k.key), uuid_send(k.body_hash)
            FROM unnest(taken_ids, taken_keys) AS taken (organization_id, key)
            JOIN metering_event_key k USING (organization_id, key);
    END IF;
    IF NOT is_plain THEN
        RETURN;
    END IF;
    {ADD_EVENTS};
    IF FOUND THEN
        {_ROLL_UP_WHAT_IS_THERE}
    END IF;
END $$
"""
# Answers the keys that were taken already with the hash of what holds them, or organizations whose clock is stale.
STORE_STAGED = "SELECT organization_id, key, body_hash FROM pg_temp.store_staged(%s, %s, %s)"
