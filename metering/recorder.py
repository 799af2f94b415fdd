"""What the doors share in one process of the edge: who sends, what is remembered, and the way into the store.

What every request needs is kept in memory (metering/keyring.py); writing is shared (metering/group_commit.py).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
import structlog
from django.conf import settings
from psycopg_pool import ConnectionPool

from core.tenancy import APP_ROLE
from metering import pipeline
from metering.directory import Directory, learn
from metering.events import UsageEvent
from metering.group_commit import GroupCommit, StorageUnavailableError, UnstorableError
from metering.ingest.bodies import Intake
from metering.keyring import Keyring
from metering.limits.rates import Rates
from metering.pipeline import Rated, Sender
from metering.refused import Refused
from metering.store.postgres import StaleClockError
from metering.store.staging import IS_READY, MAKE_READY
from metering.store.steps import Steps, transact
from metering.telemetry import count_rated

logger = structlog.get_logger(__name__)

T = TypeVar("T")

SESSION = "-c lock_timeout=5s -c statement_timeout=60s -c jit=off -c work_mem=32MB"
LONGEST_STOP_SECONDS = 20.0
# A name nobody knows may have been made a moment ago, and its announcement be under way.
YOUNG_SECONDS = 1.0


class Recorder:
    """Events in, their outcomes out, after the commit."""

    def __init__(self) -> None:
        database = settings.DATABASES["default"]
        query = {k: v for k, v in database["OPTIONS"].items() if k != "assume_role"}
        conninfo = psycopg.conninfo.make_conninfo(
            host=database["HOST"] or None, port=database["PORT"] or None, dbname=database["NAME"],
            user=database["USER"] or None, password=database["PASSWORD"] or None,
            keepalives_idle=10, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=15_000,
            **query | {"options": f"-c role={APP_ROLE} {SESSION}"},
        )  # fmt: skip
        self.pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            conninfo, kwargs={"autocommit": True}, configure=_configure,
            min_size=2, max_size=8, open=False, timeout=3, reconnect_timeout=10, name="edge",
        )  # fmt: skip
        self.commits = GroupCommit(self.pool)
        self.keyring = Keyring(conninfo)
        self.intake = Intake()
        self.refused = Refused(self.run)
        self.rates = Rates(settings.REDIS_URL)

    async def start(self) -> None:
        self.pool.open(wait=False)
        self.commits.start()
        self.keyring.start()
        self.refused.start()
        await self.rates.start()

    async def stop(self) -> None:
        """Answer everybody who is waiting, then let go."""
        try:
            async with asyncio.timeout(LONGEST_STOP_SECONDS):
                await self.commits.stop()
        except TimeoutError:
            logger.exception("edge_stopped_while_writing")
        await self.refused.stop()
        await self.keyring.stop()
        await self.rates.stop()
        await asyncio.to_thread(self.pool.close)

    async def record(
        self,
        organization_id: int,
        sender: Sender,
        events: Sequence[UsageEvent],
        received_at: dt.datetime,
        hold_ids: Sequence[uuid.UUID | None] = (),
    ) -> list[Rated]:
        """Rate and store events of one organization; returns after their commit.

        With `hold_ids`, one an event, an event settles that hold. Where the hold is gone the event is not stored:
        nothing was `appended`.

        Raises StorageUnavailableError or UnstorableError, with nothing stored.
        """
        for attempt in (1, 2):
            try:
                return await self._record(organization_id, sender, events, received_at, hold_ids)
            except StaleClockError:
                self.keyring.forget_directory(organization_id)
                if attempt == 2:
                    raise StorageUnavailableError from None
            except UnstorableError:
                # A partition may have been dropped since this process saw to it.
                pipeline.forget_days()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    async def _record(
        self,
        organization_id: int,
        sender: Sender,
        events: Sequence[UsageEvent],
        received_at: dt.datetime,
        hold_ids: Sequence[uuid.UUID | None],
    ) -> list[Rated]:
        directory, rated = await self.rate(organization_id, sender, events, received_at)
        rows = [one.row for one in rated if one.row is not None]
        if rows:
            days = pipeline.new_days(rows)
            if days:
                await self.run(pipeline.ensure_months(days))
                pipeline.remember_days(days)
            kept = [hold_id for one, hold_id in zip(rated, hold_ids, strict=True) if one.row] if hold_ids else ()
            pipeline.tell(rated, await self.commits.append(rows, directory.clock, kept))
        count_rated(rated)
        return rated

    async def rate(
        self, organization_id: int, sender: Sender, events: Sequence[UsageEvent], received_at: dt.datetime
    ) -> tuple[Directory, list[Rated]]:
        """Events as rows that are not stored yet, and the directory that placed them."""
        directory, rated = await self._rate(organization_id, sender, events, received_at)
        is_missed = any(one.problem is not None and one.problem.code == "unknown_project" for one in rated)
        if is_missed and directory.age > YOUNG_SECONDS:
            self.keyring.forget_directory(organization_id)
            directory, rated = await self._rate(organization_id, sender, events, received_at)
        return directory, rated

    async def _rate(
        self, organization_id: int, sender: Sender, events: Sequence[UsageEvent], received_at: dt.datetime
    ) -> tuple[Directory, list[Rated]]:
        directory = await self.keyring.directory(organization_id)
        book = await self.keyring.prices()
        while True:
            try:
                return directory, pipeline.rate(events, directory, book, sender, received_at)
            except pipeline.UnknownLabelsError as error:
                unknown = error.labels
            directory.remember(await self.run(learn(organization_id, unknown)))

    async def run(self, steps: Steps[T]) -> T:
        """Work on the database in a transaction of its own."""

        def act() -> T:
            while True:
                with self.pool.connection() as connection:
                    try:
                        ConnectionPool.check_connection(connection)
                    except psycopg.OperationalError:
                        # It died idle, in a restart of the database: the pool drops it and has others, or refuses.
                        continue
                    return transact(connection, steps)

        return await asyncio.to_thread(act)


def _configure(connection: psycopg.Connection[Any]) -> None:
    """Make the session ready before the first who waits for it."""
    row = connection.execute(IS_READY).fetchone()
    if row is not None and not row[0]:
        connection.execute(MAKE_READY)
