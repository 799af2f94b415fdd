"""Group commit: requests that arrive while a transaction is under way share the next one.

Each is answered after the commit that holds its rows, so there is no queue that could lose an acknowledged
event, and no delay before one can read what one wrote. Under load the cost of a commit is spread over all who
wait for it; without load a request is alone in its transaction.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

import psycopg
import structlog
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.periods import LocalClock
from metering.store import postgres
from metering.store.base import Appended, StoredEvent
from metering.store.steps import run_async

logger = structlog.get_logger(__name__)

# Two transactions at a time: one is encoded while the database works on the other. More would only wait for its rows.
LANES = 2
MOST_ROWS = 5_000
# Beyond this the database is too slow for what comes in, and who sends must slow down.
MOST_WAITING_ROWS = 200_000
ATTEMPTS = 3
_UNREACHABLE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError)
# These are called operational too, but it is the rows' fault.
_REFUSED = (errors.ProgramLimitExceeded, errors.StatementTooComplex)
# Python's complaints come from encoding what does not fit its column.
_UNSTORABLE = (psycopg.Error, struct.error, OverflowError, ValueError)


class StorageUnavailableError(Exception):
    """The database cannot be reached. Nothing was acknowledged; sending again is safe."""


class UnstorableError(Exception):
    """The database refuses these very rows."""


class _Work:
    __slots__ = ("answer", "clock", "organization_id", "rows")

    def __init__(self, rows: Sequence[StoredEvent], clock: LocalClock, answer: asyncio.Future[list[Appended]]) -> None:
        self.rows = rows
        self.clock = clock
        self.organization_id = rows[0].organization_id
        self.answer = answer


class GroupCommit:
    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]) -> None:
        self._pool = pool
        self._waiting: deque[_Work] = deque()
        self._waiting_rows = 0
        self._arrived = asyncio.Event()
        self._is_stopping = False
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._lanes = [asyncio.create_task(self._lane(), name=f"group-commit-{n}") for n in range(LANES)]

    async def stop(self) -> None:
        """Commit what is waiting and under way, answer it, then end."""
        self._is_stopping = True
        self._arrived.set()
        await asyncio.gather(*self._lanes)

    async def append(self, rows: Sequence[StoredEvent], clock: LocalClock) -> list[Appended]:
        """What became of each row, after its commit. All rows are of one organization, placed by its `clock`.

        Raises StorageUnavailableError, UnstorableError, or postgres.StaleClockError (place the rows again).
        """
        if self._is_stopping or (self._waiting and self._waiting_rows + len(rows) > MOST_WAITING_ROWS):
            raise StorageUnavailableError
        work = _Work(rows, clock, asyncio.get_running_loop().create_future())
        self._waiting.append(work)
        self._waiting_rows += len(rows)
        self._arrived.set()
        return await work.answer

    async def _lane(self) -> None:
        while True:
            await self._arrived.wait()
            group = self._take()
            if group:
                await self._commit(group)
            elif self._is_stopping:
                return

    def _take(self) -> list[_Work]:
        """The next group: as much as one transaction should hold, each organization by one clock."""
        group: list[_Work] = []
        zones: dict[int, str] = {}
        size = 0
        while self._waiting:
            work = self._waiting[0]
            zone = work.clock.zone.key
            if group and (size + len(work.rows) > MOST_ROWS or zones.get(work.organization_id, zone) != zone):
                break
            self._waiting.popleft()
            self._waiting_rows -= len(work.rows)
            # Who has gone away before its turn is not waiting for an answer, and will send again.
            if not work.answer.done():
                group.append(work)
                zones[work.organization_id] = zone
                size += len(work.rows)
        if not self._waiting and not self._is_stopping:
            self._arrived.clear()
        return group

    async def _commit(self, group: list[_Work], attempt: int = 1) -> None:
        """Write a group and answer everybody in it, come what may."""
        try:
            answers = await self._write(group)
        except postgres.StaleClockError as error:
            stale = [work for work in group if work.organization_id in error.organization_ids]
            _fail(stale, error)
            await self._commit_rest([work for work in group if work not in stale], attempt)
        except errors.DeadlockDetected as error:
            # Locks are taken in one order; whoever else touches these tables may not.
            logger.warning("group_commit_deadlock", attempt=attempt, error=str(error))
            if attempt < ATTEMPTS:
                await self._commit_rest(group, attempt + 1)
            else:
                _fail(group, StorageUnavailableError())
        except errors.LockNotAvailable:
            await self._apart(group)
        except Exception as error:
            if isinstance(error, _UNREACHABLE) and not isinstance(error, _REFUSED):
                logger.warning("storage_unavailable", requests=len(group), error=str(error))
                _fail(group, StorageUnavailableError())
            elif len(group) > 1:
                for work in group:
                    await self._commit([work])
            else:
                logger.exception("unstorable_rows")
                _fail(group, UnstorableError() if isinstance(error, _UNSTORABLE) else error)
        else:
            for work, answer in zip(group, answers, strict=True):
                if not work.answer.done():
                    work.answer.set_result(answer)

    async def _commit_rest(self, group: list[_Work], attempt: int) -> None:
        if group:
            await self._commit(group, attempt)

    async def _apart(self, group: list[_Work]) -> None:
        """One organization's roll-ups are being made anew; the others need not wait for it."""
        ids = {work.organization_id for work in group}
        if len(ids) == 1:
            logger.warning("organization_locked", organization_id=group[0].organization_id, requests=len(group))
            _fail(group, StorageUnavailableError())
            return
        for organization_id in sorted(ids):
            await self._commit([work for work in group if work.organization_id == organization_id])

    async def _write(self, group: list[_Work]) -> list[list[Appended]]:
        rows = group[0].rows if len(group) == 1 else [row for work in group for row in work.rows]
        clocks = {work.organization_id: work.clock for work in group}
        async with self._pool.connection() as connection:
            outcomes = await run_async(connection, postgres.append(rows, clocks))
        if len(group) == 1:
            return [outcomes]
        answers, at = [], 0
        for work in group:
            answers.append(outcomes[at : at + len(work.rows)])
            at += len(work.rows)
        return answers


def _fail(group: Sequence[_Work], error: Exception) -> None:
    for work in group:
        if not work.answer.done():
            work.answer.set_exception(error)
