"""What changes in the price book when a price list changes.

A price list says what it knows today about past, present and future prices. The book keeps what was true when it
was used: a sync closes versions and adds new ones, and takes a price back only where the list itself now says
otherwise about a period that is over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Span:
    """What a price list says about one period; `content` is equal for equal prices."""

    valid_from: dt.datetime
    valid_to: dt.datetime | None
    content: Hashable


@dataclass
class StoredSpan:
    id: int
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    content: Hashable


@dataclass
class Changes:
    """`ends`: version id → its new `valid_to`. `additions`: versions to add."""

    ends: dict[int, dt.datetime | None] = field(default_factory=dict)
    additions: list[Span] = field(default_factory=list)


def changes(stored: Sequence[StoredSpan], listed: Sequence[Span], now: dt.datetime) -> Changes:
    """`listed` are contiguous, oldest first. `stored` are one model's versions in any order; both are half-open.

    Prices that the list dates apply from that date. A price that changed in the list without a date applies from
    `now` on, since events before it were rated, rightly or not, at what was published to us.
    """
    result = Changes()
    live = sorted((span for span in stored if span.valid_to != span.valid_from), key=lambda span: span.valid_from)
    for span in listed:
        overlapping = []
        for old in live:
            if not _overlap(old, span):
                continue
            # An announced price that is no longer announced like this never came to be.
            if old.valid_from > now and (old.valid_from, old.content) != (span.valid_from, span.content):
                _end(old, old.valid_from, result)
            else:
                overlapping.append(old)
        if not overlapping:
            result.additions.append(span)
            continue
        first, last = overlapping[0], overlapping[-1]
        if first.valid_from > span.valid_from:
            result.additions.append(Span(span.valid_from, first.valid_from, span.content))
        if last.content != span.content:
            starts_at = _start_of_change(last, span, now)
            _end(last, starts_at, result)
            result.additions.append(Span(starts_at, span.valid_to, span.content))
        elif last.valid_to != span.valid_to:
            _end(last, span.valid_to, result)
        live = [old for old in live if old.valid_to != old.valid_from]
    return result


def _start_of_change(last: StoredSpan, span: Span, now: dt.datetime) -> dt.datetime:
    if last.valid_from < span.valid_from:
        return span.valid_from
    is_current = span.valid_from <= now and (span.valid_to is None or now < span.valid_to)
    if is_current and last.valid_from < now:
        return now
    return last.valid_from


def _end(span: StoredSpan, at: dt.datetime | None, result: Changes) -> None:
    span.valid_to = at
    result.ends[span.id] = at


def _overlap(old: StoredSpan, span: Span) -> bool:
    return (span.valid_to is None or old.valid_from < span.valid_to) and (
        old.valid_to is None or span.valid_from < old.valid_to
    )
