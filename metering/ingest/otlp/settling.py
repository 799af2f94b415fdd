"""What new reports of calls come to, given what is remembered: which events are to be written, and under which ids.

The first event of a call has the provider's id of the answer as its own, so that a call which also came in by another
door counts once; without one it is named by its first span. A later report that knows more makes a correction,
`<id>~1`, `<id>~2`, …, each of which supersedes the one before: whatever the order of reports, the ledger ends up with
what all of them say together.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import msgspec

from metering.events import UsageEvent
from metering.ingest.otlp.joining import Group, Joiner, Sighting
from metering.ingest.otlp.report import Report, is_improved, merge, to_event
from metering.models import TracedCallState


class Seen(msgspec.Struct, frozen=True):
    """One span of a model call."""

    sighting: Sighting
    report: Report


class TracedCall(msgspec.Struct, frozen=True):
    """A call as it is remembered. `is_shared`: an earlier claim of this revision may be on its way still."""

    event_id: str
    sightings: list[Sighting]
    report: Report
    revision: int = 0
    state: str = TracedCallState.CLAIMED
    is_shared: bool = False

    def event(self) -> UsageEvent:
        before = self._named(self.revision - 1) if self.revision else None
        return to_event(self.report, self._named(self.revision), before)

    def _named(self, revision: int) -> str:
        return f"{self.event_id}~{revision}" if revision else self.event_id

    def corrected(self) -> TracedCall:
        return msgspec.structs.replace(self, revision=self.revision + 1, state=TracedCallState.CLAIMED, is_shared=False)


def settle(known: Iterable[TracedCall], seen: Iterable[Seen]) -> list[TracedCall]:
    """The calls to remember anew; an event is to be written of those in the state CLAIMED."""
    remembered = {call.event_id: call for call in known}
    reports = {one.sighting.address: one.report for one in seen}
    joiner = Joiner(
        [Group(call.sightings, call.event_id) for call in remembered.values()], [one.sighting for one in seen]
    )
    joiner.join()
    settled = []
    for group in joiner.groups:
        new = [
            reports[sighting.address]
            for sighting in group.sightings
            if sighting.address in reports and sighting.address not in joiner.sums
        ]
        if new:
            call = _settle(group, remembered.get(group.event_id or ""), new)
            if call is not None:
                settled.append(call)
    return settled


def _settle(group: Group, before: TracedCall | None, new: list[Report]) -> TracedCall | None:
    sightings = sorted(group.sightings, key=lambda s: (s.started_us, s.address))
    report = reduce(merge, sorted(new, key=lambda one: one.rank, reverse=True))
    if before is None:
        first = sightings[0]
        event_id = min(group.response_ids, default=f"span:{first.trace_id}:{first.span_id}")
        return TracedCall(event_id, sightings, report)
    report = merge(before.report, report)
    call = msgspec.structs.replace(before, sightings=sightings, report=report)
    if before.state == TracedCallState.CLAIMED:
        return msgspec.structs.replace(call, is_shared=True)
    if before.state == TracedCallState.STORED and is_improved(before.report, report):
        return call.corrected()
    return None if call == before else call
