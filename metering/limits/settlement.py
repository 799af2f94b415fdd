"""What became of calls for which room was set aside: their events in, their holds out, and nothing counted as 0."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from metering.events import UsageEvent
from metering.limits.claims import estimate_hash
from metering.limits.rules import selection_of
from metering.pipeline import Rated, Sender, event_key
from metering.pricing.rate import Pricing
from metering.recorder import Recorder
from metering.store import holds, unpriced
from metering.store.base import Appended, Outcome, StoredEvent
from metering.store.steps import Execute, Steps
from metering.store.unpriced import Unpriced

# The end of the id of an event that came after its hold had become an event.
SETTLED_LATE = ":settled"


class Settlement:
    """Of one process; `metering.limits.admission` says what is promised."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def settle(
        self, organization_id: int, sender: Sender, pairs: Sequence[tuple[UsageEvent, uuid.UUID | None]], source: str
    ) -> list[Rated]:
        """Store events, and remove the holds they have, in one transaction; those that come too late thereafter."""
        events, hold_ids = [event for event, _ in pairs], [hold_id for _, hold_id in pairs]
        is_held = any(hold_ids)
        if is_held:
            await self._hold_what_is_known(organization_id, sender, pairs)
        now = dt.datetime.now(dt.UTC)
        rated = await self._recorder.record(organization_id, sender, events, now, hold_ids if is_held else ())
        late = [at for at, one in enumerate(rated) if one.row is not None and one.appended is None]
        if late:
            settled = await self.settle_late(organization_id, sender, [events[at] for at in late], source)
            for at, one in zip(late, settled, strict=True):
                rated[at] = one
        return rated

    async def _hold_what_is_known(
        self, organization_id: int, sender: Sender, pairs: Sequence[tuple[UsageEvent, uuid.UUID | None]]
    ) -> None:
        """A hold outlives a call without a price: in no less than the part of the call that has one."""
        held = {event.event_id: hold_id for event, hold_id in pairs if hold_id is not None}
        events = [event for event, hold_id in pairs if hold_id is not None]
        costs = {
            held[event.event_id]: cost
            for event, _, cost in await self._unpriced(organization_id, sender, events)
            if cost
        }
        if costs:
            await self._recorder.run(holds.raise_costs(organization_id, costs))

    async def _unpriced(
        self, organization_id: int, sender: Sender, events: Sequence[UsageEvent]
    ) -> list[tuple[UsageEvent, StoredEvent, int]]:
        """Those events that have no price, with what they cost at least by what is known of it."""
        _, rated = await self._recorder.rate(organization_id, sender, events, dt.datetime.now(dt.UTC))
        book = await self._recorder.keyring.prices()
        return [
            (event, one.row, book.known_nanos(organization_id, event))
            for one, event in zip(rated, events, strict=True)
            if one.row is not None and one.row.pricing == Pricing.UNPRICED
        ]

    async def settle_late(
        self, organization_id: int, sender: Sender, events: Sequence[UsageEvent], source: str
    ) -> list[Rated]:
        """Store the events of calls whose holds are gone: in the place of their estimates, where there are such."""
        hashes = {event_key(event.event_id): estimate_hash(event.event_id, source) for event in events}
        estimates = await self._recorder.run(holds.stored_estimates(organization_id, hashes))
        sent = [
            msgspec.structs.replace(event, event_id=event.event_id + SETTLED_LATE, supersedes=event.event_id)
            if event_key(event.event_id) in estimates
            else event
            for event in events
        ]
        await self._keep_counting(organization_id, sender, sent, estimates)
        rated = await self._recorder.record(organization_id, sender, sent, dt.datetime.now(dt.UTC))
        for one in rated:
            problem = one.appended.problem if one.appended is not None else None
            if problem is not None and problem.code == "already_superseded":
                # Somebody has corrected the estimate by hand: that stands.
                one.appended = Appended(Outcome.CONFLICT, problem)
        return rated

    async def _keep_counting(
        self,
        organization_id: int,
        sender: Sender,
        events: Sequence[UsageEvent],
        estimates: dict[bytes, int | None],
    ) -> None:
        """An event without a price is about to supersede an estimate that has one: limits go on counting as much.

        Committed before the estimate goes, so that there is no moment at which neither counts.
        """
        counted = {
            event.event_id: cost
            for event in events
            if event.supersedes and (cost := estimates.get(event_key(event.supersedes))) is not None
        }
        if not counted:
            return
        superseding = [event for event in events if event.event_id in counted]
        kept = [
            Unpriced(
                organization_id, uuid.UUID(bytes=row.key), event.occurred_at,
                selection_of(row, event.model, event.feature), at_least,
            )
            for event, row, known in await self._unpriced(organization_id, sender, superseding)
            if (at_least := max(counted[event.event_id], known))
        ]  # fmt: skip
        if kept:
            await self._recorder.run(_keep(organization_id, kept))


def _keep(organization_id: int, calls: Sequence[Unpriced]) -> Steps[None]:
    yield Execute(holds.scope([organization_id]))
    yield from unpriced.keep(calls)
