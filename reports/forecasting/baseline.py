"""What a forecast has to beat: each step as the same of the last known season, with the textbook's range.

Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 5.5. Each place of a season walks
at random, the standard deviation of its steps being that of all differences known at the origin; so a sum over c
seasons ahead has 1² + 2² + … + c² times the variance of one, for each place.
"""

from __future__ import annotations

import numpy as np

from reports.forecasting.course import Course, Floats
from reports.forecasting.paths import last_season

# The normal distribution's 90 % quantile.
_Z = 1.2815515655446004


def baseline(course: Course) -> Floats:
    """(origins, horizon, 3)."""
    seasons = np.arange(course.horizon) // course.season + 1
    return _around(last_season(course), _deviation(course) * np.sqrt(seasons)[None])


def baseline_totals(course: Course) -> Floats:
    """The same of the sums up to each step."""
    seasons = np.arange(course.horizon) // course.season + 1
    # Each step adds its place's next square.
    variances = np.cumsum(seasons.astype(np.float64) ** 2)
    return _around(last_season(course).cumsum(axis=1), _deviation(course) * np.sqrt(variances)[None])


def _deviation(course: Course) -> Floats:
    """Of the seasonal differences that were known, one column."""
    squares = (course.values[course.season :] - course.values[: -course.season]) ** 2
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    known = course.origins - course.season
    return np.sqrt(sums[known] / known)[:, None]


def _around(path: Floats, deviation: Floats) -> Floats:
    wide = np.broadcast_to(_Z * deviation, path.shape)
    return np.maximum(np.stack([path - wide, path, path + wide], axis=-1), 0.0)
