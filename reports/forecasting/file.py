"""A forecast as a file: every day, every total and every trial, enough to have each figure of its accuracy again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import msgspec

from core.csvcells import Cell, csv_text
from core.money import usd_text
from reports.forecasting.outlook import Band, Outlook, Trial
from reports.forecasting.records import Kept
from reports.models import ForecastMeasure

COLUMNS = (
    "kind", "origin", "day", "ahead", "low", "likely", "high", "naive_low", "naive_likely", "naive_high", "actual",
)  # fmt: skip
_DAY = dt.timedelta(days=1)


def csv_of(kept: Kept, outlook: Outlook | None) -> str:
    """`kind` says what a line is: history (what was known), day and total (what is likely; a total of all days up to
    its own), trial and total_trial (what would have been said at `origin`, and what came). Money in dollars, exact.
    `outlook` has the trials.
    """
    return csv_text([COLUMNS, *_lines(kept, outlook)])


def _lines(kept: Kept, outlook: Outlook | None) -> Iterator[Sequence[Cell]]:
    is_money = kept.measure == ForecastMeasure.COST

    def written(value: int) -> Cell:
        return usd_text(value) if is_money else value

    for number, value in enumerate(kept.history):
        yield ("history", None, str(kept.history_from + number * _DAY), *[None] * 7, written(value))
    if outlook is None:
        return
    for kind, bands in (("day", outlook.days), ("total", outlook.totals)):
        for ahead, band in enumerate(bands):
            day = outlook.first_day + ahead * _DAY
            yield (kind, str(outlook.first_day), str(day), ahead, *map(written, _ends(band)), *[None] * 4)
    for kind, trials in (("trial", outlook.trials), ("total_trial", outlook.total_trials)):
        for trial in trials:
            yield _trial(kind, trial, [*map(written, (*_ends(trial.band), *_ends(trial.naive), trial.actual))])


def _ends(band: Band) -> tuple[int, ...]:
    return msgspec.structs.astuple(band)


def _trial(kind: str, trial: Trial, cells: list[Cell]) -> Sequence[Cell]:
    return (kind, str(trial.origin), str(trial.origin + trial.ahead * _DAY), trial.ahead, *cells)
