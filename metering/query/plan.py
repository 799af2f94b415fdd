"""Which table answers which part of a range.

A range is cut into pieces, and each piece is read from the coarsest table that has it exactly: whole days of the
ledger from the day cube or the roll-up of rates, whole hours from the hour roll-up, whole months of chats from the
chat roll-up, what is left at the edges, and whatever no roll-up tells apart, from the events. Pieces neither overlap
nor leave a gap.
docs/algorithms/reading.md has the rules and their reasons.
"""

from __future__ import annotations

import datetime as dt
import enum
import itertools
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec

from core.periods import buckets, day_start, hour_start, local_day, month_start, next_bucket, next_month
from metering.dimensions import DIMENSIONS, HOUR_DIMENSIONS
from metering.query.rate_parts import ROLLED_UP
from metering.query.spec import UsageQuery
from metering.store.rates import LENGTHS, RATE_DIMENSIONS


class Source(enum.StrEnum):
    DAY = "day"
    HOUR = "hour"
    CHAT = "chat"
    RATE = "rate"
    EVENTS = "events"


_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
EVERY_SOURCE = frozenset(Source)


class Piece(msgspec.Struct, frozen=True):
    source: Source
    start: dt.datetime
    end: dt.datetime


class Plan(msgspec.Struct, frozen=True):
    """`starts` are the buckets' beginnings, the first one cut to the range; `ledger` the zone roll-ups are kept in."""

    pieces: tuple[Piece, ...]
    buckets: tuple[tuple[dt.datetime, dt.datetime], ...]
    ledger: ZoneInfo

    @property
    def starts(self) -> list[dt.datetime]:
        return [start for start, _ in self.buckets]


def plan(query: UsageQuery, ledger: ZoneInfo, sources: frozenset[Source] = EVERY_SOURCE) -> Plan:
    """How to answer a query. `sources` leaves roll-ups out; the figures stay the same."""
    divided = tuple(_divide(query))
    inner = [start for start, _ in divided[1:]]
    coarse = [
        source
        for source in (Source.DAY, Source.RATE, Source.CHAT, Source.HOUR)
        if source in sources and _tells(source, query)
    ]
    return Plan(tuple(_cut(query.start, query.end, inner, coarse, ledger)), divided, ledger)


def _divide(query: UsageQuery) -> list[tuple[dt.datetime, dt.datetime]]:
    """The buckets of the range, the first and the last cut to it."""
    if query.interval is None:
        return [(query.start, query.end)]
    if query.interval != "hour":
        return buckets(query.start, query.end, query.interval, query.zone)
    found: list[tuple[dt.datetime, dt.datetime]] = []
    for start, end in buckets(query.start, query.end, "day", query.zone):
        found += _hours(start, end, query.zone)
    return found


def _hours(start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> list[tuple[dt.datetime, dt.datetime]]:
    """The hours of a day. A year has thousands, so a plain day's are counted instead of looked up one by one."""
    is_plain = end - start == _DAY and start.astimezone(zone).utcoffset() == end.astimezone(zone).utcoffset()
    if not is_plain or start != hour_start(start, zone):
        return buckets(start, end, "hour", zone)
    edges = [start + n * _HOUR for n in range(25)]
    return list(itertools.pairwise(edges))


def plan_of_days(
    query: UsageQuery, ledger: ZoneInfo, *, is_kept: bool, sources: frozenset[Source] = EVERY_SOURCE
) -> Plan:
    """How to answer from a roll-up of days, where it keeps what is asked, and from events beside it."""
    divided = tuple(_divide(query))
    coarse = [Source.DAY] if is_kept and Source.DAY in sources else []
    return Plan(
        tuple(_cut(query.start, query.end, [start for start, _ in divided[1:]], coarse, ledger)), divided, ledger
    )


def _tells(source: Source, query: UsageQuery) -> bool:
    """Whether a roll-up keeps apart every dimension the query speaks of."""
    dimensions = query.dimensions
    if query.with_audio:
        return False
    if source is Source.DAY:
        return len(dimensions) <= 1 and all(name in DIMENSIONS for name in dimensions)
    if source is Source.HOUR:
        return dimensions <= set(HOUR_DIMENSIONS)
    if source is Source.RATE:
        return query.lengths == LENGTHS and dimensions <= {*RATE_DIMENSIONS, *ROLLED_UP}
    # What has no chat is told by difference: the cube's total less every chat.
    return dimensions == {"chat"}


def _cut(
    start: dt.datetime, end: dt.datetime, inner: Sequence[dt.datetime], coarse: Sequence[Source], ledger: ZoneInfo
) -> list[Piece]:
    """Pieces of [start, end), in order. `inner` are the boundaries between its buckets."""
    if start >= end:
        return []
    if not coarse:
        return [Piece(Source.EVENTS, start, end)]
    source, finer = coarse[0], coarse[1:]
    first, last = _after(source, start, ledger), _before(source, end, ledger)
    inside = [at for at in inner if first <= at <= last]
    if first >= last or not all(_is_edge(source, at, ledger) for at in inside):
        return _cut(start, end, inner, finer, ledger)
    return [
        *_cut(start, first, [at for at in inner if at < first], finer, ledger),
        Piece(source, first, last),
        *_cut(last, end, [at for at in inner if at > last], finer, ledger),
    ]


def _before(source: Source, at: dt.datetime, ledger: ZoneInfo) -> dt.datetime:
    """The last edge of a roll-up's periods that is not after `at`."""
    if source is Source.HOUR:
        return hour_start(at, ledger)
    day = local_day(at, ledger)
    return day_start(month_start(day) if source is Source.CHAT else day, ledger)


def _after(source: Source, at: dt.datetime, ledger: ZoneInfo) -> dt.datetime:
    """The first edge of a roll-up's periods that is not before `at`."""
    before = _before(source, at, ledger)
    if before == at:
        return at
    if source is Source.HOUR:
        return next_bucket(before, "hour", ledger)
    day = local_day(at, ledger)
    return day_start(next_month(day) if source is Source.CHAT else day + dt.timedelta(days=1), ledger)


def _is_edge(source: Source, at: dt.datetime, ledger: ZoneInfo) -> bool:
    return _before(source, at, ledger) == at
