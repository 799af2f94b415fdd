"""Breakdowns as they are printed: the largest values one by one, the others as one row, so that rows sum up."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from accounts.models import Department
from metering.query.metrics import Figures
from reports.monthly.figures import Compared, MonthFigures
from reports.shared_costs import RULES, Place, divide
from reports.stacks import name_of, slot_of

# What a reader still reads; an organization may have hundreds.
MOST_ROWS = 20


class Row(msgspec.Struct, frozen=True):
    """`slot` is its color, "other" of the others; `before` and `year_before` are None where there is no such month."""

    label: str
    now: Figures
    before: Figures | None
    year_before: Figures | None
    slot: int | str = "total"
    sub: str = ""


class Table(msgspec.Struct, frozen=True):
    """`total` is what the rows sum to: the month's own totals. `count` values were used in it."""

    rows: list[Row]
    total: Row
    count: int


def table_of(found: MonthFigures, dimension: str, subs: dict[int, str] | None = None) -> Table:
    """`subs` has what stands below a name, by reference."""
    values = found.by[dimension]
    used = [one for one in values if one.now.requests]
    named = used if len(used) <= MOST_ROWS else used[: MOST_ROWS - 1]
    rows = []
    for one in named:
        (group,) = one.groups
        sub = subs.get(int(group.ref or 0), "") if subs else ""
        rows.append(_row(found, name_of(group, dimension), slot_of(group), [one], sub))
    rest, gone = used[len(named) :], [one for one in values if not one.now.requests and _was_used(found, one)]
    if rest:
        rows.append(_row(found, f"{len(rest):,} others", "other", rest))
    if gone:
        rows.append(_row(found, f"{len(gone):,} not used this month", "other", gone))
    return Table(rows, Row("Total", found.totals, found.before, found.year_before), len(used))


def _was_used(found: MonthFigures, one: Compared) -> bool:
    """In a month that stands beside this one."""
    beside = ((found.before, one.before), (found.year_before, one.year_before))
    return any(whole is not None and figures.requests > 0 for whole, figures in beside)


def _row(found: MonthFigures, label: str, slot: int | str, members: Sequence[Compared], sub: str = "") -> Row:
    def summed(name: str) -> Figures:
        return sum((getattr(one, name) for one in members), Figures())

    return Row(
        label,
        summed("now"),
        None if found.before is None else summed("before"),
        None if found.year_before is None else summed("year_before"),
        slot,
        sub,
    )


class Center(msgspec.Struct, frozen=True):
    """What a cost center used by itself, and what it bears of what no department did. None where nobody can bear it."""

    label: str
    departments: tuple[str, ...]
    direct_nanos: int
    shared_nanos: int | None
    # Whether some of it has no price.
    is_direct_partial: bool = False
    is_shared_partial: bool = False

    @property
    def total_nanos(self) -> int | None:
        return None if self.shared_nanos is None else self.direct_nanos + self.shared_nanos


def centers_of(found: MonthFigures) -> list[Center]:
    """The largest first, divided as the page of shared costs does when nothing else is chosen. They sum to the month's
    cost. Needs the organization's scope."""
    about = dict(Department.objects.values_list("pk", "cost_center"))
    pool, places = Figures(), []
    partial: set[str] = set()
    for one in found.by["department"]:
        ref = int(one.groups[0].ref or 0)
        if not ref:
            pool = one.now
        elif one.now.requests:
            name = name_of(one.groups[0], "department")
            places.append(Place(None, name, about.get(ref, ""), 0, one.now.known_cost_nanos, exists=ref in about))
            if one.now.unpriced_tokens:
                partial.add(about.get(ref, ""))
    places.sort(key=lambda place: (-place.direct_nanos, place.name.lower()))
    division = divide(places, pool, RULES["direct"])
    sums: dict[str, tuple[list[str], list[int]]] = {}
    for at, place in enumerate(division.places):
        names, parts = sums.setdefault(place.cost_center, ([], [0, 0]))
        names.append(place.name)
        parts[0] += place.direct_nanos
        parts[1] += division.parts[at] if division.parts else 0
    rows = [
        Center(
            center or "No cost center",
            tuple(names),
            direct,
            shared if division.parts else None,
            is_direct_partial=center in partial,
            is_shared_partial=bool(division.parts) and pool.unpriced_tokens > 0,
        )
        for center, (names, (direct, shared)) in sums.items()
    ]
    rows.sort(key=lambda one: -(one.total_nanos or one.direct_nanos))
    if division.parts is None and pool.requests:
        rows.append(
            Center("No department", (), pool.known_cost_nanos, None, is_direct_partial=pool.unpriced_tokens > 0)
        )
    return rows
