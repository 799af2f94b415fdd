"""Claims of concurrent calls, decided together: one transaction for all that wait (metering/lanes.py).

The transaction has the lock of every organization in it from before it reads until it has committed, so nobody grants
beside it, in this process or another: what is admitted never exceeds a limit.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg

from core.errors import ApiError
from core.periods import LocalClock
from metering.events import UsageEvent
from metering.lanes import Lanes, Work
from metering.limits import standing
from metering.limits.decide import Claim, Key, Verdict, decide
from metering.limits.standing import Asked, Standing
from metering.models import HoldSource
from metering.pipeline import Sender, event_key
from metering.store import holds
from metering.store.steps import Execute, Steps, transact

# Limits say whose a row is; each claim is looked up by its own event.
_KNOWN = """
SELECT w.number, h.id, h.expires_at, h.released_at IS NOT NULL, h.estimate, k.key IS NOT NULL
FROM unnest(%s::int[], %s::text[], %s::uuid[]) WITH ORDINALITY AS w (organization_id, event_id, key, number)
LEFT JOIN LATERAL (
    SELECT * FROM metering_hold h WHERE h.organization_id = w.organization_id AND h.event_id = w.event_id LIMIT 1
) AS h ON true
LEFT JOIN LATERAL (
    SELECT k.key FROM metering_event_key k WHERE k.organization_id = w.organization_id AND k.key = w.key LIMIT 1
) AS k ON true
WHERE h.id IS NOT NULL OR k.key IS NOT NULL
"""
_ADD = """
INSERT INTO metering_hold (id, organization_id, event_id, source, occurred_at, expires_at, project_id, team_id,
    department_id, member_id, api_key_id, model, feature, tokens, cost_nanos, estimate)
SELECT id, organization_id, event_id, source, occurred_at, clock_timestamp() + make_interval(secs => lifetime),
    project_id, team_id, department_id, member_id, api_key_id, model, feature, tokens, cost_nanos, estimate
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::timestamptz[], %s::float8[], %s::int[], %s::int[],
    %s::int[], %s::int[], %s::int[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bytea[])
    AS t (id, organization_id, event_id, source, occurred_at, lifetime, project_id, team_id, department_id, member_id,
          api_key_id, model, feature, tokens, cost_nanos, estimate)
RETURNING id, expires_at
"""


class Estimate(msgspec.Struct, frozen=True):
    """All that makes a hold an event, should nobody settle it."""

    event: UsageEvent
    sender: Sender


class Granted(msgspec.Struct, frozen=True):
    """A hold that is committed. `standings`: the call's limits, with it."""

    id: uuid.UUID
    expires_at: dt.datetime
    standings: tuple[Standing, ...]


class _Known(msgspec.Struct, frozen=True):
    """What there is of a claim's event already."""

    hold_id: uuid.UUID | None
    expires_at: dt.datetime | None
    is_released: bool
    estimate: bytes | None
    is_stored: bool


Answer = Granted | Verdict | ApiError


class _Claiming(Work):
    __slots__ = ("claim",)

    def __init__(self, claim: Claim, clock: LocalClock, answer: asyncio.Future[Any]) -> None:
        super().__init__(claim.organization_id, clock, 1, answer)
        self.claim = claim


class Claims(Lanes[_Claiming]):
    name = "claims"
    # The next group could not read before this one has committed.
    lanes = 1
    most_at_once = 1_000
    most_waiting = 20_000

    def make(self, claim: Claim, clock: LocalClock) -> asyncio.Future[Granted | Verdict]:
        """Granted, after the commit; or a verdict that says what the claim is short of.

        The future may end in ApiError 409 for an admission that is none any more, StorageUnavailableError,
        UnstorableError or StaleClockError. Raises StorageUnavailableError when too many wait.
        """
        return self.submit(_Claiming(claim, clock, self._loop.create_future()))

    def _write(self, connection: psycopg.Connection[Any], group: Sequence[_Claiming]) -> Sequence[Answer]:
        clocks = {work.organization_id: work.clock for work in group}
        return transact(connection, grant([work.claim for work in group], clocks))


def grant(claims: Sequence[Claim], clocks: Mapping[int, LocalClock]) -> Steps[list[Answer]]:
    """Decide claims in their order and hold what is granted. One transaction of the caller's."""
    yield holds.enter([claim.organization_id for claim in claims])
    known = yield from _known(claims)
    standings = yield from _standings(claims, clocks)
    new: dict[tuple[int, str], Claim] = {}
    for number, claim in enumerate(claims):
        if number not in known:
            new.setdefault((claim.organization_id, claim.event_id), claim)
    verdicts = dict(zip(new, decide(list(new.values()), standings), strict=True))
    expiries = yield from _add([claim for address, claim in new.items() if not verdicts[address].short])
    answers: list[Answer] = []
    for number, claim in enumerate(claims):
        if number in known:
            answers.append(_again(claim, known[number], [standings[key] for key in claim.keys]))
            continue
        address = (claim.organization_id, claim.event_id)
        first, verdict = new[address], verdicts[address]
        if first.body_hash != claim.body_hash:
            answers.append(_another_call())
        elif verdict.short:
            answers.append(verdict)
        else:
            answers.append(Granted(first.id, expiries[first.id], verdict.standings))
    return answers


def _known(claims: Sequence[Claim]) -> Steps[dict[int, _Known]]:
    """What there is of claims' events already, by the claim's number. The gateway's are always new to the ledger."""
    keys = [
        uuid.UUID(bytes=event_key(claim.event_id)) if claim.source == HoldSource.ADMISSION else None for claim in claims
    ]
    rows = yield Execute(
        _KNOWN, ([claim.organization_id for claim in claims], [claim.event_id for claim in claims], keys)
    )
    return {number - 1: _Known(*row) for number, *row in rows}


def _again(claim: Claim, known: _Known, standings: Sequence[Standing]) -> Answer:
    """The same admission asked for twice is admitted once."""
    if known.hold_id is None or known.expires_at is None or known.estimate is None or known.is_released:
        return ApiError(
            409, "admission_closed", "The admission with this id has been settled, released or has expired.", param="id"
        )
    if read_estimate(known.estimate).event.body_hash != claim.body_hash:
        return _another_call()
    return Granted(known.hold_id, known.expires_at, tuple(standings))


def _another_call() -> ApiError:
    return ApiError(
        409, "admission_conflict", "Another call has been admitted under this id. Its admission stands.", param="id"
    )


def _standings(claims: Sequence[Claim], clocks: Mapping[int, LocalClock]) -> Steps[dict[Key, Standing]]:
    asked = {
        (rule.id, span.starts_on): Asked(claim.organization_id, clocks[claim.organization_id].zone, rule, span)
        for claim in claims
        for rule, span in claim.rules
    }
    if not asked:
        return {}
    return dict(zip(asked, (yield from standing.read(list(asked.values()))), strict=True))


def _add(claims: Sequence[Claim]) -> Steps[dict[uuid.UUID, dt.datetime]]:
    if not claims:
        return {}
    rows = [
        (one.id, one.organization_id, one.event_id, str(one.source), one.occurred_at, one.lifetime_seconds,
         *one.selection, one.tokens, one.cost_nanos, one.estimate)
        for one in claims
    ]  # fmt: skip
    return dict((yield Execute(_ADD, [list(column) for column in zip(*rows, strict=True)])))


# ── Estimates ──

_DECODER = msgspec.msgpack.Decoder(Estimate)
_ENCODER = msgspec.msgpack.Encoder()


def write_estimate(event: UsageEvent, sender: Sender) -> bytes:
    return _ENCODER.encode(Estimate(event, sender))


def read_estimate(data: bytes) -> Estimate:
    return _DECODER.decode(data)


def estimate_hash(event_id: str, source: str) -> bytes:
    """The body hash of an event that was made of its hold: tells it from one that somebody sent, and whose it was."""
    person = f"expired {source}"[:16].encode()
    return hashlib.blake2b(event_id.encode(), digest_size=16, person=person).digest()
