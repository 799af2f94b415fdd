"""Group commit: requests that arrive while a transaction is under way share the next one.

Each is answered after the commit that holds its rows, so there is no queue that could lose an acknowledged
event, and no delay before one can read what one wrote. Under load the cost of a commit is spread over all who
wait for it; without load a request is alone in its transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.periods import LocalClock
from metering.store import postgres
from metering.store.base import Appended, StoredEvent
from metering.store.steps import run_async

logger = structlog.get_logger(__name__)

# Two transactions at a time: one is encoded while the database works on the other. More would only wait for its rows.
LANES = 2
MOST_ROWS = 5_000


class StorageUnavailableError(Exception):
    """The database cannot be reached. Nothing was acknowledged; sending again is safe."""


class UnstorableError(Exception):
    """The database refuses these very rows."""


class _Work:
    __slots__ = ("answer", "clock", "rows")

    def __init__(self, rows: Sequence[StoredEvent], clock: LocalClock, answer: asyncio.Future[list[Appended]]) -> None:
        self.rows = rows
        self.clock = clock
        self.answer = answer


class GroupCommit:
    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]) -> None:
        self._pool = pool
        self._waiting: deque[_Work] = deque()
        self._arrived = asyncio.Event()
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._lanes = [asyncio.create_task(self._lane(), name=f"group-commit-{n}") for n in range(LANES)]

    async def stop(self) -> None:
        """Commit what is waiting, then end."""
        while self._waiting:
            await asyncio.sleep(0.01)
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)

    async def append(self, rows: Sequence[StoredEvent], clock: LocalClock) -> list[Appended]:
        """What became of each row, after its commit. All rows are of one organization, placed by its `clock`.

        Raises StorageUnavailableError, UnstorableError, or postgres.StaleClockError (place the rows again).
        """
        work = _Work(rows, clock, asyncio.get_running_loop().create_future())
        self._waiting.append(work)
        self._arrived.set()
        return await work.answer

    async def _lane(self) -> None:
        while True:
            await self._arrived.wait()
            group = self._take()
            if group:
                await self._commit(group)

    def _take(self) -> list[_Work]:
        group: list[_Work] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].rows) <= MOST_ROWS):
            work = self._waiting.popleft()
            # A client that went away before its turn is not waiting for an answer, and will send again.
            if not work.answer.done():
                group.append(work)
                size += len(work.rows)
        if not self._waiting:
            self._arrived.clear()
        return group

    async def _commit(self, group: list[_Work]) -> None:
        try:
            answers = await self._write(group)
        except postgres.StaleClockError as error:
            stale = [work for work in group if work.rows[0].organization_id in error.organization_ids]
            for work in stale:
                _fail(work, error)
            self._waiting.extendleft(work for work in reversed(group) if work not in stale)
            self._arrived.set()
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError) as error:
            if len(group) > 1 and isinstance(error, psycopg.errors.LockNotAvailable):
                await self._commit_alone(group)  # one organization is busy; the others need not wait for it
                return
            logger.warning("storage_unavailable", requests=len(group), error=str(error))
            for work in group:
                _fail(work, StorageUnavailableError())
        except psycopg.Error as error:
            if len(group) > 1:
                await self._commit_alone(group)
                return
            logger.exception("unstorable_rows", error=str(error))
            _fail(group[0], UnstorableError())
        except Exception as error:
            # Whoever waits must learn of it, and the lane must live on.
            logger.exception("group_commit_failed")
            for work in group:
                _fail(work, error)
        else:
            for work, answer in zip(group, answers, strict=True):
                if not work.answer.done():
                    work.answer.set_result(answer)

    async def _commit_alone(self, group: list[_Work]) -> None:
        for work in group:
            await self._commit([work])

    async def _write(self, group: list[_Work]) -> list[list[Appended]]:
        clocks: Mapping[int, LocalClock] = {work.rows[0].organization_id: work.clock for work in group}
        rows = group[0].rows if len(group) == 1 else [row for work in group for row in work.rows]
        async with self._pool.connection() as connection, connection.transaction():
            outcomes = await run_async(connection, postgres.append(rows, clocks))
        if len(group) == 1:
            return [outcomes]
        answers, at = [], 0
        for work in group:
            answers.append(outcomes[at : at + len(work.rows)])
            at += len(work.rows)
        return answers


def _fail(work: _Work, error: Exception) -> None:
    if not work.answer.done():
        work.answer.set_exception(error)
