"""Which earlier hours an hour is held against, as matrices of positions; and medians of what stands there.

Positions are of one regular row of hours, the oldest first. -1 stands for "none". An hour that comes twice when the
clocks go back, or is missing when they go forward, needs no care: hours are found by their place in the week, never by
counting back.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HOURS_OF_WEEK = 168
HOURS_OF_DAY = 24


@functools.lru_cache(maxsize=128)
def same_places(places: tuple[int, ...], period: int, count: int, first: int) -> Ints:
    """For each hour from `first` on, the newest `count` earlier ones at its place: (hours, count).

    Kept, because organizations of one zone ask for the same.
    """
    earlier: dict[int, list[int]] = {}
    found = np.full((len(places) - first, count), -1, dtype=np.int64)
    for at, place in enumerate(places):
        seen = earlier.setdefault(place % period, [])
        if at >= first and seen:
            newest = seen[-count:]
            found[at - first, : len(newest)] = newest
        seen.append(at)
    found.flags.writeable = False
    return found


def last_hours(length: int, count: int, first: int, skip: int = 0) -> Ints:
    """For each hour from `first` on, the `count` hours before it, the newest `skip` left out: (hours, count)."""
    at = np.arange(first, length)[:, None] - 1 - skip - np.arange(count)[None, :]
    return np.where(at >= 0, at, -1)


def values_at(values: Floats, positions: Ints) -> Floats:
    """Of each series, what stands at the positions; NaN for none. (series, hours) → (series, hours asked, count)."""
    return np.where(positions[None] >= 0, values[:, np.maximum(positions, 0)], np.nan)


def running_sums(values: Floats) -> Floats:
    """Of the hours before each position, along the last axis; one longer than the values."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def median(values: Floats, fewest: int) -> Floats:
    """Along the last axis, NaN left out; NaN where fewer than `fewest` are left."""
    ordered, count = _ordered(values)
    middle = np.stack([np.maximum((count - 1) // 2, 0), np.minimum(count // 2, values.shape[-1] - 1)], axis=-1)
    found: Floats = np.take_along_axis(ordered, middle, -1).mean(axis=-1)
    return np.where(count >= fewest, found, np.nan)


def quantile(values: Floats, part: float, fewest: int) -> Floats:
    """The smallest value that at least `part` of the values do not exceed; NaN left out, and told of too few."""
    ordered, count = _ordered(values)
    rank = np.clip(np.ceil(part * count).astype(np.int64) - 1, 0, values.shape[-1] - 1)
    return np.where(count >= fewest, np.take_along_axis(ordered, rank[..., None], -1)[..., 0], np.nan)


def _ordered(values: Floats) -> tuple[Floats, Ints]:
    # NaN comes last.
    return np.sort(values, axis=-1), np.sum(~np.isnan(values), axis=-1)
