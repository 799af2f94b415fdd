"""Corrections: an event that supersedes another takes its place in every sum, and both stay readable."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from core.periods import EPOCH_DATE, LocalClock, instant, micros, month_span
from metering.store import unpriced
from metering.store.base import Address, Appended, Outcome, Problem, StoredEvent
from metering.store.file_shares import ANY_FILE, FILES, HAS_FILES
from metering.store.rates import DROP_EMPTY_RATES
from metering.store.rollups import LATENCY_MEASURES, roll_up_chats, roll_up_files
from metering.store.staging import ADD_EVENTS, EVENT_LIST, ROLL_UPS
from metering.store.steps import Execute, Steps

_FIND = """
SELECT k.organization_id, uuid_send(k.key), k.occurred_at, e.superseded_by IS NOT NULL
FROM unnest(%s::int[], %s::uuid[]) AS wanted (organization_id, key)
JOIN metering_event_key k USING (organization_id, key)
JOIN metering_event e ON e.organization_id = k.organization_id AND e.occurred_at = k.occurred_at AND e.key = k.key
ORDER BY k.organization_id, k.key
FOR UPDATE OF e
"""
_GIVE_BACK = (
    """DELETE FROM metering_event_key k USING unnest(%s::int[], %s::uuid[]) AS t (organization_id, key)
       WHERE k.organization_id = t.organization_id AND k.key = t.key""",
    """DELETE FROM pg_temp.staging s USING unnest(%s::int[], %s::uuid[]) AS t (organization_id, key)
       WHERE s.organization_id = t.organization_id AND s.key = t.key""",
)
_RETIRE = f"""
WITH old AS (
    UPDATE metering_event e SET superseded_by = n.successor
    FROM unnest(%s::int[], %s::timestamptz[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::date[], %s::date[])
        AS n (organization_id, occurred_at, key, successor, hour, day, month)
    WHERE e.organization_id = n.organization_id AND e.occurred_at = n.occurred_at AND e.key = n.key
    RETURNING e.*, n.hour AS at_hour, n.day AS at_day, n.month AS at_month
)
INSERT INTO pg_temp.staging ({EVENT_LIST}, hour, day, month, body_hash, sign)
SELECT {EVENT_LIST}, at_hour, at_day, at_month, key, -1 FROM old
"""
# After a correction moved the last event out of a row, the row is as if it had never been.
_DROP_EMPTY = (
    """DELETE FROM metering_usage_hour r
       USING (SELECT DISTINCT organization_id, hour FROM pg_temp.staging WHERE sign < 0) s
       WHERE r.organization_id = s.organization_id AND r.hour = s.hour AND r.requests = 0""",
    """DELETE FROM metering_usage_day r
       USING (SELECT DISTINCT organization_id, day FROM pg_temp.staging WHERE sign < 0) s
       WHERE r.organization_id = s.organization_id AND r.day = s.day AND r.requests = 0""",
    """DELETE FROM metering_usage_file r
       USING (SELECT DISTINCT organization_id, month FROM pg_temp.staging WHERE sign < 0) s
       WHERE r.organization_id = s.organization_id AND r.month = s.month AND r.requests = 0""",
    f"""DELETE FROM metering_usage_latency r
       USING (SELECT DISTINCT organization_id, day FROM pg_temp.staging WHERE sign < 0) s
       WHERE r.organization_id = s.organization_id AND r.day = s.day AND {" + ".join(LATENCY_MEASURES)} = 0""",
    DROP_EMPTY_RATES,
)
# Titles and times cannot be subtracted: chats that a correction touched are summed up again from their events.
_TOUCHED_CHATS = """
SELECT DISTINCT organization_id, month, chat FROM pg_temp.staging
WHERE chat IS NOT NULL AND (organization_id, chat) IN (SELECT organization_id, chat FROM pg_temp.staging WHERE sign < 0)
"""
_DROP_CHATS = """
DELETE FROM metering_usage_chat r USING unnest(%s::int[], %s::date[], %s::text[]) AS t (organization_id, month, chat)
WHERE r.organization_id = t.organization_id AND r.month = t.month AND r.chat = t.chat
"""
_REBUILD_CHATS = roll_up_chats("""(
    SELECT e.*, 1 AS sign, t.month, e.detail ->> 'chat_title' AS chat_title
    FROM unnest(%s::int[], %s::date[], %s::text[], %s::timestamptz[], %s::timestamptz[])
        AS t (organization_id, month, chat, starts_at, ends_at)
    JOIN metering_event e ON e.organization_id = t.organization_id AND e.chat = t.chat
        AND e.occurred_at >= t.starts_at AND e.occurred_at < t.ends_at
    WHERE e.superseded_by IS NULL
) AS events""")
# The same of files, chat by chat. The row of any file has sums only.
_TOUCHED_FILES = f"""
SELECT DISTINCT organization_id, month, f ->> 'id', coalesce(chat, '')
FROM pg_temp.staging, jsonb_array_elements({FILES}) AS f
WHERE sign < 0 AND {HAS_FILES} AND f ->> 'id' <> '{ANY_FILE}'
"""
_DROP_FILES = """
DELETE FROM metering_usage_file r
USING unnest(%s::int[], %s::date[], %s::text[], %s::text[]) AS t (organization_id, month, file, chat)
WHERE r.organization_id = t.organization_id AND r.month = t.month AND r.file = t.file AND r.chat = t.chat
"""
# Each file's own rows: the other files of its calls have theirs, which nothing has touched.
_REBUILD_FILES = roll_up_files(
    """(
    SELECT e.*, 1 AS sign, t.month, t.file AS only_file
    FROM unnest(%s::int[], %s::date[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
        AS t (organization_id, month, file, chat, starts_at, ends_at)
    JOIN metering_event e ON e.organization_id = t.organization_id AND e.detail ? 'files'
        AND e.occurred_at >= t.starts_at AND e.occurred_at < t.ends_at AND coalesce(e.chat, '') = t.chat
    WHERE e.superseded_by IS NULL
) AS events""",
    "file = only_file",
)

_UNKNOWN = Appended(
    Outcome.INVALID, Problem("unknown_event", "There is no event with the id that this one supersedes.", "supersedes")
)
_SUPERSEDED_ALREADY = Appended(
    Outcome.INVALID,
    Problem(
        "already_superseded", "Another event supersedes that one already; supersede the newer event.", "supersedes"
    ),
)


class _Retiring(msgspec.Struct, frozen=True):
    """An event on its way out, and where it was counted."""

    organization_id: int
    occurred_at: dt.datetime
    key: uuid.UUID
    successor: uuid.UUID
    hour: dt.datetime
    day: dt.date
    month: dt.date


def append(created: Mapping[Address, StoredEvent], clocks: Mapping[int, LocalClock]) -> Steps[dict[Address, Appended]]:
    """Go on where `postgres.append` has claimed the keys of rows with corrections among them.

    Returns what became of the corrections that cannot be: their keys are free again.
    """
    wanted = {(row.organization_id, row.supersedes) for row in created.values() if row.supersedes is not None}
    found = yield Execute(_FIND, _columns(sorted(wanted)))
    stored = {(organization_id, key): (at, is_old) for organization_id, key, at, is_old in found}
    retiring, refused = _decide(created, stored, clocks)
    if refused:
        for statement in _GIVE_BACK:
            yield Execute(statement, _columns(sorted(refused)))
    if len(refused) == len(created):
        return refused
    yield Execute(ADD_EVENTS, ())
    if retiring:
        columns = [list(column) for column in zip(*map(msgspec.structs.astuple, retiring), strict=True)]
        yield Execute(_RETIRE, columns)
        yield from unpriced.drop([(one.organization_id, one.key) for one in retiring])
    for statement in ROLL_UPS:
        yield Execute(statement, ())
    if retiring:
        yield from _settle(clocks)
    return refused


def _columns(addresses: list[Address]) -> tuple[list[int], list[uuid.UUID]]:
    return [organization_id for organization_id, _ in addresses], [uuid.UUID(bytes=key) for _, key in addresses]


def _decide(
    created: Mapping[Address, StoredEvent],
    stored: Mapping[Address, tuple[dt.datetime, bool]],
    clocks: Mapping[int, LocalClock],
) -> tuple[list[_Retiring], dict[Address, Appended]]:
    """Which events retire, and which corrections are refused.

    A batch may hold an event, its correction and the correction's correction, in any order; so it is gone over until
    nothing changes. What is left then waits for itself.
    """
    known = {address: micros(at) for address, (at, _) in stored.items()}
    known |= {address: row.occurred_at for address, row in created.items() if row.supersedes is None}
    gone = {address for address, (_, is_old) in stored.items() if is_old}
    waiting = {
        address: (row, (row.organization_id, row.supersedes))
        for address, row in created.items()
        if row.supersedes is not None
    }
    retiring: list[_Retiring] = []
    refused: dict[Address, Appended] = {}
    while waiting:
        before = len(waiting)
        for address, (row, target) in list(waiting.items()):
            if target in gone:
                refused[address] = _SUPERSEDED_ALREADY
            elif target in known:
                gone.add(target)
                known[address] = row.occurred_at
                retiring.append(_retire(target, known[target], row.key, clocks[row.organization_id]))
            elif target in waiting:
                continue
            else:
                refused[address] = _UNKNOWN
            del waiting[address]
        if len(waiting) == before:
            refused |= dict.fromkeys(waiting, _UNKNOWN)
            break
    return retiring, refused


def _retire(target: Address, at: int, successor: bytes, clock: LocalClock) -> _Retiring:
    place = clock.place(at)
    day, month = (EPOCH_DATE + dt.timedelta(days=days) for days in (place.day, place.month))
    organization_id, key = target
    return _Retiring(
        organization_id, instant(at), uuid.UUID(bytes=key), uuid.UUID(bytes=successor), instant(place.hour), day, month
    )


def _settle(clocks: Mapping[int, LocalClock]) -> Steps[None]:
    """Roll-up rows that corrections emptied go; chats they touched are summed up again."""
    for statement in _DROP_EMPTY:
        yield Execute(statement, ())
    for find, drop, again in (
        (_TOUCHED_CHATS, _DROP_CHATS, _REBUILD_CHATS),
        (_TOUCHED_FILES, _DROP_FILES, _REBUILD_FILES),
    ):
        touched: list[tuple[Any, ...]] = yield Execute(find, ())
        if touched:
            spans = [(*row, *month_span(row[1], clocks[row[0]].zone)) for row in touched]
            yield Execute(drop, [list(column) for column in zip(*touched, strict=True)])
            yield Execute(again, [list(column) for column in zip(*spans, strict=True)])
