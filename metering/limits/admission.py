"""Hold → call → settle: no call is made under a hard limit before room for it is set aside.

    hold     room in every limit the call falls under, or a refusal; committed when it returns
    settle   the event is stored and its hold removed, in one transaction
    release  the call was not made

A hold is leased for a minute and renewed while its process lives, so what a killed process held becomes estimated
events soon (metering/limits/expiry.py), and a stream may run for an hour. An admission asked for by a client has the
lifetime that the client asks for. docs/algorithms/limits.md has the rules and an example.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import psycopg
import structlog
from django.db import Error, connections
from psycopg_pool import PoolTimeout

from core.errors import ApiError
from metering.events import BUCKETS, UsageEvent
from metering.group_commit import StorageUnavailableError
from metering.lanes import UnstorableError
from metering.limits import refusals, standing
from metering.limits.alternatives import otherwise_counted
from metering.limits.claims import Claims, Granted, estimate_hash, write_estimate
from metering.limits.decide import Claim, Verdict
from metering.limits.expiry import expire_holds
from metering.limits.policy import Policy, read_limits
from metering.limits.rules import selection_of
from metering.limits.settlement import Settlement
from metering.limits.standing import Asked, Standing, asked_now
from metering.models import HoldSource, LimitUnit
from metering.pipeline import Rated, Sender, event_key
from metering.pricing.rate import Pricing
from metering.recorder import Recorder
from metering.store import holds
from metering.store.base import StoredEvent
from metering.store.holds import Found
from metering.store.postgres import StaleClockError
from metering.store.steps import Execute, Steps
from metering.telemetry import HOLDS_PLACED

logger = structlog.get_logger(__name__)

LEASE_SECONDS = 60.0
SWEEP_SECONDS = 15.0
# However long a call takes: a lease that nobody ends must not be renewed for ever.
LONGEST_CALL_SECONDS = 2 * 3600.0
# A released admission is remembered, so that releasing it again is no error.
REMEMBERED_SECONDS = 86_400.0
STANDING_SECONDS = 5.0
MOST_STANDINGS = 10_000


class Remaining(msgspec.Struct, frozen=True):
    """What is left of the call's tightest limits; None without such a limit."""

    tokens: int | None
    cost_nanos: int | None
    credits: int | None

    @classmethod
    def of(cls, standings: Sequence[Standing]) -> Remaining:
        def least(unit: str) -> int | None:
            left = [one.remaining for one in standings if one.rule.unit == unit and one.remaining is not None]
            return min(left) if left else None

        return cls(least(LimitUnit.TOKENS), least(LimitUnit.COST), refusals.credits_left(standings))


class Held(msgspec.Struct, frozen=True):
    """Room that is set aside for one call. `remaining` is what was left beside it."""

    id: uuid.UUID
    organization_id: int
    event_id: str
    expires_at: dt.datetime
    remaining: Remaining

    @property
    def credits_remaining(self) -> int | None:
        return self.remaining.credits


class Admission:
    """One per process."""

    def __init__(
        self, recorder: Recorder, *, lease_seconds: float = LEASE_SECONDS, sweep_seconds: float = SWEEP_SECONDS
    ) -> None:
        self._recorder = recorder
        self._claims = Claims(recorder.pool)
        self._settlement = Settlement(recorder)
        self._lease_seconds = lease_seconds
        self._sweep_seconds = sweep_seconds
        # Hold → organization, and until when (monotonic) it is renewed.
        self._leases: dict[uuid.UUID, tuple[int, float]] = {}
        self._standings: dict[int, tuple[float, list[Standing]]] = {}
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._claims.start()
        self._spawn(self._renew_leases())
        self._spawn(self._sweep())

    async def stop(self) -> None:
        """Answer everybody who is waiting, then let go. Before the recorder stops."""
        self._stopping.set()
        await self._claims.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── Holding ──

    async def hold(
        self,
        organization_id: int,
        sender: Sender,
        event: UsageEvent,
        *,
        source: str,
        lifetime_seconds: float | None = None,
        cost_nanos: int | None = None,
    ) -> Held | None:
        """Set aside what a call may use. `event` is the call as it is estimated; its own id makes it one.

        None when the gateway's call falls under no limit; an admission of a client is remembered even so. The hold
        lives as long as this process, or for `lifetime_seconds`. `cost_nanos` is a better estimate of the cost than
        the price of the estimated usage.

        Raises ApiError 429 or 402 (over a limit), 422 (a project that is none, or no price under a limit in money),
        409 (an admission that was made differently, or is over); StorageUnavailableError, UnstorableError.
        """
        for _ in range(2):
            policy = await self._recorder.keyring.about(organization_id, read_limits)
            if not policy.caps and source == HoldSource.GATEWAY:
                return None
            try:
                return await self._hold(policy, organization_id, sender, event, source, lifetime_seconds, cost_nanos)
            except StaleClockError:
                self._recorder.keyring.forget_directory(organization_id)
        raise StorageUnavailableError

    async def _hold(
        self,
        policy: Policy,
        organization_id: int,
        sender: Sender,
        event: UsageEvent,
        source: str,
        lifetime_seconds: float | None,
        cost_nanos: int | None,
    ) -> Held | None:
        now = dt.datetime.now(dt.UTC)
        directory, (rated,) = await self._recorder.rate(organization_id, sender, [event], now)
        if rated.row is not None and rated.row.pricing == Pricing.UNPRICED:
            others = otherwise_counted(event)
            _, other_ratings = await self._recorder.rate(organization_id, sender, others, now)
            for other, one in zip(others, other_ratings, strict=True):
                if one.row is not None and one.row.pricing != Pricing.UNPRICED:
                    event, rated = other, one
                    break
        if rated.row is None:
            problem = rated.problem
            assert problem is not None  # noqa: S101 (nothing is without a row and without a reason)
            raise ApiError(422, problem.code, problem.message, param=problem.param)
        row = rated.row
        selection = selection_of(row, event.model, event.feature)
        spans = [(rule, rule.span(event.occurred_at, directory.clock.zone)) for rule in policy.caps.over(selection)]
        rules = tuple((rule, span) for rule, span in spans if span is not None)
        if not rules and source == HoldSource.GATEWAY:
            return None
        in_money = [rule for rule, _ in rules if rule.unit == LimitUnit.COST]
        if row.pricing == Pricing.UNPRICED and in_money:
            # A call whose cost cannot be counted would pass under a cap in money for ever. Free is another thing.
            refusals.refuse_unpriced(event.model, in_money[0])
        claim = Claim(
            _time_ordered_id(), organization_id, event.event_id, source, event.occurred_at,
            self._lease_seconds if lifetime_seconds is None else lifetime_seconds,
            selection, _tokens(row), row.cost_nanos if cost_nanos is None else cost_nanos,
            row.pricing == Pricing.FREE and not cost_nanos, event.body_hash, write_estimate(event, sender), rules,
        )  # fmt: skip
        granted = await self._claimed(claim, self._claims.make(claim, directory.clock))
        if not isinstance(granted, Granted):
            refusals.refuse(claim, granted.short, now)
        if granted.id == claim.id:
            HOLDS_PLACED.inc()
        if lifetime_seconds is None:
            self._leases[granted.id] = (organization_id, time.monotonic() + LONGEST_CALL_SECONDS)
        remaining = Remaining.of(granted.standings)
        return Held(granted.id, organization_id, event.event_id, granted.expires_at, remaining)

    async def _claimed(self, claim: Claim, answer: asyncio.Future[Granted | Verdict]) -> Granted | Verdict:
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            # It may be granted after all, and nobody is there to make the call.
            self._spawn(self._give_back(claim, answer))
            raise

    async def _give_back(self, claim: Claim, answer: asyncio.Future[Granted | Verdict]) -> None:
        try:
            granted = await answer
            if isinstance(granted, Granted) and granted.id == claim.id:
                await self._release(claim.organization_id, claim.id)
        except (ApiError, StaleClockError, StorageUnavailableError, UnstorableError, psycopg.Error) as error:
            # If it was granted, it expires.
            logger.warning("hold_not_given_back", event_id=claim.event_id, error=repr(error))

    # ── Settling ──

    async def settle(
        self, organization_id: int, sender: Sender, event: UsageEvent, held: Held | uuid.UUID | None,
        source: str = HoldSource.GATEWAY,
    ) -> Rated:  # fmt: skip
        """Store a call's event and remove its hold. The event has the hold's event id, `source` is the hold's.

        After the hold has expired the event supersedes the estimate in its place, under its id and ":settled". Again
        with the same event it is a duplicate, so that trying again is safe. Where the event has no price, limits in
        money go on counting what was held, or what is known of the price where that is more.

        Raises StorageUnavailableError or UnstorableError; trying again is safe then, too.
        """
        hold_id = held.id if isinstance(held, Held) else held
        (rated,) = await self.settle_all(organization_id, sender, [(event, hold_id)], source)
        return rated

    async def settle_all(
        self,
        organization_id: int,
        sender: Sender,
        pairs: Sequence[tuple[UsageEvent, uuid.UUID | None]],
        source: str = HoldSource.GATEWAY,
    ) -> list[Rated]:
        """As `settle`, of several calls in one transaction; those without a hold are stored as they are."""
        rated = await self._settlement.settle(organization_id, sender, pairs, source)
        for (_, hold_id), one in zip(pairs, rated, strict=True):
            if hold_id is not None and one.appended is not None:
                self._leases.pop(hold_id, None)
        return rated

    async def settle_late(
        self, organization_id: int, sender: Sender, events: Sequence[UsageEvent], source: str
    ) -> list[Rated]:
        """Store the events of calls whose holds are gone: in the place of their estimates, where there are such."""
        return await self._settlement.settle_late(organization_id, sender, events, source)

    # ── Releasing ──

    async def release(self, held: Held) -> None:
        """Give a hold back: the call was not made. Again it changes nothing. Raises StorageUnavailableError."""
        await self._release(held.organization_id, held.id)

    async def release_found(self, organization_id: int, hold_id: uuid.UUID) -> bool:
        """As `release`; False when the hold has meanwhile been settled or has expired."""
        return await self._release(organization_id, hold_id)

    async def _release(self, organization_id: int, hold_id: uuid.UUID) -> bool:
        is_there = await self._recorder.run(holds.release(organization_id, hold_id, REMEMBERED_SECONDS))
        self._leases.pop(hold_id, None)
        return is_there

    async def find(self, organization_id: int, event_id: str) -> Found | None:
        """A client's admission by its id: open, released, or an event already."""
        foreign = estimate_hash(event_id, HoldSource.GATEWAY)
        return await self._recorder.run(holds.find(organization_id, event_id, event_key(event_id), foreign))

    # ── How limits stand ──

    async def standing(self, organization_id: int) -> list[Standing]:
        """How every active limit stands now that bounds anything. Without one no database is asked."""
        for _ in range(2):
            policy = await self._recorder.keyring.about(organization_id, read_limits)
            if not policy.caps.rules:
                return []
            directory = await self._recorder.keyring.directory(organization_id)
            bounding = [rule for rule in policy.caps.rules if rule.amount is not None]
            asked = asked_now(organization_id, bounding, directory.clock.zone, dt.datetime.now(dt.UTC))
            try:
                return await self._recorder.run(_scoped(organization_id, asked)) if asked else []
            except StaleClockError:
                self._recorder.keyring.forget_directory(organization_id)
        raise StorageUnavailableError

    async def exceeded(self, organization_id: int, project_id: int | None = None) -> list[str]:
        """Labels of the limits that are over, as of some seconds ago. For what has happened and is not refused.

        Who may see one project only is told nothing of the others' limits.
        """
        try:
            policy = await self._recorder.keyring.about(organization_id, read_limits)
            if not policy.caps.rules:
                return []
            until, standings = self._standings.get(organization_id, (0.0, []))
            if until < time.monotonic():
                # Whoever asks meanwhile is told what was known before.
                self._remember(organization_id, standings)
                standings = await self.standing(organization_id)
                self._remember(organization_id, standings)
        except (StorageUnavailableError, PoolTimeout, psycopg.Error, Error, OSError) as error:
            # What was sent is stored already, which must not look as if it were not.
            logger.warning("standing_unknown", organization_id=organization_id, error=repr(error))
            return []
        return sorted(
            {
                one.rule.label
                for one in standings
                if one.is_exceeded and (project_id is None or one.rule.selection[0] in (0, project_id))
            }
        )

    def _remember(self, organization_id: int, standings: list[Standing]) -> None:
        if len(self._standings) >= MOST_STANDINGS:
            self._standings.clear()
        self._standings[organization_id] = (time.monotonic() + STANDING_SECONDS, standings)

    # ── Meanwhile ──

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew_leases(self) -> None:
        while not await self._is_stopping_within(self._lease_seconds / 3):
            now = time.monotonic()
            self._leases = {hold_id: lease for hold_id, lease in self._leases.items() if lease[1] > now}
            if not self._leases:
                continue
            mine = {hold_id: organization_id for hold_id, (organization_id, _) in self._leases.items()}
            try:
                await self._recorder.run(holds.renew(mine, self._lease_seconds))
            except Exception as error:  # noqa: BLE001 (calls go on, and the next turn tries again)
                logger.warning("leases_not_renewed", holds=len(mine), error=repr(error))

    async def _sweep(self) -> None:
        """Beat does the same; an installation without workers needs it here, and a killed neighbor is found sooner."""
        while not await self._is_stopping_within(self._sweep_seconds):
            try:
                await asyncio.to_thread(_expire_apart)
            except Exception as error:  # noqa: BLE001 (whatever it is, the next turn tries again)
                logger.warning("holds_not_swept", error=repr(error))

    async def _is_stopping_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()


def _scoped(organization_id: int, asked: Sequence[Asked]) -> Steps[list[Standing]]:
    yield Execute(holds.scope([organization_id]))
    return (yield from standing.read(asked))


def _expire_apart() -> None:
    """In a thread that may not come back for long: its connection is not kept."""
    try:
        expire_holds()
    finally:
        connections.close_all()


def _tokens(row: StoredEvent) -> int:
    return sum(getattr(row, bucket) for bucket in BUCKETS)


def _time_ordered_id() -> uuid.UUID:
    """A UUID of version 7."""
    milliseconds = time.time_ns() // 1_000_000
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))
