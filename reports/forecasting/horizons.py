"""How good forecasts were so many days ahead, each distance by itself: far ones are held less often."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from reports.forecasting.outlook import Band, Outlook, Trial


class Horizon(msgspec.Struct, frozen=True, array_like=True):
    """Of the trials of one distance: how many single days, and how many totals up to them, lay within their range.

    `error` is the median share by which the likely total was off; None where nothing ever came. `naive_…` is the
    baseline's.
    """

    trials: int
    days: int
    naive_days: int
    totals: int
    naive_totals: int
    error: float | None
    naive_error: float | None


def horizons_of(outlook: Outlook) -> tuple[Horizon, ...]:
    """The first is of one day ahead. Distances that were never tried are not there: they are the farthest."""
    days, totals = _by_distance(outlook.trials), _by_distance(outlook.total_trials)
    return tuple(_horizon(days[ahead], totals[ahead]) for ahead in sorted(days))


def _by_distance(trials: Sequence[Trial]) -> dict[int, list[Trial]]:
    found: dict[int, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.ahead, []).append(trial)
    return found


def _horizon(days: Sequence[Trial], totals: Sequence[Trial]) -> Horizon:
    return Horizon(
        len(days),
        sum(trial.is_within for trial in days),
        sum(_holds(trial.naive, trial.actual) for trial in days),
        sum(trial.is_within for trial in totals),
        sum(_holds(trial.naive, trial.actual) for trial in totals),
        _error([(trial.band, trial.actual) for trial in totals]),
        _error([(trial.naive, trial.actual) for trial in totals]),
    )


def _holds(band: Band, actual: int) -> bool:
    return band.low <= actual <= band.high


def _error(told: Sequence[tuple[Band, int]]) -> float | None:
    off = [abs(actual - band.likely) / actual for band, actual in told if actual > 0]
    return statistics.median(off) if off else None
