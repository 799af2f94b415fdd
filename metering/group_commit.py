"""Group commit: events of many requests become one transaction (metering/lanes.py has why and how)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg

from core.periods import LocalClock
from metering.lanes import Lanes, StorageUnavailableError, UnstorableError, Work
from metering.pricing.rate import Pricing
from metering.signals import usage_recorded
from metering.store import holds, postgres
from metering.store.base import Appended, StoredEvent
from metering.store.steps import Steps, transact

__all__ = ["GroupCommit", "StorageUnavailableError", "UnstorableError"]


class _Rows(Work):
    __slots__ = ("hold_ids", "rows")

    def __init__(
        self,
        rows: Sequence[StoredEvent],
        clock: LocalClock,
        hold_ids: Sequence[uuid.UUID | None],
        answer: asyncio.Future[list[Appended | None]],
    ) -> None:
        super().__init__(rows[0].organization_id, clock, len(rows), answer)
        self.rows = rows
        self.hold_ids = hold_ids


class GroupCommit(Lanes[_Rows]):
    name = "group-commit"
    # Two transactions at a time: one is encoded while the database works on the other. More would only wait for its
    # rows.
    lanes = 2
    most_at_once = 5_000
    most_waiting = 200_000

    async def append(
        self, rows: Sequence[StoredEvent], clock: LocalClock, hold_ids: Sequence[uuid.UUID | None] = ()
    ) -> list[Appended | None]:
        """What became of each row, after its commit. All rows are of one organization, placed by its `clock`.

        A row whose commit went unheard and was tried again is told to be a duplicate, which it is. With `hold_ids`,
        one a row, a row settles that hold, which goes in the same transaction; a row whose hold is gone is not stored,
        and None became of it.

        Raises StorageUnavailableError, UnstorableError, or postgres.StaleClockError (place the rows again).
        """
        appended: list[Appended | None] = await self.submit(_Rows(rows, clock, hold_ids, self._loop.create_future()))
        return appended

    def _write(
        self, connection: psycopg.Connection[Any], group: Sequence[_Rows]
    ) -> Sequence[Sequence[Appended | None]]:
        if any(work.hold_ids for work in group):
            return transact(connection, _settle(group))
        rows = group[0].rows if len(group) == 1 else [row for work in group for row in work.rows]
        outcomes = transact(connection, postgres.append(rows, _clocks(group)))
        answers, at = [], 0
        for work in group:
            answers.append(outcomes[at : at + len(work.rows)])
            at += len(work.rows)
        return answers

    def _committed(self, group: Sequence[_Rows]) -> None:
        usage_recorded.send_robust(type(self), organization_ids={work.organization_id for work in group})


def _settle(group: Sequence[_Rows]) -> Steps[list[list[Appended | None]]]:
    """Free holds and store the events that settle them, with those of others among the group."""
    pairs = [
        list(zip(work.rows, work.hold_ids or [None] * len(work.rows), strict=True)) for work in group
    ]  # fmt: skip
    held = {hold_id: row for work in pairs for row, hold_id in work if hold_id is not None}
    unpriced = {
        hold_id: row.key
        for work in pairs
        for row, hold_id in work
        if hold_id is not None and row.pricing == Pricing.UNPRICED
    }
    found = (yield from holds.free(held, unpriced)) if held else set()
    rows = [row for work in pairs for row, hold_id in work if hold_id is None or hold_id in found]
    outcomes = iter((yield from postgres.append(rows, _clocks(group))) if rows else ())
    return [[next(outcomes) if hold_id is None or hold_id in found else None for _, hold_id in work] for work in pairs]


def _clocks(group: Sequence[_Rows]) -> dict[int, LocalClock]:
    return {work.organization_id: work.clock for work in group}
