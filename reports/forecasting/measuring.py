"""How good forecasts were, of their trials alone: whoever has these can have every figure again."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from reports.forecasting.outlook import Band, Hits, Measured, Trial

WEEK = 7
SHARES = (0.1, 0.5, 0.9)


def measure(
    trials: Sequence[Trial], totals: Sequence[Trial], history: npt.NDArray[np.float64], horizon: int
) -> Measured | None:
    """None without a trial."""
    if not trials or not totals:
        return None
    scale = float(np.abs(history[WEEK:] - history[:-WEEK]).mean())
    whole = [trial for trial in totals if trial.ahead == horizon - 1]
    return Measured(
        origins=len({trial.origin for trial in trials}),
        coverage=_hits(trials),
        total_coverage=_hits(totals),
        scale=scale,
        mase=_mase(trials, _own, scale),
        naive_mase=_mase(trials, _naive, scale),
        wql=weighted_quantile_loss(trials, _own),
        naive_wql=weighted_quantile_loss(trials, _naive),
        total_wql=weighted_quantile_loss(totals, _own),
        naive_total_wql=weighted_quantile_loss(totals, _naive),
        total_error=_error(whole, _own),
        naive_total_error=_error(whole, _naive),
    )


def weighted_quantile_loss(trials: Iterable[Trial], band: Callable[[Trial], Band]) -> float | None:
    """Twice the pinball losses at 10, 50 and 90 %, averaged over the three, in units of what came."""
    loss = came = 0.0
    for trial in trials:
        said = band(trial)
        for share, value in zip(SHARES, (said.low, said.likely, said.high), strict=True):
            loss += 2 * max(share * (trial.actual - value), (share - 1) * (trial.actual - value))
        came += trial.actual
    return loss / len(SHARES) / came if came else None


def _own(trial: Trial) -> Band:
    return trial.band


def _naive(trial: Trial) -> Band:
    return trial.naive


def _hits(trials: Sequence[Trial]) -> Hits:
    return Hits(sum(trial.is_within for trial in trials), len(trials))


def _mase(trials: Sequence[Trial], band: Callable[[Trial], Band], scale: float) -> float | None:
    if not scale:
        return None
    return statistics.fmean(abs(trial.actual - band(trial).likely) for trial in trials) / scale


def _error(trials: Sequence[Trial], band: Callable[[Trial], Band]) -> float | None:
    """Totals of nothing are left out: no share can be had of them."""
    off = [abs(trial.actual - band(trial).likely) / trial.actual for trial in trials if trial.actual]
    return statistics.median(off) if off else None
