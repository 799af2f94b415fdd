"""Events and roll-ups in PostgreSQL: what is written, and how it stays true.

`append` is the only way in. Inside one transaction it copies the rows into a temporary table, claims their keys, and
adds those that were new to the events and to six roll-ups:

- metering_usage_hour: hour × project × key × model × provider, hours as the organization's clock has them
  (a zone at +5:45 has its hours begin at a quarter past UTC's);
- metering_usage_day: a cube of single dimensions, (kind of dimension, day in the organization's zone, value);
- metering_usage_chat: chat × month;
- metering_usage_file: file × chat × month, of calls with files only;
- metering_usage_latency: day × integration × model × provider × bucket of milliseconds, a histogram;
- metering_usage_rate: day × project × team × department × key × model × provider × what decides the rate.

All writers take their locks in one order: keys, events that are corrected, hours, days, chats, files, latencies, rates,
each in the order of its primary key; so they wait for each other but never in a circle. A correction enters its
predecessor once more with sign −1, which is all that the roll-ups need to know (metering/store/corrections.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from core.periods import LocalClock
from core.tenancy import SETTING, setting_value
from metering.store import corrections
from metering.store.base import CONFLICT, CREATED, DUPLICATE, Address, Appended, StoredEvent
from metering.store.staging import CLEAR, COPY_STAGING, IS_READY, MAKE_READY, STORE_STAGED, WIRE_TYPES
from metering.store.steps import Copy, Execute, Steps


class StaleClockError(Exception):
    """Roll-ups of these organizations are kept in another zone than the caller thought: reload and try again."""

    def __init__(self, organization_ids: set[int]) -> None:
        super().__init__(f"organizations {sorted(organization_ids)} keep their ledger in another zone")
        self.organization_ids = organization_ids


def scope(organization_ids: Iterable[int]) -> Execute:
    """Whose rows a transaction of the store may touch."""
    return Execute(f"SELECT set_config('{SETTING}', '{setting_value(organization_ids)}', true)")


def append(rows: Sequence[StoredEvent], clocks: Mapping[int, LocalClock]) -> Steps[list[Appended]]:
    """Store events that are not stored yet; returns what became of each, in order. One transaction of the caller's.

    `clocks` are those the rows were placed by, one for every organization among them. Raises StaleClockError,
    with nothing written, when one of them is not the ledger's any more.
    """
    first: dict[Address, StoredEvent] = {}
    for row in rows:
        first.setdefault((row.organization_id, row.key), row)
    correcting = [row for row in first.values() if row.supersedes is not None]
    ids = sorted(clocks)

    ((is_ready, is_used),) = yield Execute(IS_READY)
    if not is_ready:
        yield Execute(MAKE_READY)
    elif is_used:
        yield Execute(CLEAR)
    yield Copy(COPY_STAGING, WIRE_TYPES, map(msgspec.structs.astuple, first.values()))
    taken = yield Execute(STORE_STAGED, (ids, [clocks[i].zone.key for i in ids], not correcting))
    stale = {organization_id for organization_id, key, _ in taken if key is None}
    if stale:
        raise StaleClockError(stale)

    stored = {(organization_id, key): body_hash for organization_id, key, body_hash in taken}
    refused: dict[Address, Appended] = {}
    if correcting:
        created = {address: row for address, row in first.items() if address not in stored}
        refused = yield from corrections.append(created, clocks)
    if not stored and not refused and len(first) == len(rows):
        return [CREATED] * len(rows)
    return [_outcome(row, first, stored, refused) for row in rows]


def _outcome(
    row: StoredEvent,
    first: Mapping[Address, StoredEvent],
    stored: Mapping[Address, bytes],
    refused: Mapping[Address, Appended],
) -> Appended:
    address = (row.organization_id, row.key)
    if address in refused:
        return refused[address]
    if address not in stored and first[address] is row:
        return CREATED
    return DUPLICATE if row.body_hash == stored.get(address, first[address].body_hash) else CONFLICT
