"""The last third of hold → forward → settle: every call becomes an event, once, whatever happens in between.

The client has its answer already; so a call is written down in the spool first and stored soon after, together with
others that ended meanwhile. What cannot be stored stays in the spool and is tried again until it can. A disk that
refuses keeps nothing from being stored: what is in memory goes its way.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import structlog

from accounts.models import Organization
from metering import telemetry
from metering.gateway.outcome import sealed
from metering.gateway.spool import Debt, Spool
from metering.group_commit import StorageUnavailableError
from metering.limits.admission import Admission
from metering.limits.settlement import SETTLED_LATE
from metering.pipeline import Rated, Sender
from metering.recorder import Recorder
from metering.store.base import Outcome
from metering.store.steps import Execute, Steps

logger = structlog.get_logger(__name__)

MOST_AT_ONCE = 500
GATHER_SECONDS = 0.03
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
OPENING_SECONDS = 1.0
ADOPTION_SECONDS = 15.0
LONGEST_STOP_SECONDS = 10.0


class Settler:
    def __init__(self, recorder: Recorder, admission: Admission, spool: Spool) -> None:
        self._recorder = recorder
        self._admission = admission
        self._spool = spool
        self._waiting: list[Debt] = []
        # How often the storing of an event has failed.
        self._failures: dict[str, int] = {}
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Raises OSError where there can be no spool. While the database is away the spool waits for it."""
        is_open = await self._open()
        self._tasks = [
            asyncio.create_task(self._settle_all(), name="gateway-settler"),
            asyncio.create_task(self._adopt_all(is_open=is_open), name="gateway-adopter"),
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
        """A call that no hold stands for is about to be made.

        Raises StorageUnavailableError where it would leave no trace, should this process end.
        """
        if not self._spool.owe(debt):
            self._spool.pay([debt.event.event_id])
            raise StorageUnavailableError

    def settle(self, debt: Debt) -> None:
        """A call has ended. Returns as soon as the spool has it, or its disk has refused."""
        self._queue([debt])
        self._spool.owe(debt)

    async def _open(self) -> bool:
        try:
            ledger = await self._recorder.run(_ledger())
        except Exception as error:  # noqa: BLE001 (whatever keeps the database away, it is asked again)
            logger.warning("spool_waits_for_database", error=repr(error))
            return False
        self._spool.open(ledger)
        return True

    def _queue(self, debts: Sequence[Debt]) -> None:
        self._waiting += debts
        self._idle.clear()
        self._arrived.set()

    async def _settle_all(self) -> None:
        while True:
            await self._arrived.wait()
            # Nobody waits for it, and what ends meanwhile shares the transaction.
            await asyncio.sleep(GATHER_SECONDS)
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
            pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), LONGEST_PAUSE_SECONDS)
            asyncio.get_running_loop().call_later(pause, self._queue, [debt])
        telemetry.SPOOL_EVENTS.set(len(self._failures))
        # Should the machine go down meanwhile.
        await self._spool.flush()

    def _settled(self, debts: Sequence[Debt]) -> None:
        event_ids = [debt.event.event_id for debt in debts]
        self._spool.pay(event_ids)
        for event_id in event_ids:
            self._failures.pop(event_id, None)
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
        try:
            rated = await self._record(debts)
            left = [debt for debt, one in zip(debts, rated, strict=True) if not _is_settled(debt, one)]
            # The others are the ledger's now, whatever becomes of these.
            kept = set(map(id, left))
            self._settled([debt for debt in debts if id(debt) not in kept])
            return [
                again
                for debt, one in zip(debts, rated, strict=True)
                if id(debt) in kept and (again := await self._differently(debt, one)) is not None
            ]
        except Organization.DoesNotExist:
            # And all that it had used with it.
            logger.warning("debts_of_no_organization", organization_id=debts[0].organization_id, events=len(debts))
            self._settled(debts)
            return []
        except Exception as error:  # noqa: BLE001 (whatever it is, the debt stands and is tried again)
            if len(debts) > 1:
                # One that cannot be stored must not keep the others.
                return [left for debt in debts for left in await self._store_group([debt])]
            logger.warning("settlement_failed", event_id=debts[0].event.event_id, error=repr(error))
            return list(debts)

    async def _record(self, debts: Sequence[Debt]) -> list[Rated]:
        first = debts[0]
        return await self._admission.settle_all(
            first.organization_id, first.sender, [(debt.event, debt.hold_id) for debt in debts]
        )

    async def _differently(self, debt: Debt, rated: Rated) -> Debt | None:
        """What was not stored as it is; returns what is to be tried again."""
        if rated.outcome is Outcome.CONFLICT:
            return await self._store_apart(debt)
        if debt.event.project is not None:
            # It has gone while the call was under way. What was used for it has not.
            return msgspec.structs.replace(debt, event=msgspec.structs.replace(debt.event, project=None))
        problem = rated.problem or (rated.appended.problem if rated.appended is not None else None)
        logger.error("settlement_refused", event_id=debt.event.event_id, problem=problem and problem.message)
        return debt

    async def _store_apart(self, debt: Debt) -> Debt | None:
        """Another event has this one's id. Both have happened, so that both count."""
        event_id = debt.event.event_id
        telemetry.SETTLEMENT_CONFLICTS.inc()
        event = msgspec.structs.replace(debt.event, event_id=event_id + SETTLED_LATE)
        (rated,) = await self._record([msgspec.structs.replace(debt, event=event)])
        logger.error("settlement_conflict", event_id=event_id, stored_as=event.event_id, outcome=rated.outcome)
        if rated.outcome is Outcome.INVALID:
            return debt
        self._settled([debt])
        return None

    async def _adopt_all(self, *, is_open: bool) -> None:
        while not is_open:
            await asyncio.sleep(OPENING_SECONDS)
            try:
                is_open = await self._open()
            except OSError as error:
                logger.exception("spool_not_opened", error=repr(error))
        while True:
            try:
                async for adopted in self._spool.adopt():
                    self._queue([msgspec.structs.replace(debt, event=sealed(debt.event)) for debt in adopted])
            except OSError as error:
                logger.exception("spools_not_adopted", error=repr(error))
            await asyncio.sleep(ADOPTION_SECONDS)


def _ledger() -> Steps[str]:
    """The name of the ledger that the database holds."""
    ((installation_id,),) = yield Execute("SELECT tokenledger_installation_id()")
    return str(installation_id)


def _is_settled(debt: Debt, rated: Rated) -> bool:
    """Whether the ledger has the call, by this event or by one that knows more of it."""
    if rated.appended is None:
        return False
    if rated.outcome is not Outcome.CONFLICT:
        return rated.outcome in (Outcome.CREATED, Outcome.DUPLICATE)
    problem = rated.appended.problem
    # What was owed from before the call was made is less than what has been stored of it since. And what somebody
    # corrected by hand stands.
    return debt.is_open or (problem is not None and problem.code == "already_superseded")
