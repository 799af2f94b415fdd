"""Rules that say one figure for each step ahead: a level, times how the steps of a season differ."""

from __future__ import annotations

import numpy as np

from reports.forecasting.course import SEASONS, Course, Floats

# Words, whether steps of a season differ, and after how many seasons a step counts half for the level.
RULES = (
    ("the last days, all alike", False, 1 / 7),
    ("the last week, all days alike", False, 1.0),
    ("the last days, by weekday", True, 1 / 7),
    ("the last week, by weekday", True, 1.0),
    ("the last month, by weekday", True, 4.0),
)
GROWING = "the last week, by weekday, growing on half as fast as lately"
# Growth is of so many seasons over as many before; no more than twice as much of it is believed, nor less than half.
_GROWN_SEASONS = 4
_MOST_GROWTH = 2.0
YEARLY = "the same weeks of last year, at the level of today"
# As weekdays fall: 52 weeks.
_YEAR = 364
# How a year goes is told by so many days around each; it takes two years, so that the rule was tried for one.
_AROUND = 28


def last_season(course: Course) -> Floats:
    """The baseline: (origins, horizon), each step as the same of the last known season."""
    at = course.origins[:, None] - course.season + np.arange(course.horizon)[None] % course.season
    found: Floats = course.values[at]
    return found


def paths(course: Course, *, is_daily: bool = True) -> tuple[tuple[str, ...], Floats]:
    """(rules, origins, horizon), with a name for each."""
    season, origins = course.season, course.origins
    pattern = _pattern(course)
    length = min(len(course.values), SEASONS * season)
    back = np.arange(length)
    at = origins[:, None] - 1 - back[None]
    known = at >= 0
    seen = course.values[np.maximum(at, 0)] * known
    places = (-1 - back) % season
    ahead = np.arange(course.horizon) % season
    found = []
    for _, by_place, half in RULES:
        shares = pattern if by_place else np.ones_like(pattern)
        weights = 0.5 ** (back / (half * season)) * known
        # What came, by what the pattern alone would have: so a day without usage makes no level infinite.
        level = (weights * seen).sum(axis=1) / np.maximum((weights * shares[:, places]).sum(axis=1), 1e-9)
        found.append(level[:, None] * shares[:, ahead])
    names = (*(name for name, _, _ in RULES), GROWING)
    found.append(found[3] * _growth(course))
    if is_daily and len(course.values) >= 2 * _YEAR:
        found.append(found[3] * _yearly(course))
        names = (*names, YEARLY)
    return names, np.stack(found)


def _growth(course: Course) -> Floats:
    """What a level of the last week grows to by each step ahead, (origins, horizon); 1 where too little is known."""
    length = _GROWN_SEASONS * course.season
    sums = np.concatenate([[0.0], np.cumsum(course.values)])
    middle, begin = np.maximum(course.origins - length, 0), np.maximum(course.origins - 2 * length, 0)
    now, before = sums[course.origins] - sums[middle], sums[middle] - sums[begin]
    known = (course.origins >= 2 * length) & (now > 0) & (before > 0)
    ratio = np.where(known, now, 1.0) / np.where(known, before, 1.0)
    a_step = np.log(np.clip(ratio, 1 / _MOST_GROWTH, _MOST_GROWTH)) / length / 2
    # The level is about a season old.
    return np.exp(a_step[:, None] * (course.season + 1 + np.arange(course.horizon)))


def _pattern(course: Course) -> Floats:
    """How the steps of a season differ, their average being 1: the mean of eight seasons, (origins, season)."""
    season = course.season
    at = (course.origins[:, None, None] - season * (1 + np.arange(SEASONS)[None, :, None])) + np.arange(season)
    known = at >= 0
    means = (course.values[np.maximum(at, 0)] * known).sum(axis=1) / known.sum(axis=1)
    usual = means.mean(axis=1, keepdims=True)
    return np.where(usual > 0, means / np.where(usual > 0, usual, 1.0), 1.0)


def _yearly(course: Course) -> Floats:
    """What last year had around each step ahead, by what it had before the origin's day; 1 where nothing is known."""
    sums = np.concatenate([[0.0], np.cumsum(course.values)])
    middle = course.targets - _YEAR
    begins, ends = np.maximum(middle - _AROUND // 2, 0), np.clip(middle + _AROUND // 2, 0, course.origins[:, None])
    around = (sums[ends] - sums[begins]) / np.maximum(ends - begins, 1)
    base_end = np.maximum(course.origins - _YEAR, 0)
    base_begin = np.maximum(base_end - _AROUND, 0)
    base = (sums[base_end] - sums[base_begin]) / _AROUND
    known = (base_end - base_begin == _AROUND)[:, None] & (base[:, None] > 0) & (around > 0)
    ratio = np.where(known, around / np.where(known, base[:, None], 1.0), 1.0)
    return np.clip(ratio, 1 / 3, 3.0)
