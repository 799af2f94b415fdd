"""What was refused to keys that are ours, counted by key, day and reason: why usage that was sent is not there.

Kept in memory and written every few seconds, one row for however many; a process that dies loses the last seconds of
it. A secret that is nobody's leaves no trace, so strangers cannot fill the table.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog

from core.periods import quarter_start
from metering.store.postgres import scope
from metering.store.steps import Execute, Steps

logger = structlog.get_logger(__name__)

WRITE_SECONDS = 5.0
# More kinds at once than this are not told apart until the next write.
MOST = 5_000
LONGEST_MESSAGE = 300
KEPT_DAYS = 90
# What is refused for coming too fast is also counted by the quarter hour: how frequent it is, is a matter of hours.
TOO_FAST = "rate_limit_exceeded"

_KEEP = """
INSERT INTO metering_refusal (organization_id, api_key_id, day, code, count, last_at, message)
SELECT * FROM unnest(%s::int[], %s::int[], %s::date[], %s::text[], %s::bigint[], %s::timestamptz[], %s::text[])
ON CONFLICT (organization_id, api_key_id, day, code) DO UPDATE SET
    count = metering_refusal.count + excluded.count, last_at = excluded.last_at, message = excluded.message
"""
_KEEP_QUARTERS = """
INSERT INTO metering_refusedquarter (organization_id, api_key_id, quarter, count)
SELECT * FROM unnest(%s::int[], %s::int[], %s::timestamptz[], %s::bigint[])
ON CONFLICT (organization_id, api_key_id, quarter) DO UPDATE SET count = metering_refusedquarter.count + excluded.count
"""


class Kind(msgspec.Struct, frozen=True):
    organization_id: int
    api_key_id: int
    day: dt.date
    code: str


class Seen(msgspec.Struct):
    count: int
    last_at: dt.datetime
    message: str
    # By their start; only of what is refused for coming too fast.
    quarters: Counter[dt.datetime] = msgspec.field(default_factory=Counter)


class Refused:
    """`write` runs database steps in a transaction of their own."""

    def __init__(self, write: Callable[[Steps[None]], Awaitable[None]]) -> None:
        self._write = write
        self._seen: dict[Kind, Seen] = {}
        self._writer: asyncio.Task[None] | None = None

    def note(self, organization_id: int, api_key_id: int, code: str, message: str) -> None:
        at = dt.datetime.now(dt.UTC)
        kind = Kind(organization_id, api_key_id, at.date(), code)
        seen = self._seen.get(kind)
        if seen is None:
            if len(self._seen) >= MOST:
                return
            seen = self._seen[kind] = Seen(0, at, "")
        seen.count += 1
        seen.last_at = at
        if code == TOO_FAST:
            seen.quarters[quarter_start(at)] += 1
        # What a client sent may be quoted in it.
        seen.message = message[:LONGEST_MESSAGE].replace("\0", "")

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write_now_and_then(), name="refusals")

    async def stop(self) -> None:
        if self._writer:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer
        await self._write_what_is_seen()

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write_what_is_seen()

    async def _write_what_is_seen(self) -> None:
        seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            await self._write(_keep(seen))
        except Exception as error:  # noqa: BLE001 (a door stays open whatever becomes of the count)
            logger.warning("refusals_lost", kinds=len(seen), error=repr(error))


def _keep(kinds: dict[Kind, Seen]) -> Steps[None]:
    # In one order, so that two processes do not wait for each other's rows.
    rows = sorted(kinds.items(), key=lambda pair: msgspec.structs.astuple(pair[0]))
    yield scope({kind.organization_id for kind in kinds})
    columns = zip(
        *((k.organization_id, k.api_key_id, k.day, k.code, s.count, s.last_at, s.message) for k, s in rows), strict=True
    )
    yield Execute(_KEEP, [list(column) for column in columns])
    quarters = [
        (kind.organization_id, kind.api_key_id, quarter, count)
        for kind, seen in rows
        for quarter, count in sorted(seen.quarters.items())
    ]
    if quarters:
        yield Execute(_KEEP_QUARTERS, [list(column) for column in zip(*quarters, strict=True)])
