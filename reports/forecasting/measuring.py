"""How good forecasts were, of their trials alone: whoever has these can have every figure again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reports.forecasting.blending import pinball
from reports.forecasting.course import Floats
from reports.forecasting.outlook import Band, Hits, Measured, Trial

WEEK = 7


def measure(trials: Sequence[Trial], totals: Sequence[Trial], history: Floats, horizon: int) -> Measured | None:
    """None without a trial."""
    if not trials:
        return None
    scale = float(np.abs(history[WEEK:] - history[:-WEEK]).mean())
    whole = [trial for trial in totals if trial.ahead == horizon - 1]
    came, came_totals, came_whole = _came(trials), _came(totals), _came(whole)
    own, naive = _bands(trials, _own), _bands(trials, _naive)
    return Measured(
        origins=len({trial.origin for trial in trials}),
        coverage=_hits(trials),
        total_coverage=_hits(totals),
        scale=scale,
        mase=scaled_error(came, own, scale),
        naive_mase=scaled_error(came, naive, scale),
        wql=weighted_quantile_loss(came, own),
        naive_wql=weighted_quantile_loss(came, naive),
        total_wql=weighted_quantile_loss(came_totals, _bands(totals, _own)),
        naive_total_wql=weighted_quantile_loss(came_totals, _bands(totals, _naive)),
        total_error=_error(came_whole, _bands(whole, _own)),
        naive_total_error=_error(came_whole, _bands(whole, _naive)),
    )


def weighted_quantile_loss(came: Floats, bands: Floats) -> float | None:
    """Twice the pinball losses at 10, 50 and 90 %, averaged over the three, in units of what came."""
    whole = float(came.sum())
    return 2 * float(pinball(came[:, None], bands).sum()) / 3 / whole if whole else None


def scaled_error(came: Floats, bands: Floats, scale: float) -> float | None:
    """Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006."""
    return float(np.abs(came - bands[:, 1]).mean()) / scale if scale else None


def _own(trial: Trial) -> Band:
    return trial.band


def _naive(trial: Trial) -> Band:
    return trial.naive


def _came(trials: Sequence[Trial]) -> Floats:
    return np.array([trial.actual for trial in trials], dtype=np.float64)


def _bands(trials: Sequence[Trial], which: Callable[[Trial], Band]) -> Floats:
    bands = [(band.low, band.likely, band.high) for band in map(which, trials)]
    return np.array(bands, dtype=np.float64).reshape(-1, 3)


def _hits(trials: Sequence[Trial]) -> Hits:
    return Hits(sum(trial.is_within for trial in trials), len(trials))


def _error(came: Floats, bands: Floats) -> float | None:
    """Totals of nothing are left out: no share can be had of them."""
    some = came > 0
    return float(np.median(np.abs(came - bands[:, 1])[some] / came[some])) if some.any() else None
