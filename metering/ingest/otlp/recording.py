"""From the spans of a request to events in the ledger, each call once."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from metering.events import UsageEvent
from metering.ingest.document import RefusedError
from metering.ingest.otlp import calls, memory
from metering.ingest.otlp.joining import Sighting
from metering.ingest.otlp.settling import Seen, TracedCall
from metering.ingest.otlp.span import Span
from metering.models import TracedCallState
from metering.pipeline import Rated, Sender
from metering.recorder import Recorder
from metering.store.base import Outcome

# A span deeper than this below what is known of its surroundings stands alone.
_FARTHEST = 32
# How often a correction is tried that others were quicker with.
_MOST_CORRECTIONS = 3
_NO_SUCH_PROJECT = ("unknown_project", "forbidden_project")


class Reading(msgspec.Struct):
    """`refused` counts spans by why they were refused."""

    seen: list[Seen]
    refused: Counter[str]


def read(spans: Sequence[Span], received_at: dt.datetime) -> Reading:
    """The model calls among the spans of a request."""
    reading = Reading([], Counter())
    operations = [calls.operation_of(span.attributes) for span in spans]
    by_address = {
        (span.trace_id, span.span_id): (span, operation) for span, operation in zip(spans, operations, strict=True)
    }
    for span, operation in zip(spans, operations, strict=True):
        if operation is None:
            continue
        try:
            calls.check(span, received_at)
            around, parent_id = _surroundings(span, by_address)
            report, response_id = calls.report_of(span, operation, around)
        except RefusedError as error:
            reading.refused[error.problem.message] += 1
            continue
        sighting = Sighting(
            span.trace_id,
            span.span_id,
            parent_id,
            span.scope,
            operation == calls.EMBEDDINGS,
            report.status != "ok",
            calls.asked_for(span),
            response_id,
            report.started_us,
            report.ended_us,
        )
        reading.seen.append(Seen(sighting, report))
    return reading


def _surroundings(
    span: Span, by_address: dict[tuple[str, str], tuple[Span, str | None]]
) -> tuple[list[dict[str, Any]], str]:
    """The attributes of the spans above, nearest first, and the nearest that is a step of its own or not in sight."""
    around: list[dict[str, Any]] = []
    step = ""
    parent_id = span.parent_id
    while parent_id and len(around) < _FARTHEST:
        above = by_address.get((span.trace_id, parent_id))
        if above is None:
            return around, step or parent_id
        parent, operation = above
        if not step and (operation is not None or calls.is_about_ai(parent.attributes)):
            step = parent_id
        around.append(parent.attributes)
        parent_id = parent.parent_id
    return around, step or span.parent_id


async def record(
    ledger: Recorder, organization_id: int, sender: Sender, seen: Sequence[Seen], received_at: dt.datetime
) -> Counter[str]:
    """Write what is new of these calls. Returns what a sender should know, and of how many calls each is said."""
    notes: Counter[str] = Counter()
    claimed = await ledger.run(memory.claim(organization_id, seen)) if seen else []
    for _ in range(_MOST_CORRECTIONS):
        if not claimed:
            break
        rated = await _record(ledger, organization_id, sender, [call.event() for call in claimed], received_at, notes)
        confirmed, overtaken = [], []
        for call, one in zip(claimed, rated, strict=True):
            state = _state(call, one, notes)
            if state is not None:
                confirmed.append((call, state))
            elif one.outcome is Outcome.CONFLICT:
                overtaken.append(call.corrected())
        await ledger.run(memory.confirm(organization_id, confirmed))
        if overtaken:
            await ledger.run(memory.claim_corrections(organization_id, overtaken))
        claimed = overtaken
    return notes


def _state(call: TracedCall, rated: Rated, notes: Counter[str]) -> str | None:
    """What to remember of a claim; None when it is open still."""
    if rated.outcome in (Outcome.CREATED, Outcome.DUPLICATE):
        return TracedCallState.STORED
    if rated.outcome is Outcome.CONFLICT:
        # The id is taken: by another door, unless another request is writing the same call right now.
        return None if call.is_shared or call.revision else TracedCallState.FOREIGN
    problem = rated.problem or (rated.appended.problem if rated.appended else None)
    if problem is not None and problem.code == "already_superseded":  # somebody corrected it by hand, and knows best
        return TracedCallState.FOREIGN
    notes[problem.message if problem is not None else "The call could not be stored."] += 1
    return None


async def _record(
    ledger: Recorder,
    organization_id: int,
    sender: Sender,
    events: Sequence[UsageEvent],
    received_at: dt.datetime,
    notes: Counter[str],
) -> list[Rated]:
    """Write events; one whose project there is not is kept without it, named in a tag."""
    rated = await ledger.record(organization_id, sender, events, received_at)
    homeless = [
        index for index, one in enumerate(rated) if one.problem is not None and one.problem.code in _NO_SUCH_PROJECT
    ]
    if homeless:
        for index in homeless:
            problem = rated[index].problem
            notes[f"{problem.message if problem else ''} Calls of it are stored without a project."] += 1
        without = [_without_project(events[index]) for index in homeless]
        for index, one in zip(
            homeless, await ledger.record(organization_id, sender, without, received_at), strict=True
        ):
            rated[index] = one
    return rated


def _without_project(event: UsageEvent) -> UsageEvent:
    return msgspec.structs.replace(event, project=None, tags={"project": event.project or "", **(event.tags or {})})
