"""What a difference consists of, by key, by model and by member: parts in whole numbers that sum to it exactly.

What was expected is divided as the hours were that the expectation rests on. A part's difference is what it had less
its share of that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec

from alerts.detection.draft import Draft
from alerts.detection.usage_hours import DIMENSIONS, ORGANIZATION, UsageHours
from core.apportion import apportion
from metering.query.hourly import COLUMNS, Figures4, read_spans

MEMBER = "member"
MOST_PARTS = 6


class RefPart(msgspec.Struct, frozen=True):
    """Of one reference, or of `others` that many together."""

    ref: int
    actual: int
    expected: int
    others: int = 0

    @property
    def difference(self) -> int:
        return self.actual - self.expected


class RefBreakdown(msgspec.Struct, frozen=True):
    dimension: str
    parts: tuple[RefPart, ...]
    remainder: int


class Explainer:
    """Explains the drafts of one moment; what several of them rest on is read once. Needs the organization's scope."""

    def __init__(self, organization_id: int, usage: UsageHours) -> None:
        self._organization_id = organization_id
        self._usage = usage
        self._read: dict[tuple[str, int | str, tuple[int, ...]], dict[int, Figures4]] = {}

    def explain(self, draft: Draft) -> tuple[RefBreakdown, ...]:
        told = explain_from_hours(self._usage, draft)
        if draft.switch is not None:
            return told
        return (*told, breakdown(MEMBER, *self._from_events(draft), draft.expected))

    def _from_events(self, draft: Draft) -> tuple[dict[int, int], dict[int, int]]:
        """By member, of the draft's hours and of those that its expectation rests on."""
        place = COLUMNS.index(draft.measure)
        of_hours = self._members(draft, tuple(range(draft.first, draft.last + 1)))
        before = self._members(draft, draft.references)
        return {ref: row[place] for ref, row in of_hours.items()}, {ref: row[place] for ref, row in before.items()}

    def _members(self, draft: Draft, positions: tuple[int, ...]) -> dict[int, Figures4]:
        if not positions:
            return {}
        asked = (draft.scope, draft.ref, positions)
        if asked not in self._read:
            refs = {} if draft.scope == ORGANIZATION else {draft.scope: int(draft.ref)}
            spans = spans_of(self._usage, positions)
            self._read[asked] = read_spans(self._organization_id, spans, MEMBER, refs)
        return self._read[asked]


def explain_from_hours(usage: UsageHours, draft: Draft) -> tuple[RefBreakdown, ...]:
    """By what hours tell apart: no event is read."""
    if draft.switch is not None:
        return (RefBreakdown("model", (RefPart(draft.switch.target, draft.actual, draft.expected),), 0),)
    names = [name for name in DIMENSIONS if name != draft.scope]
    return tuple(breakdown(name, *_from_hours(usage, draft, name), draft.expected) for name in names)


def breakdown(dimension: str, actual: Mapping[int, int], before: Mapping[int, int], expected: int) -> RefBreakdown:
    """The parts that moved most, the rest as one. `remainder` is what was expected though nothing was used before."""
    refs = sorted({*actual, *before})
    weights = [max(before.get(ref, 0), 0) for ref in refs]
    is_divided = any(weights)
    shares = apportion(expected, weights) if is_divided else [0] * len(refs)
    parts = [RefPart(ref, actual.get(ref, 0), share) for ref, share in zip(refs, shares, strict=True)]
    moved = sorted((part for part in parts if part.actual or part.expected), key=lambda p: (-abs(p.difference), p.ref))
    if len(moved) > MOST_PARTS:
        rest = moved[MOST_PARTS - 1 :]
        together = RefPart(0, sum(p.actual for p in rest), sum(p.expected for p in rest), others=len(rest))
        moved = [*moved[: MOST_PARTS - 1], together]
    return RefBreakdown(dimension, tuple(moved), 0 if is_divided else -expected)


def _from_hours(usage: UsageHours, draft: Draft, dimension: str) -> tuple[dict[int, int], dict[int, int]]:
    """By reference, of the draft's hours and of those that its expectation rests on."""
    rows = _rows_of(usage, draft)
    figures, refs = usage.of(draft.measure)[rows], usage.refs(dimension)[rows].tolist()
    sums: list[dict[int, int]] = []
    for hours in (list(range(draft.first, draft.last + 1)), list(draft.references)):
        of_rows = figures[:, hours].sum(axis=1).tolist()
        found: dict[int, int] = {}
        for ref, amount in zip(refs, of_rows, strict=True):
            if amount:
                found[ref] = found.get(ref, 0) + amount
        sums.append(found)
    return sums[0], sums[1]


def _rows_of(usage: UsageHours, draft: Draft) -> list[int]:
    if isinstance(draft.ref, str):
        raise TypeError("hours know no texts")
    found: list[int] = usage.rows(draft.scope, draft.ref).nonzero()[0].tolist()
    return found


def spans_of(usage: UsageHours, positions: Sequence[int]) -> list[tuple[dt.datetime, dt.datetime]]:
    """Hours as spans of time, those that touch as one."""
    spans: list[tuple[dt.datetime, dt.datetime]] = []
    for at in positions:
        start, end = usage.clock.starts[at], usage.clock.end_of(at)
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans
