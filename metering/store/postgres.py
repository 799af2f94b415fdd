"""Events and roll-ups in PostgreSQL: what is written, and how it stays true.

`append` is the only way in. Inside the caller's transaction it copies the rows into a temporary table, claims
their keys, and adds those that were new to the events and to three roll-ups:

- metering_usage_hour: hour × project × key × model × provider, hours as the organization's clock has them
  (a zone at +5:45 has its hours begin at a quarter past UTC's);
- metering_usage_day: a cube of single dimensions, (kind of dimension, day in the organization's zone, value);
- metering_usage_chat: chat × month.

Every statement writes in key order, so two writers wait for each other but never in a circle. A correction
enters its predecessor once more with sign −1, which is all that the roll-ups need to know.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from core.periods import LocalClock, instant, micros, month_span
from core.tenancy import SETTING, setting_value
from metering.store.base import CONFLICT, CREATED, DUPLICATE, Appended, Outcome, Problem, StoredEvent
from metering.store.rollups import roll_up_chats, roll_up_days, roll_up_hours
from metering.store.steps import Copy, Execute, Steps

_ALL_COLUMNS = StoredEvent.__struct_fields__
EVENT_COLUMNS = _ALL_COLUMNS[: _ALL_COLUMNS.index("hour")]
_EVENT_LIST = ", ".join(EVENT_COLUMNS)


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

CREATE_STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS staging (
    LIKE metering_event,
    hour timestamptz NOT NULL, day date NOT NULL, month date NOT NULL,
    chat_title text, body_hash uuid NOT NULL, supersedes uuid, sign smallint NOT NULL DEFAULT 1
) ON COMMIT DELETE ROWS
"""
COPY_STAGING = f"COPY staging ({', '.join(_ALL_COLUMNS)}) FROM STDIN (FORMAT BINARY)"

CLAIM_KEYS = """
INSERT INTO metering_event_key (organization_id, key, body_hash, occurred_at)
SELECT organization_id, key, body_hash, occurred_at FROM staging ORDER BY organization_id, key
ON CONFLICT DO NOTHING RETURNING organization_id, uuid_send(key)
"""
# Keys that were taken already: the same body makes a duplicate, another one a conflict.
DROP_CLAIMED = """
DELETE FROM staging s USING metering_event_key k
WHERE k.organization_id = s.organization_id AND k.key = s.key
  AND NOT ((s.organization_id, uuid_send(s.key)) IN (SELECT * FROM unnest(%s::int[], %s::bytea[])))
RETURNING s.organization_id, uuid_send(s.key), s.body_hash = k.body_hash
"""
ADD_EVENTS = f"INSERT INTO metering_event ({_EVENT_LIST}) SELECT {_EVENT_LIST} FROM staging WHERE sign = 1"

FIND_SUPERSEDED = """
SELECT k.organization_id, k.key, k.occurred_at, e.superseded_by
FROM unnest(%s::int[], %s::uuid[]) AS wanted (organization_id, key)
JOIN metering_event_key k USING (organization_id, key)
JOIN metering_event e ON e.organization_id = k.organization_id AND e.occurred_at = k.occurred_at AND e.key = k.key
ORDER BY k.organization_id, k.key
FOR UPDATE OF e
"""
RETIRE_SUPERSEDED = f"""
WITH old AS (
    UPDATE metering_event e SET superseded_by = n.successor
    FROM unnest(%s::int[], %s::timestamptz[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::date[], %s::date[])
        AS n (organization_id, occurred_at, key, successor, hour, day, month)
    WHERE e.organization_id = n.organization_id AND e.occurred_at = n.occurred_at AND e.key = n.key
    RETURNING e.*, n.hour AS at_hour, n.day AS at_day, n.month AS at_month
)
INSERT INTO staging ({_EVENT_LIST}, hour, day, month, body_hash, sign)
SELECT {_EVENT_LIST}, at_hour, at_day, at_month, key, -1 FROM old
"""


ROLL_UP_HOURS = roll_up_hours("staging")
ROLL_UP_DAYS = roll_up_days("staging")
ROLL_UP_CHATS = roll_up_chats("staging")

# After a correction moved the last event out of a row, the row is as if it had never been.
DROP_EMPTY = (
    """DELETE FROM metering_usage_hour r USING (SELECT DISTINCT organization_id, hour FROM staging WHERE sign < 0) s
       WHERE r.organization_id = s.organization_id AND r.hour = s.hour AND r.requests = 0""",
    """DELETE FROM metering_usage_day r USING (SELECT DISTINCT organization_id, day FROM staging WHERE sign < 0) s
       WHERE r.organization_id = s.organization_id AND r.day = s.day AND r.requests = 0""",
)
# Titles and times cannot be subtracted: chats a correction touched are summed up again from their events.
TOUCHED_CHATS = """
SELECT DISTINCT organization_id, month, chat FROM staging
WHERE chat IS NOT NULL AND (organization_id, chat) IN (SELECT organization_id, chat FROM staging WHERE sign < 0)
"""


DROP_CHATS = """
DELETE FROM metering_usage_chat r USING unnest(%s::int[], %s::date[], %s::text[]) AS t (organization_id, month, chat)
WHERE r.organization_id = t.organization_id AND r.month = t.month AND r.chat = t.chat
"""
REBUILD_CHATS = roll_up_chats("""(
    SELECT e.*, 1 AS sign, t.month, e.detail ->> 'chat_title' AS chat_title
    FROM unnest(%s::int[], %s::date[], %s::text[], %s::timestamptz[], %s::timestamptz[])
        AS t (organization_id, month, chat, starts_at, ends_at)
    JOIN metering_event e ON e.organization_id = t.organization_id AND e.chat = t.chat
        AND e.occurred_at >= t.starts_at AND e.occurred_at < t.ends_at
    WHERE e.superseded_by IS NULL
) AS events""")

# Appending shares an organization's lock; rebuilding its roll-ups takes it alone (metering/store/rebuild.py).
LOCK_CLASS = 7_041
ENTER = f"""
SELECT set_config('{SETTING}', %s, true), pg_advisory_xact_lock_shared({LOCK_CLASS}, id) FROM unnest(%s::int[]) AS id
"""
LEDGER_ZONES = "SELECT organization_id, timezone FROM metering_ledger WHERE organization_id = ANY (%s)"


class StaleClockError(Exception):
    """Roll-ups of these organizations are kept in another zone than the caller thought: reload and try again."""

    def __init__(self, organization_ids: set[int]) -> None:
        super().__init__(f"organizations {sorted(organization_ids)} keep their ledger in another zone")
        self.organization_ids = organization_ids


def scope(organization_ids: Iterable[int]) -> Execute:
    """Whose rows a transaction of the store may touch."""
    return Execute("SELECT set_config(%s, %s, true)", (SETTING, setting_value(organization_ids)))


def enter(clocks: Mapping[int, LocalClock]) -> Steps[None]:
    """What a transaction that appends begins with: whose rows it may touch, and that their hours are the caller's."""
    ids = sorted(clocks)
    yield Execute(ENTER, (setting_value(ids), ids))
    zones = dict((yield Execute(LEDGER_ZONES, (ids,))))
    stale = {i for i in ids if zones.get(i) != clocks[i].zone.key}
    if stale:
        raise StaleClockError(stale)


Address = tuple[int, bytes]  # organization, key


def append(rows: Sequence[StoredEvent], clocks: Mapping[int, LocalClock]) -> Steps[list[Appended]]:
    """Store events that are not stored yet; returns what became of each, in order. One transaction of the caller's.

    `clocks` are those the rows were placed by, one for every organization among them. Raises StaleClockError,
    before anything is written, when one of them is not the ledger's any more.
    """
    yield from enter(clocks)
    yield Execute(CREATE_STAGING)
    first: dict[Address, StoredEvent] = {}
    for row in rows:
        first.setdefault((row.organization_id, row.key), row)
    outcomes: dict[Address, Appended] = {}
    yield from _append([row for row in first.values() if row.supersedes is None], clocks, outcomes)
    # Behind the others, because an event and its correction may come in one batch.
    yield from _append([row for row in first.values() if row.supersedes is not None], clocks, outcomes)
    return [_outcome(row, first, outcomes) for row in rows]


def _outcome(row: StoredEvent, first: dict[Address, StoredEvent], outcomes: dict[Address, Appended]) -> Appended:
    address = (row.organization_id, row.key)
    outcome = outcomes.get(address, CREATED)
    if first[address] is row or outcome.outcome is Outcome.INVALID:
        return outcome
    return DUPLICATE if first[address].body_hash == row.body_hash else CONFLICT


def _append(
    rows: Sequence[StoredEvent], clocks: Mapping[int, LocalClock], outcomes: dict[Address, Appended]
) -> Steps[None]:
    """Append rows of distinct keys, all corrections or none; what was not created goes to `outcomes`."""
    if not rows:
        return
    yield Execute("DELETE FROM staging")
    retiring: list[tuple[Any, ...]] = []
    if rows[0].supersedes is not None:
        retiring = yield from _find_superseded(rows, clocks, outcomes)
        rows = [row for row in rows if (row.organization_id, row.key) not in outcomes]
    yield Copy(COPY_STAGING, WIRE_TYPES, (msgspec.structs.astuple(row) for row in rows))
    claimed = yield Execute(CLAIM_KEYS)
    if len(claimed) < len(rows):
        taken = yield Execute(DROP_CLAIMED, ([c[0] for c in claimed], [c[1] for c in claimed]))
        for organization_id, key, is_same in taken:
            outcomes[organization_id, key] = DUPLICATE if is_same else CONFLICT
    if not claimed:
        return
    yield Execute(ADD_EVENTS)
    new = set(claimed)
    retiring = [old for old in retiring if (old[0], old[3].bytes) in new]
    if retiring:
        yield Execute(RETIRE_SUPERSEDED, [list(column) for column in zip(*retiring, strict=True)])
    yield Execute(ROLL_UP_HOURS)
    yield Execute(ROLL_UP_DAYS)
    yield Execute(ROLL_UP_CHATS)
    if retiring:
        yield from _settle_corrections(clocks)


def _find_superseded(
    corrections: Sequence[StoredEvent],
    clocks: Mapping[int, LocalClock],
    outcomes: dict[Address, Appended],
) -> Steps[list[tuple[Any, ...]]]:
    """Lock the events to be corrected. Corrections of what is unknown or corrected already go to `outcomes`.

    Returns (organization, occurred at, key, successor's key, hour, day, month) of each event to retire.
    """
    wanted = [(row.organization_id, uuid.UUID(bytes=row.supersedes)) for row in corrections if row.supersedes]
    found = yield Execute(FIND_SUPERSEDED, ([w[0] for w in wanted], [w[1] for w in wanted]))
    known = {(organization_id, key): (at, successor) for organization_id, key, at, successor in found}
    retiring: list[tuple[Any, ...]] = []
    for row, address in zip(corrections, wanted, strict=True):
        at, successor = known.get(address, (None, None))
        own_key = uuid.UUID(bytes=row.key)
        if at is None:
            outcomes[row.organization_id, row.key] = _UNKNOWN_PREDECESSOR
        elif successor is not None and successor != own_key:
            outcomes[row.organization_id, row.key] = _CORRECTED_ALREADY
        elif successor is None:
            known[address] = (at, own_key)
            place = clocks[row.organization_id].place(micros(at))
            day, month = (dt.date(2000, 1, 1) + dt.timedelta(days=days) for days in (place.day, place.month))
            retiring.append((row.organization_id, at, address[1], own_key, instant(place.hour), day, month))
    return retiring


_UNKNOWN_PREDECESSOR = Appended(
    Outcome.INVALID, Problem("unknown_event", "There is no event with the id that this one supersedes.", "supersedes")
)
_CORRECTED_ALREADY = Appended(
    Outcome.INVALID,
    Problem(
        "already_superseded", "Another event supersedes that one already; supersede the newer event.", "supersedes"
    ),
)


def _settle_corrections(clocks: Mapping[int, LocalClock]) -> Steps[None]:
    """Roll-up rows that corrections emptied go; chats they touched are summed up again from their events."""
    for statement in DROP_EMPTY:
        yield Execute(statement)
    touched = yield Execute(TOUCHED_CHATS)
    if not touched:
        return
    spans = [
        (organization_id, month, chat, *month_span(month, clocks[organization_id].zone))
        for organization_id, month, chat in touched
    ]
    yield Execute(DROP_CHATS, [list(column) for column in zip(*(span[:3] for span in spans), strict=True)])
    yield Execute(REBUILD_CHATS, [list(column) for column in zip(*spans, strict=True)])
