"""A history, seen from each day at which it might have been forecast: what was known then, and what came."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# What is too little, in usual steps: errors are relative above it and absolute below.
_SMALL = 0.3
SEASONS = 8
# At first every step is an origin, so that a short history has some; then each fourth, which falls on every weekday.
_CLOSE_SEASONS, _APART = 8, 4


class Course(NamedTuple):
    """`origins` are positions in `values`: at origin o all before it is known. The last one is the present.

    `came` is (origins, horizon), nan for what has not come yet. `small` is one column, in the unit of a step.
    """

    values: Floats
    season: int
    origins: Whole
    came: Floats
    small: Floats

    @property
    def horizon(self) -> int:
        return int(self.came.shape[1])

    @property
    def targets(self) -> Whole:
        """The position of what each origin tells of: (origins, horizon)."""
        return self.origins[:, None] + np.arange(self.horizon)[None]

    @property
    def has_come(self) -> Bools:
        return self.targets < len(self.values)


def follow(values: Floats, season: int, horizon: int) -> Course:
    """From the second whole season on. Where an origin stands does not depend on how long the history became."""
    first, close = 2 * season, _CLOSE_SEASONS * season
    length = len(values)
    origins = [*range(first, min(close, length)), *range(close, length, _APART), length]
    at = np.array(origins)
    targets = at[:, None] + np.arange(horizon)[None]
    came = np.where(targets < length, values[np.minimum(targets, length - 1)], np.nan)
    return Course(values, season, at, came, _small(values, at, season))


def _small(values: Floats, origins: Whole, season: int) -> Floats:
    """A share of the usual step: of the last eight seasons or of the whole history, whichever had more."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    begins = np.maximum(origins - SEASONS * season, 0)
    lately = (sums[origins] - sums[begins]) / (origins - begins)
    small: Floats = _SMALL * np.maximum(lately, sums[origins] / origins)
    return np.maximum(small, 1e-9)[:, None]
