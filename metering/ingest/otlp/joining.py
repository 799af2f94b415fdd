"""Which spans report one and the same call.

Three things tell: the provider's id of the answer; one span within another; and two instrumentations side by side, one
around the other in time. Spans of earlier requests take part as they are remembered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

# Trace and span.
Address = tuple[str, str]


class Sighting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A span of a model call, by what tells whether another one is the same. Times are microseconds since 1970.

    `parent_id` is the nearest span above that is a step of its own: what merely carries a call is left out.
    """

    trace_id: str
    span_id: str
    parent_id: str
    scope: str
    is_embedding: bool
    is_error: bool
    model: str | None
    response_id: str | None
    started_us: int
    ended_us: int

    @property
    def address(self) -> Address:
        return self.trace_id, self.span_id


# Two instrumentations of one call begin within moments: no more than so many other spans lie between them.
_MOST_BETWEEN = 64


class Group:
    """Sightings of one call. `event_id` is its name when an earlier request gave it one."""

    def __init__(self, sightings: Iterable[Sighting], event_id: str | None = None) -> None:
        self.sightings = list(sightings)
        self.event_id = event_id
        self.response_ids = {one.response_id for one in self.sightings if one.response_id}
        self.scopes = {one.scope for one in self.sightings}
        self.is_error = all(one.is_error for one in self.sightings)

    def take(self, other: Group) -> None:
        self.sightings += other.sightings
        self.event_id = self.event_id or other.event_id
        self.response_ids |= other.response_ids
        self.scopes |= other.scopes
        self.is_error &= other.is_error


class Joiner:
    """`join`, then read `groups` and `sums`: the spans that stand over several calls, whose tokens are theirs."""

    def __init__(self, known: Iterable[Group], new: Iterable[Sighting]) -> None:
        self._seen: dict[Address, Sighting] = {}
        self._of: dict[Address, Group] = {}
        self.sums: set[Address] = set()
        for group in known:
            for sighting in group.sightings:
                self._seen[sighting.address], self._of[sighting.address] = sighting, group
        for sighting in new:
            if sighting.address not in self._of:
                self._seen[sighting.address], self._of[sighting.address] = sighting, Group([sighting])

    @property
    def groups(self) -> list[Group]:
        return list(dict.fromkeys(self._of.values()))

    def join(self) -> None:
        ordered = sorted(self._seen.values(), key=lambda s: (s.started_us, -s.ended_us, s.address))
        self._join_answers()
        self._join_neighbors(ordered)
        self._join_nested(ordered)

    def _unite(self, one: Group, other: Group) -> None:
        """Two calls that are stored as two stay two."""
        if one is other or (one.event_id and other.event_id):
            return
        large, small = (one, other) if len(one.sightings) >= len(other.sightings) else (other, one)
        for sighting in small.sightings:
            self._of[sighting.address] = large
        large.take(small)

    def _join_answers(self) -> None:
        first: dict[str, Sighting] = {}
        for sighting in self._seen.values():
            if sighting.response_id:
                same = first.setdefault(sighting.response_id, sighting)
                self._unite(self._of[same.address], self._of[sighting.address])

    def _join_neighbors(self, ordered: Iterable[Sighting]) -> None:
        """Traceloop's span of a call does not stand above the one that Anthropic's library makes, but beside it."""
        families: dict[tuple[object, ...], list[Sighting]] = defaultdict(list)
        for one in ordered:
            if one.parent_id:
                families[one.trace_id, one.parent_id, one.is_embedding, one.model].append(one)
        for family in families.values():
            for index, outer in enumerate(family):
                for inner in family[index + 1 : index + 1 + _MOST_BETWEEN]:
                    if inner.scope != outer.scope and inner.ended_us <= outer.ended_us:
                        self._join_neighbor(self._of[outer.address], self._of[inner.address])

    def _join_neighbor(self, outer: Group, inner: Group) -> None:
        """An instrumentation reports a call once, so no two of one scope are the same."""
        if outer.scopes.isdisjoint(inner.scopes) and not (outer.response_ids and inner.response_ids):
            self._unite(outer, inner)

    def _join_nested(self, ordered: list[Sighting]) -> None:
        """A call within a call is the same, or one of several attempts; several that succeeded make the outer a sum."""
        within: dict[Address, list[Sighting]] = defaultdict(list)
        for inner in ordered:
            outer = self._seen.get((inner.trace_id, inner.parent_id))
            # A chat that looks something up by its embedding has made two calls.
            if outer is not None and outer.is_embedding == inner.is_embedding:
                within[outer.address].append(inner)
        # Inner spans begin later: what is within is settled before what is around it.
        for outer in reversed(ordered):
            if outer.address in within:
                self._settle(outer.address, within[outer.address])

    def _settle(self, outer: Address, inner: Iterable[Sighting]) -> None:
        around = self._of[outer]
        addresses = [one.address for one in inner]
        calls = dict.fromkeys(self._of[address] for address in addresses)
        if sum(not call.is_error for call in calls) > 1 or not self.sums.isdisjoint(addresses):
            self.sums.add(outer)
            return
        for call in calls:
            if not (around.response_ids and call.response_ids and around.response_ids.isdisjoint(call.response_ids)):
                self._unite(self._of[outer], call)
