"""The last third of hold → forward → settle: every call becomes an event, once, whatever happens in between.

The client has its answer already; so a call is written down in the spool first and stored soon after, together with
others that ended meanwhile. What cannot be stored stays in the spool and is tried again until it can.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import structlog

from metering import telemetry
from metering.gateway.spool import Debt, Spool
from metering.limits.admission import Admission
from metering.pipeline import Sender

logger = structlog.get_logger(__name__)

MOST_AT_ONCE = 500
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
ADOPTION_SECONDS = 15.0
LONGEST_STOP_SECONDS = 10.0


class Settler:
    def __init__(self, admission: Admission, spool: Spool) -> None:
        self._admission = admission
        self._spool = spool
        self._waiting: list[Debt] = []
        # How often the storing of an event has failed.
        self._failures: dict[str, int] = {}
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._spool.open()
        self._tasks = [
            asyncio.create_task(self._settle_all(), name="gateway-settler"),
            asyncio.create_task(self._adopt_all(), name="gateway-adopter"),
        ]

    async def stop(self) -> None:
        """Store what has ended, as far as the database lets us; the rest is in the spool."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_STOP_SECONDS):
                await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._spool.close()

    def begin(self, debt: Debt) -> None:
        """A call that no hold stands for is about to be made."""
        self._spool.owe(debt)

    def settle(self, debt: Debt) -> None:
        """A call has ended. Returns as soon as the spool has it."""
        self._spool.owe(debt)
        self._queue([debt])

    def _queue(self, debts: Sequence[Debt]) -> None:
        self._waiting += debts
        self._idle.clear()
        self._arrived.set()

    async def _settle_all(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            debts, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            if self._waiting:
                self._arrived.set()
            failed = await self._store(debts)
            if failed:
                await self._try_later(failed)
            elif not self._waiting and not self._failures:
                self._idle.set()

    async def _try_later(self, debts: Sequence[Debt]) -> None:
        """Each after a pause of its own, so that one that never succeeds does not keep the others."""
        for debt in debts:
            event_id = debt.event.event_id
            self._failures[event_id] = failures = self._failures.get(event_id, 0) + 1
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
            asyncio.get_running_loop().call_later(pause, self._queue, [debt])
        telemetry.SPOOL_EVENTS.set(len(self._failures))
        # Should the machine go down meanwhile.
        await asyncio.to_thread(self._spool.flush)

    def _stored(self, event_id: str) -> None:
        self._spool.pay(event_id)
        if self._failures.pop(event_id, None) is not None:
            telemetry.SPOOL_EVENTS.set(len(self._failures))

    async def _store(self, debts: Sequence[Debt]) -> list[Debt]:
        """Returns those that must be tried again."""
        groups: dict[tuple[int, Sender], list[Debt]] = defaultdict(list)
        for debt in debts:
            groups[debt.organization_id, debt.sender].append(debt)
        outcomes = await asyncio.gather(*map(self._store_group, groups.values()))
        return [debt for left in outcomes for debt in left]

    async def _store_group(self, debts: Sequence[Debt]) -> list[Debt]:
        """Events of one sender in one go."""
        first = debts[0]
        try:
            rated = await self._admission.settle_all(
                first.organization_id, first.sender, [(debt.event, debt.hold_id) for debt in debts]
            )
        except Exception as error:  # noqa: BLE001 (whatever it is, the debt stands and is tried again)
            if len(debts) > 1:
                # One that cannot be stored must not keep the others.
                return [left for debt in debts for left in await self._store_group([debt])]
            logger.warning("settlement_failed", event_id=first.event.event_id, error=repr(error))
            return list(debts)
        left = []
        for debt, one in zip(debts, rated, strict=True):
            if one.problem is None:
                self._stored(debt.event.event_id)
            elif debt.event.project is not None:
                # It has gone while the call was under way. What was used for it has not.
                event = msgspec.structs.replace(debt.event, project=None)
                left.append(msgspec.structs.replace(debt, event=event))
            else:
                logger.error("settlement_refused", event_id=debt.event.event_id, problem=one.problem.message)
                left.append(debt)
        return left

    async def _adopt_all(self) -> None:
        while True:
            adopted = self._spool.adopt()
            if adopted:
                self._queue(adopted)
            await asyncio.sleep(ADOPTION_SECONDS)
