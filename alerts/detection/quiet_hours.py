"""Use in hours of the week in which an organization that keeps hours has practically never used anything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alerts.detection.deviations import last_course, latest_hour
from alerts.detection.draft import Draft
from alerts.detection.expectation import FEWEST_WEEKS, WEEKS
from alerts.detection.finding import Kind
from alerts.detection.lookback import HOURS_OF_DAY, HOURS_OF_WEEK, Bools, same_places
from alerts.detection.measures import MINIMUM, Measure
from alerts.detection.usage_hours import ORGANIZATION, UsageHours

# Of the weeks looked at, an hour and its two neighbors may have been used in that many together.
AT_MOST_USED = 1
# An organization keeps hours when that many of its hours of the week are used in half of the weeks or more, and that
# many are not used at all. One whose use comes and goes has no unusual hours.
FEWEST_BUSY, FEWEST_QUIET = 20, 20
# How far back a course may have begun.
LONGEST = HOURS_OF_DAY
BASIS = "the same hours of earlier weeks"


def find_quiet_hours(usage: UsageHours) -> Iterator[Draft]:
    """The newest course of hours with enough calls, at places of the week that were quiet before."""
    clock = usage.clock
    calls = usage.of(Measure.REQUESTS).sum(axis=0)
    used, begin = calls > 0, int(usage.begins(ORGANIZATION, np.zeros(1, np.int64))[0])
    if not _keeps_hours(used, clock.places, begin, len(clock) - LONGEST):
        return
    lively = [at for at in range(len(clock) - LONGEST, len(clock)) if calls[at] >= MINIMUM[Measure.REQUESTS]]
    course = last_course([at for at in lively if _was_quiet(used, clock.places, at, begin)])
    if course and course[1] >= latest_hour(usage):
        first, last = course
        yield Draft(
            kind=Kind.UNUSUAL_HOURS,
            scope=ORGANIZATION,
            ref=0,
            measure=Measure.REQUESTS,
            first=first,
            last=last,
            actual=int(calls[first : last + 1].sum()),
            basis=BASIS,
        )


def hours_of_quiet_places(usage: UsageHours, first: int) -> set[int]:
    """The positions from `first` on with enough calls, at places of the week that were hardly used before."""
    calls = usage.of(Measure.REQUESTS).sum(axis=0)
    used = calls > 0
    weeks = same_places(usage.clock.places, HOURS_OF_WEEK, WEEKS, first)
    were_used = np.where(weeks >= 0, used[np.maximum(weeks, 0)], False).sum(axis=1) > AT_MOST_USED
    return set((np.nonzero((calls[first:] >= MINIMUM[Measure.REQUESTS]) & ~were_used)[0] + first).tolist())


def _was_quiet(used: Bools, places: tuple[int, ...], at: int, begin: int) -> bool:
    weeks = same_places(places[: at + 1], HOURS_OF_WEEK, WEEKS, at)[0]
    weeks = weeks[weeks > begin]
    around = np.concatenate([weeks - 1, weeks, weeks + 1])
    return len(weeks) >= FEWEST_WEEKS and int(used[around].sum()) <= AT_MOST_USED


def _keeps_hours(used: Bools, places: tuple[int, ...], begin: int, end: int) -> bool:
    start = max(begin, end - WEEKS * HOURS_OF_WEEK)
    if end - start < FEWEST_WEEKS * HOURS_OF_WEEK:
        return False
    place = np.array(places[start:end])
    times = np.bincount(place, minlength=HOURS_OF_WEEK)
    busy = np.bincount(place, weights=used[start:end].astype(np.float64), minlength=HOURS_OF_WEEK)
    is_busy, is_quiet = busy * 2 >= np.maximum(times, 1), busy == 0
    return int(is_busy.sum()) >= FEWEST_BUSY and int(is_quiet.sum()) >= FEWEST_QUIET
