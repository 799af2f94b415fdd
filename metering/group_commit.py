"""Group commit: requests that arrive while a transaction is under way share the next one.

Each is answered after the commit that holds its rows, so there is no queue that could lose an acknowledged
event, and no delay before one can read what one wrote. Under load the cost of a commit is spread over all who
wait for it; without load a request is alone in its transaction.

Lanes are threads with plain connections: while one waits for the database the event loop goes on reading requests,
and while the loop is busy with a large request the lane's next statement does not have to wait for its turn.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import psycopg
import structlog
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from core.periods import LocalClock
from metering.store import postgres
from metering.store.base import Appended, StoredEvent
from metering.store.steps import transact

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
    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self._pool = pool
        self._waiting: deque[_Work] = deque()
        self._waiting_rows = 0
        self._changed = threading.Condition()
        self._is_stopping = False
        self._lanes: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Called on the event loop that will append."""
        self._loop = asyncio.get_running_loop()
        self._lanes = [
            threading.Thread(target=self._lane, name=f"group-commit-{number}", daemon=True) for number in range(LANES)
        ]
        for lane in self._lanes:
            lane.start()

    async def stop(self) -> None:
        """Commit what is waiting and under way, answer it, then end."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        for lane in self._lanes:
            await asyncio.to_thread(lane.join)

    async def append(self, rows: Sequence[StoredEvent], clock: LocalClock) -> list[Appended]:
        """What became of each row, after its commit. All rows are of one organization, placed by its `clock`.

        A row whose commit went unheard and was tried again is told to be a duplicate, which it is.

        Raises StorageUnavailableError, UnstorableError, or postgres.StaleClockError (place the rows again).
        """
        work = _Work(rows, clock, self._loop.create_future())
        with self._changed:
            if self._is_stopping or (self._waiting and self._waiting_rows + len(rows) > MOST_WAITING_ROWS):
                raise StorageUnavailableError
            self._waiting.append(work)
            self._waiting_rows += len(rows)
            self._changed.notify()
        return await work.answer

    # ── In the lanes' threads ──

    def _lane(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_stopping:
                        return
                    self._changed.wait()
                group = self._take()
            if group:
                self._commit(group)

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
        return group

    def _commit(self, group: list[_Work], attempt: int = 1) -> None:
        """Write a group and answer everybody in it, come what may."""
        try:
            answers = self._write(group)
        except postgres.StaleClockError as error:
            stale = [work for work in group if work.organization_id in error.organization_ids]
            self._fail(stale, error)
            self._commit_rest([work for work in group if work not in stale], attempt)
        except errors.DeadlockDetected as error:
            # Locks are taken in one order; whoever else touches these tables may not.
            logger.warning("group_commit_deadlock", attempt=attempt, error=str(error))
            if attempt < ATTEMPTS:
                self._commit_rest(group, attempt + 1)
            else:
                self._fail(group, StorageUnavailableError())
        except errors.LockNotAvailable:
            self._apart(group)
        except Exception as error:
            if isinstance(error, _UNREACHABLE) and not isinstance(error, _REFUSED):
                logger.warning("storage_unavailable", requests=len(group), attempt=attempt, error=str(error))
                if attempt == 1 and not isinstance(error, PoolTimeout):
                    # The server may only have restarted. Twice counts once, even if the lost answer was to a commit.
                    self._pool.check()
                    self._commit(group, attempt + 1)
                else:
                    self._fail(group, StorageUnavailableError())
            elif len(group) > 1:
                for work in group:
                    self._commit([work])
            else:
                logger.exception("unstorable_rows")
                self._fail(group, UnstorableError() if isinstance(error, _UNSTORABLE) else error)
        else:
            self._loop.call_soon_threadsafe(_answer, group, answers)

    def _commit_rest(self, group: list[_Work], attempt: int) -> None:
        if group:
            self._commit(group, attempt)

    def _apart(self, group: list[_Work]) -> None:
        """One organization's roll-ups are being made anew; the others need not wait for it."""
        ids = {work.organization_id for work in group}
        if len(ids) == 1:
            logger.warning("organization_locked", organization_id=group[0].organization_id, requests=len(group))
            self._fail(group, StorageUnavailableError())
            return
        for organization_id in sorted(ids):
            self._commit([work for work in group if work.organization_id == organization_id])

    def _write(self, group: list[_Work]) -> list[list[Appended]]:
        rows = group[0].rows if len(group) == 1 else [row for work in group for row in work.rows]
        clocks = {work.organization_id: work.clock for work in group}
        with self._pool.connection() as connection:
            outcomes = transact(connection, postgres.append(rows, clocks))
        if len(group) == 1:
            return [outcomes]
        answers, at = [], 0
        for work in group:
            answers.append(outcomes[at : at + len(work.rows)])
            at += len(work.rows)
        return answers

    def _fail(self, group: list[_Work], error: Exception) -> None:
        self._loop.call_soon_threadsafe(_refuse, group, error)


# ── On the event loop ──


def _answer(group: Sequence[_Work], answers: Sequence[list[Appended]]) -> None:
    for work, answer in zip(group, answers, strict=True):
        if not work.answer.done():
            work.answer.set_result(answer)


def _refuse(group: Sequence[_Work], error: Exception) -> None:
    for work in group:
        if not work.answer.done():
            work.answer.set_exception(error)
