"""Which rules to believe, and how much wider or narrower their blend has to be: both by what had come by then."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from reports.forecasting.course import Course, Floats, Whole
from reports.forecasting.spread import SHARES

# After so many seasons a loss counts half.
_MEMORY = 3
# How fast a rule that loses is left: times the root of how much has been seen, since few losses tell little.
_DECISIVE = 1.5
# A range holds eight of ten; how much wider or narrower it may be made, and after how many days that counts half.
_HELD = 0.8
_FACTORS = np.geomspace(0.7, 2.2, 16)
_DOUBT = 10
# Steps of so many seasons ahead have a factor for each season; those beyond have one together. What is told far ahead
# seldom comes, so it is remembered for so many times as long as it is ahead.
_APART = 3
_FAR_MEMORY = 3


def blend(bands: Floats, came: Floats, usual: Floats, course: Course) -> tuple[Floats, Floats]:
    """One band of many, (origins, horizon, 3), and the weights, (origins, rules, 3): each share has its own.

    Weighted averages of quantiles, the weights exponential in what each rule lost (Vovk, "Aggregating strategies",
    1990). `usual` makes losses of far and near steps comparable.
    """
    losses = pinball(came[None, ..., None], bands) / usual[None, ..., None]
    seen = _recall(course, _MEMORY * course.season)
    by_target = np.stack([_sum_by_target(course, loss) for loss in np.moveaxis(losses, 3, 1).reshape(-1, *came.shape)])
    count = _sum_by_target(course, np.ones_like(came))
    total = (seen @ count)[:, None]
    mean = np.where(total > 0, seen @ by_target.T / np.maximum(total, 1e-12), 0.0).reshape(len(seen), len(bands), 3)
    best = np.maximum(mean.min(axis=1, keepdims=True), 0.02 * mean.mean(axis=(1, 2), keepdims=True) + 1e-9)
    sure = np.sqrt(_days(seen, count, course))[:, None, None]
    behind = (mean - mean.min(axis=1, keepdims=True)) / best
    weights = np.exp(-_DECISIVE * sure * behind)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.sort(np.einsum("eohq,oeq->ohq", bands, weights), axis=-1), weights


def calibrated(bands: Floats, came: Floats, small: Floats, course: Course) -> Floats:
    """The band as wide as would have held eight of ten of what came of late; with little seen, hardly changed.

    One factor for steps about as far ahead, on either side of `likely`, in square roots as the bands were made.
    """
    roots = np.sqrt(bands + small[..., None])
    middle = roots[..., 1]
    down, up = middle - roots[..., 0], roots[..., 2] - middle
    off = np.sqrt(came + small) - middle
    tiny = 1e-9 * np.sqrt(small)
    needed = np.where(off >= 0, off / np.maximum(up, tiny), -off / np.maximum(down, tiny))
    factor = np.empty(came.shape)
    nearer = np.zeros(len(came))
    for steps in _stretches(course):
        found, days = _held_by(needed, course, steps)
        # As far as that is known; else as those before.
        sure = days / (days + _DOUBT * (1 + steps.start / course.season))
        nearer = sure * np.log(found) + (1 - sure) * nearer
        factor[:, steps] = np.exp(nearer)[:, None]
    low = np.maximum(middle - factor * down, 0.0) ** 2 - small
    high = (middle + factor * up) ** 2 - small
    # In order to the last bit: what is computed twice differs in it.
    ordered: Floats = np.maximum.accumulate(np.maximum(np.stack([low, bands[..., 1], high], axis=-1), 0.0), axis=-1)
    return ordered


def _stretches(course: Course) -> list[slice]:
    """Steps about as far ahead."""
    edges = [*range(0, min(_APART * course.season, course.horizon - 1) + 1, course.season), course.horizon]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def _held_by(needed: Floats, course: Course, steps: slice) -> tuple[Floats, Floats]:
    """The least factor by which eight of ten had been held, and the days it was seen on, of each origin."""
    seen = _recall(course, max(_MEMORY * course.season, _FAR_MEMORY * steps.stop))
    count = _sum_by_target(course, np.ones_like(needed), steps)
    total = np.maximum(seen @ count, 1e-12)
    held = np.stack(
        [seen @ _sum_by_target(course, (needed <= one).astype(np.float64), steps) / total for one in _FACTORS]
    )
    enough = held >= _HELD
    first = np.where(enough.any(axis=0), enough.argmax(axis=0), len(_FACTORS) - 1)
    return _FACTORS[first], _days(seen, count, course)


def pinball(came: Floats, told: Floats) -> Floats:
    """The loss of each quantile (…, 3): what it was too low by, times its share, or too high by, times the rest."""
    off = came - told
    shares = np.array(SHARES)
    losses: Floats = np.maximum(shares * off, (shares - 1) * off)
    return losses


def _sum_by_target(course: Course, values: Floats, steps: slice = slice(None)) -> Floats:
    """Of everything that was told of a position `steps` ahead, by whatever origin: (positions)."""
    has_come = course.has_come[:, steps]
    known: Whole = course.targets[:, steps][has_come]
    return np.bincount(known, values[:, steps][has_come], minlength=len(course.values)).astype(np.float64)


def _days(seen: Floats, count: Floats, course: Course) -> Floats:
    """How much has been seen at each origin; a season is seven days' worth, whatever it is made of."""
    return np.asarray(seen @ (count > 0) * (7 / course.season))


def _recall(course: Course, half: float) -> Floats:
    """How much each position counts at each origin, (origins, positions): nothing before it came, then ever less, half
    after so many."""
    age = course.origins[:, None] - 1 - np.arange(len(course.values))
    return np.where(age >= 0, 0.5 ** (np.maximum(age, 0) / half), 0.0)
