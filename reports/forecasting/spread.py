"""How far from what was said: quantiles of earlier errors, and of what steps simply had.

All of them by what was known at each origin. Bands are (…, 3): 10, 50 and 90 %.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from reports.forecasting.course import SEASONS, Bools, Course, Floats, Whole

SHARES = (0.1, 0.5, 0.9)
# Errors are pooled of that many origins, and of so many steps ahead of each group.
_ORIGINS, _STEPS = 40, 4
# With fewer origins behind them, errors say less than what steps had.
_FEWEST = 14
# The same hour and those beside it, the same weekday and its neighbors.
_BESIDE = 1


def quantiles(pool: Floats, known: Bools) -> tuple[Floats, Whole]:
    """Of the last axis, and how many were known; 0 of none.

    The next of n alike falls into each gap between them with the same chance: so at (n + 1) × share, at most the ends.
    """
    ordered = np.sort(np.where(known, pool, np.inf), axis=-1)
    count = np.broadcast_to(known, pool.shape).sum(axis=-1)
    last = np.maximum(count - 1, 0)
    ordered = np.where(np.isfinite(ordered), ordered, 0.0)
    found = []
    for share in SHARES:
        at = np.clip((count + 1) * share - 1, 0, last)
        below = at.astype(np.int64)
        above = np.minimum(below + 1, last)
        low = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
        high = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
        found.append(low + (high - low) * (at - below))
    return np.stack(found, axis=-1), count


def widened(bands: Floats, independent: Floats) -> Floats:
    """Of few independent cases quantiles lie too close: as Student's t is wider than the normal distribution."""
    middle = bands[..., 1:2]
    return middle + (bands - middle) * (1 + 1 / np.maximum(independent, 0.7))[..., None]


# ── By how wrong a rule was ──


def around(paths: Floats, came: Floats, small: Floats, course: Course, *, is_total: bool) -> Floats:
    """Bands around each rule's path, (rules, origins, horizon, 3); nan where too few errors were known.

    Errors are differences of square roots: between absolute ones, which are too wide for a quiet day, and relative
    ones, which after one burst promise the next. `small` is (origins, horizon) or one column.
    """
    roots = np.sqrt(paths + small)
    errors = np.sqrt(came + small)[None] - roots
    found = np.full((*paths.shape, 3), np.nan)
    before: Floats | None = None
    for begin, end in _groups(course.horizon, course.season, is_total=is_total):
        at, steps, known = _matured(course, begin, end)
        pool = errors[:, np.maximum(at, 0), steps[None, :, None]]
        shape = (len(course.origins), -1)
        moves, _ = quantiles(pool.reshape(len(paths), *shape), known.reshape(shape)[None])
        # What was told too low on the whole will be so again, but less: half of it is made up for.
        moves -= moves[..., 1:2] / 2
        count = known[:, 0].sum(axis=-1)
        moves = widened(moves, _independent(course, at, count, end, is_total=is_total)[None])
        enough = (count >= _FEWEST)[None, :, None]
        moves = np.where(enough, moves, np.nan if before is None else before)
        before = moves
        told = np.maximum(roots[:, :, begin:end, None] + moves[:, :, None], 0.0) ** 2
        found[:, :, begin:end] = told - np.broadcast_to(small, came.shape)[None, :, begin:end, None]
    return np.maximum(found, 0.0)


def _groups(horizon: int, season: int, *, is_total: bool) -> Iterator[tuple[int, int]]:
    """Steps ahead whose errors are of a kind: [begin, end). Totals differ more among the first of them."""
    early = (1, 2, 4) if is_total else (1, max(2, season // 2))
    bounds = sorted({0, *early, *range(season, horizon, season), horizon})
    return itertools.pairwise(bound for bound in bounds if bound <= horizon)


def _matured(course: Course, begin: int, end: int) -> tuple[Whole, Whole, Bools]:
    """Indexes of the last origins of which these steps had come, (origins, steps, origins); the steps; which exist."""
    steps = np.arange(begin, end)
    if len(steps) > _STEPS:
        steps = steps[np.linspace(0, len(steps) - 1, _STEPS).round().astype(np.int64)]
    last = np.searchsorted(course.origins, course.origins[:, None] - steps[None], "left") - 1
    at = last[:, :, None] - np.arange(_ORIGINS)[None, None]
    return at, steps, at >= 0


def _independent(course: Course, at: Whole, count: Whole, end: int, *, is_total: bool) -> Floats:
    """Totals of days that overlap err together; days do so in part."""
    newest, oldest = np.maximum(at[:, 0, 0], 0), np.maximum(at[:, 0, 0] - count + 1, 0)
    days = course.origins[newest] - course.origins[oldest] + 1
    return np.asarray(days / (end if is_total else 1 + end / 4), dtype=np.float64)


# ── By what steps had ──


def of_steps(course: Course) -> tuple[tuple[str, ...], Floats]:
    """What steps had before, whatever led there: (rules, origins, horizon, 3)."""
    names, found = [], []
    ahead = np.arange(course.horizon) % course.season
    for seasons in (SEASONS // 4, SEASONS // 2, SEASONS):
        same, _ = quantiles(*_same_place(course, seasons))
        every, _ = quantiles(*_latest(course.values, course.origins, seasons * course.season))
        names += [f"what {seasons} weeks had, by weekday", f"what {seasons} weeks had, all days alike"]
        found += [same[:, ahead], np.repeat(every[:, None], course.horizon, axis=1)]
    return tuple(names), np.stack(found)


def _same_place(course: Course, seasons: int) -> tuple[Floats, Bools]:
    """(origins, season, cases) of the same place in earlier seasons and of its neighbors."""
    origin = course.origins[:, None, None]
    pool = []
    for beside in range(-_BESIDE, _BESIDE + 1):
        at = origin - course.season * (1 + np.arange(seasons)) + np.arange(course.season)[None, :, None] + beside
        pool.append(np.where(at >= origin, at - course.season, at))
    places = np.concatenate(pool, axis=-1)
    return course.values[np.maximum(places, 0)], places >= 0


def _latest(values: Floats, origins: Whole, length: int) -> tuple[Floats, Bools]:
    at = origins[:, None] - 1 - np.arange(length)
    return values[np.maximum(at, 0)], at >= 0


def of_sums(course: Course) -> Floats:
    """What as many steps in a row had together in the last eight seasons: (origins, horizon, 3).

    Where no such row was long enough, the longest that was, in proportion.
    """
    sums = np.concatenate([[0.0], np.cumsum(course.values)])
    ends = course.origins[:, None] - np.arange(SEASONS * course.season)
    found = np.empty((*course.came.shape, 3))
    for ahead in range(course.horizon):
        begins = ends - ahead - 1
        bands, count = quantiles(sums[np.maximum(ends, 0)] - sums[np.maximum(begins, 0)], begins >= 0)
        bands = widened(bands, count / (ahead + 1))
        if ahead:
            bands = np.where((count > 0)[:, None], bands, found[:, ahead - 1] * (ahead + 1) / ahead)
        found[:, ahead] = bands
    return np.maximum(found, 0.0)
