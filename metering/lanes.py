"""Lanes: threads that take what waits for the database as a group, and answer it after one transaction.

Requests that arrive while a transaction is under way share the next one. So there is no queue that could lose what
was acknowledged, and no delay before one can read what one wrote. Under load the cost of a commit is spread over all
who wait for it; without load a request is alone in its transaction.

Lanes are threads with plain connections: while one waits for the database the event loop goes on reading requests,
and while the loop is busy with a large request the lane's next statement does not have to wait for its turn.
"""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import psycopg
import structlog
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from core.periods import LocalClock
from metering.store import postgres
from metering.telemetry import Lane

logger = structlog.get_logger(__name__)

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


class Work:
    """What one request wants of the database; `size` is how much of a transaction that fills."""

    __slots__ = ("answer", "clock", "organization_id", "since", "size")

    def __init__(self, organization_id: int, clock: LocalClock, size: int, answer: asyncio.Future[Any]) -> None:
        self.organization_id = organization_id
        self.clock = clock
        self.size = size
        self.answer = answer
        self.since = time.monotonic()


W = TypeVar("W", bound=Work)


class Lanes(Generic[W]):
    """Subclasses say what a group's transaction is. Every work is of one organization, placed by its clock."""

    name: ClassVar[str]
    lanes: ClassVar[int]
    # Sizes: of one group, and of all that waits. Beyond that the database is too slow for what comes in, and who sends
    # must slow down.
    most_at_once: ClassVar[int]
    most_waiting: ClassVar[int]

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]]) -> None:
        self._pool = pool
        self._waiting: deque[W] = deque()
        self._waiting_size = 0
        self._changed = threading.Condition()
        self._is_stopping = False
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop
        self._telemetry = Lane(self.name)

    def start(self) -> None:
        """Called on the event loop that will submit."""
        self._loop = asyncio.get_running_loop()
        self._telemetry.queue(lambda: self._waiting_size)
        self._threads = [
            threading.Thread(target=self._lane, name=f"{self.name}-{number}", daemon=True)
            for number in range(self.lanes)
        ]
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """Commit what is waiting and under way, answer it, then end."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def submit(self, work: W) -> asyncio.Future[Any]:
        """The future that is answered after the commit of the work's group.

        It may end in StorageUnavailableError, UnstorableError, postgres.StaleClockError (place the rows again), or in
        an exception that `_write` answers with.
        """
        with self._changed:
            if self._is_stopping or (self._waiting and self._waiting_size + work.size > self.most_waiting):
                raise StorageUnavailableError
            self._waiting.append(work)
            self._waiting_size += work.size
            self._changed.notify()
        return work.answer

    # ── In the lanes' threads ──

    @abstractmethod
    def _write(self, connection: psycopg.Connection[Any], group: Sequence[W]) -> Sequence[Any]:
        """Do a group's work in one transaction; an answer each, an exception for who is refused."""

    def _committed(self, group: Sequence[W]) -> None:
        """Tell others what a group's transaction changed. Its requests have their answers by now."""

    def _lane(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_stopping:
                        return
                    self._changed.wait()
                group = self._take()
            if group:
                self._telemetry.waited(time.monotonic() - group[0].since)
                self._commit(group)

    def _take(self) -> list[W]:
        """The next group: as much as one transaction should hold, each organization by one clock."""
        group: list[W] = []
        zones: dict[int, str] = {}
        size = 0
        while self._waiting:
            work = self._waiting[0]
            zone = work.clock.zone.key
            if group and (size + work.size > self.most_at_once or zones.get(work.organization_id, zone) != zone):
                break
            self._waiting.popleft()
            self._waiting_size -= work.size
            # Who has gone away before its turn is not waiting for an answer, and will send again.
            if not work.answer.done():
                group.append(work)
                zones[work.organization_id] = zone
                size += work.size
        return group

    def _commit(self, group: list[W], attempt: int = 1) -> None:
        """Write a group and answer everybody in it, come what may."""
        began = time.monotonic()
        try:
            with self._pool.connection() as connection:
                answers = self._write(connection, group)
        except postgres.StaleClockError as error:
            self._telemetry.failed("stale_zone")
            stale = [work for work in group if work.organization_id in error.organization_ids]
            self._fail(stale, error)
            self._commit_rest([work for work in group if work not in stale], attempt)
        except errors.DeadlockDetected as error:
            # Locks are taken in one order; whoever else touches these tables may not.
            self._telemetry.failed("deadlock")
            logger.warning("group_commit_deadlock", lane=self.name, attempt=attempt, error=str(error))
            if attempt < ATTEMPTS:
                self._commit_rest(group, attempt + 1)
            else:
                self._fail(group, StorageUnavailableError())
        except errors.LockNotAvailable:
            self._telemetry.failed("locked")
            self._apart(group)
        except Exception as error:
            is_away = isinstance(error, _UNREACHABLE) and not isinstance(error, _REFUSED)
            self._telemetry.failed("unreachable" if is_away else "refused")
            if is_away:
                logger.warning(
                    "storage_unavailable", lane=self.name, requests=len(group), attempt=attempt, error=str(error)
                )
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
                logger.exception("unstorable_rows", lane=self.name)
                self._fail(group, UnstorableError() if isinstance(error, _UNSTORABLE) else error)
        else:
            self._loop.call_soon_threadsafe(_answer, group, answers)
            self._telemetry.committed(sum(work.size for work in group), time.monotonic() - began)
            self._committed(group)

    def _commit_rest(self, group: list[W], attempt: int) -> None:
        if group:
            self._commit(group, attempt)

    def _apart(self, group: list[W]) -> None:
        """One organization is locked (its roll-ups are being made anew); the others need not wait for it."""
        ids = {work.organization_id for work in group}
        if len(ids) == 1:
            logger.warning(
                "organization_locked", lane=self.name, organization_id=group[0].organization_id, requests=len(group)
            )
            self._fail(group, StorageUnavailableError())
            return
        for organization_id in sorted(ids):
            self._commit([work for work in group if work.organization_id == organization_id])

    def _fail(self, group: list[W], error: Exception) -> None:
        self._loop.call_soon_threadsafe(_answer, group, [error] * len(group))


# ── On the event loop ──


def _answer(group: Sequence[Work], answers: Sequence[Any]) -> None:
    for work, answer in zip(group, answers, strict=True):
        if work.answer.done():
            continue
        if isinstance(answer, Exception):
            work.answer.set_exception(answer)
        else:
            work.answer.set_result(answer)
