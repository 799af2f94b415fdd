"""Which hours are out of the range that is usual for them, by how much, and whether it matters.

An hour is unusual when no reference explains it: neither hours like it, nor those with the last day's level. So a new
level is told when it comes, is learned within a day, and going back to the old one is told no more.
"""

from __future__ import annotations

import msgspec
import numpy as np

from alerts.detection.expectation import POOL, UNDER_WAY, Basis, Expectation, expect
from alerts.detection.lookback import (
    HOURS_OF_DAY,
    Bools,
    Floats,
    Ints,
    last_hours,
    median,
    quantile,
    same_places,
    values_at,
)

# From a median deviation to a standard deviation, if deviations were normal.
TO_SIGMA = 1.4826
SIGMAS = 3.0
# A range is never narrower than that, on the logarithmic scale: 2 % for each sigma.
NARROWEST = 0.02
# Deviations that one hour in two hundred has are no news either, nor are slightly larger ones.
RARE, BEYOND_RARE = 0.995, 1.15
FEWEST_DEVIATIONS = 24
SAME_HOURS, FEWEST_SAME_HOURS = 14, 5
# A difference below a tenth of the organization's usual hour does not matter.
MATERIAL_SHARE = 0.1


class Verdicts(msgspec.Struct, frozen=True):
    """Of each series and each hour from `first` on; shapes (series, hours). `score` is 1 or -1 at the range's edges.

    Where the basis is TOO_SHORT there is no range, and nothing is unusual.
    """

    first: int
    expected: Floats
    low: Floats
    high: Floats
    score: Floats
    basis: Ints
    is_anomalous: Bools


def judge_hours(
    values: Floats,
    places: tuple[int, ...],
    *,
    minimum: float,
    material: float | Floats = 0.0,
    first: int = 0,
    begins: Ints | None = None,
    open_hours: int = 0,
) -> Verdicts:
    """Verdicts of the hours from `first` on, of series of one shape (series, hours), not negative.

    An hour with less than `minimum`, of which no more was expected either, is not judged, and a difference below
    `material` (a number, or one for each hour from `first` on) is none. `begins` are the positions of the series'
    first use. The last `open_hours` can be too high, but not too low: more may come.
    """
    if values.size == 0:
        return _nothing(values.shape[0], values.shape[1] - first, first)
    start = max(first - POOL - UNDER_WAY, 0)
    found = expect(values, places, minimum, start, begins)
    kept = slice(first - start, None)
    actual, plain, moved = found.known[:, first:], found.plain[:, kept], found.moved[:, kept]
    scale = np.maximum(found.usual[:, kept], minimum)
    band, has_band = _band(found, places, scale, first)
    high = (np.maximum(plain, moved) + scale) * np.exp(band) - scale
    low = np.maximum((np.minimum(plain, moved) + scale) * np.exp(-band) - scale, 0.0)
    # What is told as expected is the reference that is nearer.
    expected = np.where(np.abs(actual - plain) <= np.abs(actual - moved), plain, moved)
    judged = has_band & ~np.isnan(expected) & ~np.isnan(actual)
    is_over = np.arange(first, values.shape[1]) < values.shape[1] - open_hours
    is_beyond = (actual > high) | ((actual < low) & is_over)
    matters = (np.fmax(actual, expected) >= minimum) & (np.abs(actual - expected) >= material)
    return Verdicts(
        first,
        expected,
        low,
        high,
        np.log((actual + scale) / (expected + scale)) / band,
        np.where(judged, found.basis[:, kept], Basis.TOO_SHORT),
        judged & is_beyond & matters,
    )


def _band(found: Expectation, places: tuple[int, ...], scale: Floats, first: int) -> tuple[Floats, Bools]:
    """Half the width of the range on the logarithmic scale, and whether there were enough deviations to tell."""
    recent = _deviations(found, last_hours(len(places), POOL, first, UNDER_WAY), scale, first, FEWEST_DEVIATIONS)
    alike = same_places(places, HOURS_OF_DAY, SAME_HOURS, first)
    same = _deviations(found, alike, scale, first, FEWEST_SAME_HOURS)
    spread = np.fmax(median(recent, FEWEST_DEVIATIONS), median(same, FEWEST_SAME_HOURS)) * TO_SIGMA
    rare = BEYOND_RARE * quantile(recent, RARE, FEWEST_DEVIATIONS)
    return np.fmax(np.fmax(spread, NARROWEST) * SIGMAS, rare), ~np.isnan(rare)


def _deviations(found: Expectation, positions: Ints, scale: Floats, first: int, fewest: int) -> Floats:
    """How far earlier hours were from what was expected of them, on the scale of the hour they are compared with.

    Expectations on a worse basis than this hour's are left out as long as enough remain: what was learned since then
    makes them better.
    """
    start = found.first
    inside = np.where(positions >= start, positions - start, -1)
    actual = values_at(found.known, np.where(inside >= 0, positions, -1))
    size = scale[..., None]
    deviations = np.abs(np.log((actual + size) / (values_at(found.moved, inside) + size)))
    basis = values_at(found.basis.astype(np.float64), inside)
    alike = np.where(basis <= found.basis[:, first - start :, None], deviations, np.nan)
    has_enough = np.sum(~np.isnan(alike), axis=-1) >= fewest
    return np.where(has_enough[..., None], alike, deviations)


def _nothing(series: int, hours: int, first: int) -> Verdicts:
    none = np.zeros((series, hours))
    return Verdicts(
        first, none, none, none, none, np.full((series, hours), Basis.TOO_SHORT), np.zeros((series, hours), bool)
    )
