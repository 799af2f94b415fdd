"""What the next days are likely to have, and how wrong the same was before: docs/algorithms/forecasting.md."""

from __future__ import annotations

import datetime as dt

import msgspec


class Band(msgspec.Struct, frozen=True, gc=False):
    """Whole numbers in the unit of the series: in 10, 50 and 90 of a hundred cases it is no more than that.

    A forecast has some ten thousand of them, without cycles: looking for these would take half as long again.
    """

    low: int
    likely: int
    high: int


class Trial(msgspec.Struct, frozen=True, gc=False):
    """What would have been said on the morning of `origin`, by what was known then, and what came.

    Of the day `ahead` days after `origin` (0 is that day itself), or, among running totals, of all days from `origin`
    up to it. `naive` is the baseline: each day as the same day of the last known week, with a range of its own.
    """

    origin: dt.date
    ahead: int
    band: Band
    naive: Band
    actual: int

    @property
    def is_within(self) -> bool:
        return self.band.low <= self.actual <= self.band.high


class Hits(msgspec.Struct, frozen=True):
    """How many of `trials` came within the range that had been told: eight of ten are meant to."""

    hits: int
    trials: int

    @property
    def share(self) -> float:
        return self.hits / self.trials


class Measured(msgspec.Struct, frozen=True):
    """Of the trials, all of which were made by what was known at their origin; to be had again from them exactly.

    `mase` is the mean absolute error of `likely` in units of `scale`, which is what a day of the whole history differs
    by, on average, from the same day a week before; None when nothing ever differed. `wql` is the weighted quantile
    loss of the days: twice the sum of the pinball losses at 10, 50 and 90 %, averaged over the three, divided by the
    sum of what came; None when nothing came. `total_wql` is the same of the running totals. `total_error` is the median
    share by which `likely` was off the total of the whole horizon; None without such a trial. `naive_…` is the
    baseline's. Of all of them less is better.
    """

    origins: int
    coverage: Hits
    total_coverage: Hits
    scale: float
    mase: float | None
    naive_mase: float | None
    wql: float | None
    naive_wql: float | None
    total_wql: float | None
    naive_total_wql: float | None
    total_error: float | None
    naive_total_error: float | None


class Outlook(msgspec.Struct, frozen=True):
    """`days[k]` is the day k days after `first_day`, `totals[k]` all days up to it, calibrated as a total.

    Totals are no sums of daily quantiles: low days are made up for by high ones, or are not, and back-tests of totals
    tell which.
    `measured` is None when the history is too short to have tried anything; `basis` says so, for people.
    """

    first_day: dt.date
    days: tuple[Band, ...]
    totals: tuple[Band, ...]
    method: str
    basis: str
    measured: Measured | None
    trials: tuple[Trial, ...]
    total_trials: tuple[Trial, ...]
