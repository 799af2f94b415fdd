"""What an hour is expected to have: the median of hours like it, beside the same moved by how the last day went.

Pure arithmetic over rows of hours, causal: what is expected of an hour depends on earlier hours alone, and on no more
than LOOKBACK of them. docs/algorithms/anomalies.md has the method, its sources and what it was measured to do.
"""

from __future__ import annotations

import enum

import msgspec
import numpy as np

from alerts.detection.lookback import (
    HOURS_OF_DAY,
    HOURS_OF_WEEK,
    Bools,
    Floats,
    Ints,
    last_hours,
    median,
    running_sums,
    same_places,
    values_at,
)

WEEKS, FEWEST_WEEKS = 8, 4
DAYS, FEWEST_DAYS = 14, 4
RECENT = 24
# How the last day went against its own expectations: told from at least half of it.
LEVEL, FEWEST_OF_LEVEL = 24, 12
# The usual size of an hour is the mean of that many.
USUAL = 28 * HOURS_OF_DAY
# Earlier deviations an hour's own is held against, without the last ones: what goes on does not excuse itself.
POOL, UNDER_WAY = 14 * HOURS_OF_DAY, 12
# A verdict depends on no hour further back: the oldest deviation's level, and the weeks behind that. A day of slack for
# the changes of clocks.
LOOKBACK = UNDER_WAY + POOL + LEVEL + WEEKS * HOURS_OF_WEEK + HOURS_OF_DAY


class Basis(enum.IntEnum):
    """What an expectation rests on, the best first; of error rates LAST_DAYS."""

    HOUR_OF_WEEK = 1
    HOUR_OF_DAY = 2
    RECENT_HOURS = 3
    TOO_SHORT = 4
    LAST_DAYS = 5

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Basis.HOUR_OF_WEEK: "hour of week",
    Basis.HOUR_OF_DAY: "hour of day",
    Basis.RECENT_HOURS: "recent hours",
    Basis.TOO_SHORT: "too short",
    Basis.LAST_DAYS: "last days",
}


class Expectation(msgspec.Struct, frozen=True):
    """Of each series and hour from `first` on. `plain` is the median, `moved` the same with the last day's level.

    `usual` is the mean of the four weeks before. Hours before a series began are NaN in `known`, which has all hours.
    """

    first: int
    known: Floats
    usual: Floats
    plain: Floats
    moved: Floats
    basis: Ints


def begun(values: Floats, begins: Ints | None) -> Bools:
    """Which hours a series had begun in: from the position given, or from its first use in the row."""
    if begins is None:
        return np.cumsum(values > 0, axis=1) > 0
    return np.arange(values.shape[1])[None, :] >= begins[:, None]


def usual_size(values: Floats, has_begun: Bools, first: int) -> Floats:
    """The mean of the hours before each, as far as USUAL goes back and the series had begun; 0 before that."""
    at = np.arange(first, values.shape[1])
    before = np.maximum(at - USUAL, 0)
    sums, counts = running_sums(np.where(has_begun, values, 0.0)), running_sums(has_begun.astype(np.float64))
    return (sums[:, at] - sums[:, before]) / np.maximum(counts[:, at] - counts[:, before], 1.0)


def expect(
    values: Floats, places: tuple[int, ...], minimum: float, first: int, begins: Ints | None = None
) -> Expectation:
    """Expectations of the hours from `first` on, of series of one shape (series, hours).

    `places` are the hours' places in the week, 0 to 167, as the clock on the wall has them.
    """
    has_begun = begun(values, begins)
    known = np.where(has_begun, values, np.nan)
    length, start = values.shape[1], max(first - LEVEL, 0)
    plain, basis = _plain(known, places, start)
    usual = usual_size(values, has_begun, start)
    # The level of an hour: how far the hours right before it were from what was expected of them.
    kept = slice(first - start, None)
    before = last_hours(length, LEVEL, first)
    expected_before = values_at(plain, np.where(before >= start, before - start, -1))
    logs = np.log((values_at(known, before) + minimum) / (expected_before + minimum))
    level = np.nan_to_num(median(logs, FEWEST_OF_LEVEL))
    moved = np.maximum((plain[:, kept] + minimum) * np.exp(level) - minimum, 0.0)
    return Expectation(first, known, usual[:, kept], plain[:, kept], moved, basis[:, kept])


def references(places: tuple[int, ...], position: int, basis: Basis) -> list[int]:
    """The positions an hour's expectation rests on."""
    upto = places[: position + 1]
    if basis is Basis.HOUR_OF_WEEK:
        found = same_places(upto, HOURS_OF_WEEK, WEEKS, position)
    elif basis is Basis.HOUR_OF_DAY:
        found = same_places(upto, HOURS_OF_DAY, DAYS, position)
    else:
        found = last_hours(len(upto), RECENT, position)
    return [int(at) for at in found[0] if at >= 0]


def _plain(known: Floats, places: tuple[int, ...], first: int) -> tuple[Floats, Ints]:
    """The median of the best reference that has enough hours, and which that is."""
    by_week = median(values_at(known, same_places(places, HOURS_OF_WEEK, WEEKS, first)), FEWEST_WEEKS)
    by_day = median(values_at(known, same_places(places, HOURS_OF_DAY, DAYS, first)), FEWEST_DAYS)
    recent = median(values_at(known, last_hours(len(places), RECENT, first)), RECENT)
    has_week, has_day = ~np.isnan(by_week), ~np.isnan(by_day)
    plain = np.where(has_week, by_week, np.where(has_day, by_day, recent))
    basis = np.where(
        has_week,
        Basis.HOUR_OF_WEEK,
        np.where(has_day, Basis.HOUR_OF_DAY, np.where(np.isnan(recent), Basis.TOO_SHORT, Basis.RECENT_HOURS)),
    )
    return plain, basis.astype(np.int64)
