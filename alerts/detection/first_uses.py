"""Models and keys that are used for the first time, or again after a long while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from alerts.detection.draft import Draft
from alerts.detection.finding import Kind
from alerts.detection.lookback import HOURS_OF_DAY
from alerts.detection.measures import Measure
from alerts.detection.usage_hours import UsageHours

# Told for so long after it was first used.
FRESH = dt.timedelta(hours=24)
# A key that was not used for so many days sleeps.
DORMANT_DAYS = 30
# In an organization younger than that everything is new.
SETTLED_DAYS = 14

_NEW = {"model": Kind.NEW_MODEL, "api_key": Kind.NEW_KEY}


def find_first_uses(usage: UsageHours) -> Iterator[Draft]:
    """Of models only answered calls count: a name that no provider knows is no new model."""
    clock = usage.clock
    fresh = next(at for at, start in enumerate(clock.starts) if start > clock.end - FRESH)
    for dimension in _NEW:
        refs, calls = usage.by(dimension, Measure.REQUESTS)
        if dimension == "model":
            calls = calls - usage.by(dimension, Measure.ERRORS)[1]
        for ref, hours in zip(refs.tolist(), calls, strict=True):
            if ref and hours[fresh:].any():
                yield from _of_one(usage, dimension, ref, hours, fresh)


def hours_of_first_use(usage: UsageHours, first: int) -> set[int]:
    """The positions from `first` on at which something may be used for the first time, or after a long pause."""
    found: set[int] = set()
    for dimension in _NEW:
        _, calls = usage.by(dimension, Measure.REQUESTS)
        for hours in calls:
            used = np.nonzero(hours)[0]
            # A pause of days is longer than one less in hours, whatever clocks do.
            pauses = np.diff(used, prepend=-DORMANT_DAYS * HOURS_OF_DAY)
            found |= set(used[(used >= first) & (pauses > (DORMANT_DAYS - 1) * HOURS_OF_DAY - 2)].tolist())
    return found


def _of_one(usage: UsageHours, dimension: str, ref: int, hours: npt.NDArray[np.int64], fresh: int) -> Iterator[Draft]:
    used = np.nonzero(hours > 0)[0].tolist()
    for place, at in enumerate(used):
        if at < fresh:
            continue
        life = usage.lifetimes[dimension].get(ref)
        before = usage.clock.day_of(used[place - 1]) if place else life.last if life else None
        day = usage.clock.day_of(at)
        if before is None and (day - usage.first_day).days >= SETTLED_DAYS:
            yield _draft(usage, _NEW[dimension], dimension, ref, at, None)
        if before is not None and dimension == "api_key" and (day - before).days >= DORMANT_DAYS:
            yield _draft(usage, Kind.DORMANT_KEY, dimension, ref, at, before)


def _draft(usage: UsageHours, kind: Kind, dimension: str, ref: int, first: int, since: dt.date | None) -> Draft:
    calls = usage.of(Measure.REQUESTS)[usage.rows(dimension, ref), first:]
    return Draft(
        kind=kind,
        scope=dimension,
        ref=ref,
        measure=Measure.REQUESTS,
        first=first,
        last=len(usage.clock) - 1,
        actual=int(calls.sum()),
        basis="every day so far",
        since=since,
    )
