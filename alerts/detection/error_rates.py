"""Which hours had more failed calls than chance allows, told from counts: a share of few calls says nothing.

The bound is that of a count whose square root is nearly normal with a standard deviation of one half (Anscombe, "The
transformation of Poisson, binomial and negative-binomial data", Biometrika 35, 1948), widened by how much the past
scattered beyond that. It is a little wide for a binomial count, which scatters less than a Poisson one.
"""

from __future__ import annotations

import numpy as np

from alerts.detection.expectation import POOL, UNDER_WAY, Basis
from alerts.detection.lookback import (
    HOURS_OF_DAY,
    Bools,
    Floats,
    Ints,
    last_hours,
    median,
    quantile,
    running_sums,
    values_at,
)
from alerts.detection.verdicts import BEYOND_RARE, FEWEST_DEVIATIONS, RARE, SIGMAS, TO_SIGMA, Verdicts

DAYS, FEWEST_DAYS = 14, 4
# With fewer calls an hour's failures are not judged, and a day has no rate.
FEWEST_REQUESTS, FEWEST_OF_DAY = 20, 50
# An hour is unusual with that many failures more than expected, and that many more of a hundred calls.
FEWEST_ERRORS, FEWEST_PERCENT = 5, 5
_SHIFT = 3 / 8
_CHANCE = 0.5


def judge_errors(requests: Floats, errors: Floats, *, first: int = 0) -> Verdicts:
    """Verdicts on the number of failed calls of each hour from `first` on, of series of one shape (series, hours).

    Expected is the median of the last fourteen days' error rates. The range ends where the larger of that and the last
    day's rate would have it, so that a new rate is told when it comes and learned within a day. `low` is 0: fewer
    failures are no trouble, so an hour that is still open needs no care.
    """
    start = max(first - POOL - UNDER_WAY, 0)
    usual, highest, basis = _rates(requests, errors, start)
    bounds = np.maximum(highest * requests[:, start:], 0.0)
    moves = np.where(requests[:, start:] > 0, _root(errors[:, start:]) - _root(bounds), np.nan)
    kept = slice(first - start, None)
    before = values_at(moves, last_hours(moves.shape[1], POOL, first - start, UNDER_WAY))
    spread = np.fmax(TO_SIGMA * median(np.abs(before), FEWEST_DEVIATIONS), _CHANCE)
    band = np.fmax(SIGMAS * spread, BEYOND_RARE * quantile(before, RARE, FEWEST_DEVIATIONS))
    calls, actual, bound = requests[:, first:], errors[:, first:], bounds[:, kept]
    high = np.minimum((_root(bound) + band) ** 2 - _SHIFT, calls)
    expected = usual[:, kept] * calls
    judged = ~np.isnan(expected) & (calls >= FEWEST_REQUESTS)
    return Verdicts(
        first,
        expected,
        np.zeros_like(expected),
        high,
        (_root(actual) - _root(bound)) / band,
        np.where(judged, basis[:, kept], Basis.TOO_SHORT),
        judged & (actual > high) & _matters(actual, expected, calls),
    )


def _rates(requests: Floats, errors: Floats, start: int) -> tuple[Floats, Floats, Ints]:
    """The usual rate, the larger of it and the last day's, and what the usual one rests on. NaN: too few calls."""
    by_day = np.stack([_rate_of_day(requests, errors, start, day) for day in range(1, DAYS + 1)], axis=-1)
    usual, yesterday = median(by_day, FEWEST_DAYS), by_day[..., 0]
    rate = np.where(np.isnan(usual), yesterday, usual)
    short = np.where(np.isnan(yesterday), Basis.TOO_SHORT, Basis.RECENT_HOURS)
    return rate, np.fmax(rate, yesterday), np.where(np.isnan(usual), short, Basis.LAST_DAYS).astype(np.int64)


def _rate_of_day(requests: Floats, errors: Floats, start: int, day: int) -> Floats:
    """Of the day that ended `day - 1` days before each hour from `start` on."""
    at = np.arange(start, requests.shape[1])
    begin, end = (np.maximum(at - days * HOURS_OF_DAY, 0) for days in (day, day - 1))
    called, failed = ((sums := running_sums(counts))[:, end] - sums[:, begin] for counts in (requests, errors))
    return np.where(called >= FEWEST_OF_DAY, failed / np.maximum(called, 1.0), np.nan)


def _root(counts: Floats) -> Floats:
    return np.sqrt(counts + _SHIFT)


def _matters(actual: Floats, expected: Floats, calls: Floats) -> Bools:
    more = actual - expected
    return (more >= FEWEST_ERRORS) & (more * 100 >= FEWEST_PERCENT * calls)
