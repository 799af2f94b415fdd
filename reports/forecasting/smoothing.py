"""Paths by exponential smoothing of the library statsforecast, which is an extra: `uv sync --extra forecast`."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from functools import cache

import numpy as np

from reports.forecasting.course import Course, Floats

RULE = "exponential smoothing"
# Parameters are looked for anew after so many seasons; in between the fitted model only reads on.
_KEPT_SEASONS = 8
# Fewer seasons leave nothing to fit; nor do figures that hardly ever differ.
_FEWEST_SEASONS, _FEWEST_DIFFERENT = 4, 4
# A trend that runs away is no forecast: twice the most that was ever seen is the end of it.
_MOST = 2.0


@cache
def is_installed() -> bool:
    return importlib.util.find_spec("statsforecast") is not None


def smoothed(course: Course, otherwise: Floats) -> Floats:
    """Level, trend if it helps, and season, all additive, of square roots: (origins, horizon), by the past alone.

    Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing", 2008. `otherwise` has the path of
    origins that know too little for it.
    """
    models = importlib.import_module("statsforecast.models")
    roots = np.sqrt(course.values)
    found = otherwise.copy()
    fitted, fitted_at = None, 0
    for row, origin in enumerate(course.origins.tolist()):
        past = roots[:origin]
        if origin < _FEWEST_SEASONS * course.season or len(np.unique(past)) < _FEWEST_DIFFERENT:
            continue
        # The library warns of divisions by zero in models that it then does not choose.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if fitted is None or origin - fitted_at >= _KEPT_SEASONS * course.season:
                fitted, fitted_at = models.AutoETS(season_length=course.season, model="AZA").fit(past), origin
            told = fitted.forward(past, h=course.horizon)["mean"]
        if np.isfinite(told).all():
            found[row] = np.clip(told, 0.0, np.sqrt(_MOST) * past.max()) ** 2
    return found
