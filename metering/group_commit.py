"""Group commit: events of many requests become one transaction (metering/lanes.py has why and how)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg

from core.periods import LocalClock
from metering.lanes import Lanes, StorageUnavailableError, UnstorableError, Work
from metering.store import holds, postgres
from metering.store.base import Appended, StoredEvent
from metering.store.holds import HoldGoneError
from metering.store.steps import Steps, transact

__all__ = ["GroupCommit", "HoldGoneError", "StorageUnavailableError", "UnstorableError"]


class _Rows(Work):
    __slots__ = ("hold_id", "rows")

    def __init__(
        self,
        rows: Sequence[StoredEvent],
        clock: LocalClock,
        hold_id: uuid.UUID | None,
        answer: asyncio.Future[list[Appended]],
    ) -> None:
        super().__init__(rows[0].organization_id, clock, len(rows), answer)
        self.rows = rows
        self.hold_id = hold_id


class GroupCommit(Lanes[_Rows]):
    name = "group-commit"
    # Two transactions at a time: one is encoded while the database works on the other. More would only wait for its
    # rows.
    lanes = 2
    most_at_once = 5_000
    most_waiting = 200_000

    async def append(
        self, rows: Sequence[StoredEvent], clock: LocalClock, hold_id: uuid.UUID | None = None
    ) -> list[Appended]:
        """What became of each row, after its commit. All rows are of one organization, placed by its `clock`.

        A row whose commit went unheard and was tried again is told to be a duplicate, which it is. With `hold_id` the
        rows settle that hold, which goes in the same transaction.

        Raises StorageUnavailableError, UnstorableError, postgres.StaleClockError (place the rows again), or
        HoldGoneError, with nothing stored.
        """
        appended: list[Appended] = await self.submit(_Rows(rows, clock, hold_id, self._loop.create_future()))
        return appended

    def _write(
        self, connection: psycopg.Connection[Any], group: Sequence[_Rows]
    ) -> Sequence[list[Appended] | HoldGoneError]:
        return transact(connection, _append(group))


def _append(group: Sequence[_Rows]) -> Steps[list[list[Appended] | HoldGoneError]]:
    held = {work.hold_id: work.organization_id for work in group if work.hold_id is not None}
    found = (yield from holds.free(held)) if held else set()
    sound = [work for work in group if work.hold_id is None or work.hold_id in found]
    outcomes: list[Appended] = []
    if sound:
        rows = sound[0].rows if len(sound) == 1 else [row for work in sound for row in work.rows]
        outcomes = yield from postgres.append(rows, {work.organization_id: work.clock for work in sound})
    answers: list[list[Appended] | HoldGoneError] = []
    at = 0
    for work in group:
        if work.hold_id is not None and work.hold_id not in found:
            answers.append(HoldGoneError())
            continue
        answers.append(outcomes[at : at + len(work.rows)])
        at += len(work.rows)
    return answers
