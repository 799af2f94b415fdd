"""What was reported of calls lately: kept in the database, for spans of one call may come to different processes.

A claim is committed before its event is written and confirmed after. So a call is never counted twice, and one whose
event could not be written is written when its spans are sent again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from core.tenancy import unscoped
from metering.ingest.otlp.joining import Sighting
from metering.ingest.otlp.report import Report
from metering.ingest.otlp.settling import Seen, TracedCall, settle
from metering.models import TracedCall as Row
from metering.models import TracedCallState
from metering.store.postgres import scope
from metering.store.steps import Execute, Steps

# Spans of one call are seconds apart, and a collector that could not send keeps on trying for hours.
KEPT = dt.timedelta(days=1)

# Two requests with spans of one call take turns, so that the second sees what the first has claimed.
_LOCK = "SELECT pg_advisory_xact_lock(7045, %s)"
# A process that does all of its life in one trace has no end of calls there; the latest are those to be joined.
_FIND = """
SELECT event_id, sightings, report, revision, state FROM metering_tracedcall
WHERE organization_id = %s AND (trace_id = ANY(%s) OR response_id = ANY(%s))
ORDER BY seen_at DESC LIMIT 20000
"""
_KEEP = """
INSERT INTO metering_tracedcall
    (organization_id, event_id, trace_id, response_id, sightings, report, revision, state, seen_at)
SELECT %s, event_id, trace_id, response_id, sightings, report, revision, state, now()
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[])
    AS new (event_id, trace_id, response_id, sightings, report, revision, state)
ON CONFLICT (organization_id, event_id) DO UPDATE SET
    response_id = excluded.response_id, sightings = excluded.sightings, report = excluded.report,
    revision = excluded.revision, state = excluded.state, seen_at = excluded.seen_at
"""
_CONFIRM = """
UPDATE metering_tracedcall c SET state = new.state
FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[]) AS new (event_id, revision, sightings, state)
WHERE c.organization_id = %s AND c.event_id = new.event_id AND c.revision = new.revision AND c.state = 'claimed'
    AND (new.state = 'stored' OR c.sightings = new.sightings)
"""
_sightings = msgspec.json.Decoder(list[Sighting])
_report = msgspec.json.Decoder(Report)


def claim(organization_id: int, seen: Sequence[Seen]) -> Steps[list[TracedCall]]:
    """Settle new reports with what is remembered; returns the calls of which an event is to be written."""
    yield scope([organization_id])
    yield Execute(_LOCK, (organization_id,))
    traces = sorted({one.sighting.trace_id for one in seen})
    answers = sorted({one.sighting.response_id for one in seen if one.sighting.response_id})
    rows = yield Execute(_FIND, (organization_id, traces, answers))
    known = [TracedCall(row[0], _sightings.decode(row[1]), _report.decode(row[2]), row[3], row[4]) for row in rows]
    settled = settle(known, seen)
    yield from _keep(organization_id, settled)
    return [call for call in settled if call.state == TracedCallState.CLAIMED]


def claim_corrections(organization_id: int, calls: Sequence[TracedCall]) -> Steps[None]:
    yield scope([organization_id])
    yield Execute(_LOCK, (organization_id,))
    yield from _keep(organization_id, calls)


def confirm(organization_id: int, calls: Iterable[tuple[TracedCall, str]]) -> Steps[None]:
    """Say what became of claims. That a call came in by another door is only said while nobody else reported it."""
    columns = [(call.event_id, call.revision, _text(call.sightings), state) for call, state in calls]
    yield scope([organization_id])
    yield Execute(_CONFIRM, (*_transposed(columns, 4), organization_id))


def forget_old(now: dt.datetime) -> int:
    """Returns how many were forgotten."""
    with unscoped("beat forgets every organization's old spans"):
        forgotten, _ = Row.objects.filter(seen_at__lt=now - KEPT).delete()
    return forgotten


def _keep(organization_id: int, calls: Sequence[TracedCall]) -> Steps[None]:
    if not calls:
        return
    columns = [
        (
            call.event_id,
            call.sightings[0].trace_id,
            min((s.response_id for s in call.sightings if s.response_id), default=None),
            _text(call.sightings),
            _text(call.report),
            call.revision,
            call.state,
        )
        for call in calls
    ]
    yield Execute(_KEEP, (organization_id, *_transposed(columns, 7)))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
