"""From what each day had to what the next ones are likely to have: docs/algorithms/forecasting.md."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reports.forecasting.baseline import baseline, baseline_totals
from reports.forecasting.blending import blend, calibrated
from reports.forecasting.course import Course, Floats, follow
from reports.forecasting.measuring import measure
from reports.forecasting.outlook import Band, Outlook, Trial
from reports.forecasting.paths import paths
from reports.forecasting.smoothing import RULE, is_installed, smoothed
from reports.forecasting.spread import around, of_steps, of_sums
from reports.forecasting.wording import basis_of, method_of

WEEK = 7
HORIZON = 31
# Two weeks tell one weekday from another, for the first time.
FEWEST_DAYS = 2 * WEEK
# What a column of the database holds.
_MOST = 9.2e18


class Told(NamedTuple):
    """What is said at each origin, the present last: bands of steps and of sums up to each, (origins, horizon, 3).

    `weights` are those of the steps' rules, (origins, rules, 3), whose names are `rules`.
    """

    course: Course
    steps: Floats
    sums: Floats
    rules: tuple[str, ...]
    weights: Floats


def forecast(
    values: Sequence[int], first: dt.date, horizon: int = HORIZON, *, is_thorough: bool = False
) -> Outlook | None:
    """The `horizon` days after the last of `values`, which are whole days from `first` on, none left out.

    `is_thorough` takes some tenths of a second longer and tries the rules of the extra `forecast` too, where it is
    installed. None when there is too little history to say anything: less than two weeks since the first usage.
    """
    history = since_first_use(values)
    if len(history) < FEWEST_DAYS:
        return None
    told = tell(history, WEEK, horizon, is_thorough=is_thorough)
    first_day = first + dt.timedelta(days=len(values))
    trials, total_trials = _trials(told, first_day, values[len(values) - len(history) :])
    measured = measure(trials, total_trials, history, horizon)
    return Outlook(
        first_day,
        _now(told.steps),
        _now(told.sums),
        method_of(told.rules, told.weights[-1]),
        basis_of(history, measured),
        measured,
        trials,
        total_trials,
    )


def since_first_use(values: Sequence[int]) -> Floats:
    """What was before the first usage is no history."""
    began = next((at for at, value in enumerate(values) if value), len(values))
    return np.asarray(values[began:], dtype=np.float64)


def tell(history: Floats, season: int, horizon: int, *, is_thorough: bool = False) -> Told:
    """Of steps of any kind, with `season` of them in a week or a day; two seasons are the least."""
    course = follow(history, season, horizon)
    single, said = paths(course, is_daily=season == WEEK)
    if is_thorough and is_installed():
        single, said = (*single, RULE), np.concatenate([said, smoothed(course, said[-1])[None]])
    plain, had = of_steps(course)
    steps = around(said, course.came, course.small, course, is_total=False)
    steps, weights = _blended(np.concatenate([steps, had]), had[-2], course.came, course.small, course)
    # An error in a sum of k steps is between √k and k times as large as in one.
    count = np.arange(1, horizon + 1)
    came, small = course.came.cumsum(axis=1), course.small * count
    had_sums = of_sums(course)
    sums = around(said.cumsum(axis=2), came, small, course, is_total=True)
    sums, _ = _blended(np.concatenate([sums, had_sums[None]]), had_sums, came, small * np.sqrt(count), course)
    sums = calibrated(sums, came, small, course)
    steps = calibrated(steps, course.came, np.broadcast_to(course.small, course.came.shape), course)
    # The sum of one step is that step; and a sum never falls.
    sums[:, 0] = steps[:, 0]
    return Told(course, steps, np.maximum.accumulate(sums, axis=1), (*single, *plain), weights)


def _blended(bands: Floats, otherwise: Floats, came: Floats, usual: Floats, course: Course) -> tuple[Floats, Floats]:
    """Rules that had no errors yet say what the plainest does."""
    known = np.where(np.isnan(bands), otherwise[None], bands)
    return blend(known, came, np.broadcast_to(usual, came.shape), course)


# ── As whole numbers ──


def _now(bands: Floats) -> tuple[Band, ...]:
    return tuple(Band(*band) for band in _whole(bands[-1:])[0])


def _trials(told: Told, first_day: dt.date, had: Sequence[int]) -> tuple[tuple[Trial, ...], tuple[Trial, ...]]:
    """Everything that had been said and has come, of days and of running totals, in order of origins.

    `had` is the history as it was given: what came is exact whatever its size.
    """
    began = first_day - dt.timedelta(days=len(had))
    origins = told.course.origins.tolist()
    came = [list(had[origin : origin + told.course.horizon]) for origin in origins]
    days = _paired(began, origins, told.steps, baseline(told.course), came)
    sums = [list(itertools.accumulate(one)) for one in came]
    return days, _paired(began, origins, told.sums, baseline_totals(told.course), sums)


def _paired(
    began: dt.date, origins: list[int], bands: Floats, naive: Floats, came: list[list[int]]
) -> tuple[Trial, ...]:
    found: list[Trial] = []
    for origin, said, simple, had in zip(origins, _whole(bands), _whole(naive), came, strict=True):
        day = began + dt.timedelta(days=origin)
        found += [Trial(day, ahead, Band(*said[ahead]), Band(*simple[ahead]), one) for ahead, one in enumerate(had)]
    return tuple(found)


def _whole(bands: Floats) -> list[list[list[int]]]:
    whole: list[list[list[int]]] = np.rint(np.minimum(bands, _MOST)).astype(np.int64).tolist()
    return whole
