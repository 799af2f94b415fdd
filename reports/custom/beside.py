"""Which bucket of a period has one of the other period to be compared with: as long, over, and on record."""

from __future__ import annotations

import datetime as dt

import msgspec

from core.periods import bucket_start, buckets, local_day, next_bucket
from metering.query.ranges import Span
from metering.query.spec import UsageQuery
from reports.custom.definition import Definition

Part = tuple[dt.datetime, dt.datetime]


class Pair(msgspec.Struct, frozen=True):
    """A bucket of this period, and what is known of the one of the same number, where the other period has one."""

    start: dt.datetime
    has_other: bool = False
    is_alike: bool = False
    is_recorded: bool = False

    @property
    def is_comparable(self) -> bool:
        return self.is_alike and self.is_recorded


def parts(query: UsageQuery, start: dt.datetime, end: dt.datetime) -> list[Part]:
    """The buckets of a period; the whole as one without an interval."""
    if query.interval is None:
        return [(start, end)] if end > start else []
    return buckets(start, end, query.interval, query.zone)


def pairs(definition: Definition, query: UsageQuery) -> list[Pair]:
    """By the number of the bucket. `query` is the definition's, or that of its totals."""
    own = parts(query, query.start, query.end)
    before = definition.before
    if before is None:
        return [Pair(start) for start, _ in own]
    others = parts(query, before.start, before.end)
    found = []
    for number, (start, end) in enumerate(own):
        if number >= len(others):
            found.append(Pair(start))
            continue
        # A bucket that is not over is compared with as much of the other.
        so_far = (start, min(end, max(definition.at, start)))
        is_alike = _is_alike(query, so_far, others[number])
        found.append(Pair(start, True, is_alike, _is_recorded(definition, others[number][0])))
    return found


def is_recorded_in_part(definition: Definition, before: Span) -> bool:
    return not _is_recorded(definition, before.start)


def _is_recorded(definition: Definition, start: dt.datetime) -> bool:
    zone = definition.query.zone
    return definition.since is not None and local_day(definition.since, zone) <= local_day(start, zone)


def _is_alike(query: UsageQuery, own: Part, other: Part) -> bool:
    """Both whole, as a month beside a month; or cut to the same time on the wall."""
    if all(_is_whole(query, part) for part in (own, other)):
        return True
    length, other_length = (
        end.astimezone(query.zone).replace(tzinfo=None) - start.astimezone(query.zone).replace(tzinfo=None)
        for start, end in (own, other)
    )
    return length == other_length


def _is_whole(query: UsageQuery, part: Part) -> bool:
    if query.interval is None:
        return True
    start = bucket_start(part[0], query.interval, query.zone)
    return part == (start, next_bucket(start, query.interval, query.zone))
