"""From what each day had to what the next ones are likely to have: docs/algorithms/forecasting.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reports.forecasting.measuring import measure
from reports.forecasting.outlook import Band, Outlook, Trial

Floats = npt.NDArray[np.float64]

WEEK = 7
HORIZON = 31
# Two weeks tell one weekday from another, for the first time.
FEWEST_DAYS = 2 * WEEK
# A range of fewer errors than these would only look like one.
FEWEST_ORIGINS = 9
_SHARES = (0.1, 0.5, 0.9)


def forecast(values: Sequence[int], first: dt.date, horizon: int = HORIZON, *, left: float = 1.0) -> Outlook | None:
    """The `horizon` days after the last of `values`, which are whole days from `first` on, none left out.

    `left` is the share of the first day to come that is not over yet: its band, and the totals, are of that share only.
    None when there is too little history to say anything: less than two weeks since the first usage.
    """
    began = next((at for at, value in enumerate(values) if value), len(values))
    history = np.asarray(values[began:], dtype=np.float64)
    if len(history) < FEWEST_DAYS:
        return None
    first_day = first + dt.timedelta(days=len(values))
    shift = max(float(history[-8 * WEEK :].mean()) * 0.1, 1.0)
    origins = range(FEWEST_DAYS, len(history))
    said = {origin: _expected(history[:origin], horizon) for origin in origins}
    trials: list[Trial] = []
    totals: list[Trial] = []
    now = _expected(history, horizon)
    now[0] *= left
    day_bands = _bands(now, _errors(history, said, shift, len(history), total=False), shift)
    total_bands = _bands(now.cumsum(), _errors(history, said, shift, len(history), total=True), shift)
    for origin in origins:
        day = first_day - dt.timedelta(days=len(history) - origin)
        for found, total in ((trials, False), (totals, True)):
            path = said[origin].cumsum() if total else said[origin]
            errors = _errors(history, said, shift, origin, total=total)
            bands = _bands(path, errors, shift)
            if bands is None:
                continue
            came = history[origin : origin + horizon]
            actual = came.cumsum() if total else came
            naive = np.resize(history[origin - WEEK : origin], horizon)
            naive = naive.cumsum() if total else naive
            for ahead, value in enumerate(actual.tolist()):
                same = round(naive[ahead])
                found.append(Trial(day, ahead, bands[ahead], Band(same, same, same), round(value)))
    if day_bands is None or total_bands is None:
        return None
    return Outlook(
        first_day,
        day_bands,
        total_bands,
        "weekly level and pattern",
        f"From {len(history)} days of usage.",
        measure(trials, totals, history, horizon),
        tuple(trials),
        tuple(totals),
    )


def _expected(history: Floats, days: int) -> Floats:
    count = min(8, len(history) // WEEK)
    weeks = history[len(history) - count * WEEK :].reshape(count, WEEK)
    level = float(np.median(weeks[-4:].sum(axis=1)))
    pattern = np.median(weeks, axis=0)
    shares = pattern / pattern.sum() if pattern.any() else np.full(WEEK, 1 / WEEK)
    return np.resize(level * shares, days)


def _errors(history: Floats, said: dict[int, Floats], shift: float, now: int, *, total: bool) -> list[Floats]:
    """For each day ahead, how far earlier forecasts of it were off, of what had come by `now`."""
    found: list[list[float]] = []
    for origin, path in said.items():
        came = history[origin:now][: len(path)]
        if not len(came) or origin >= now:
            continue
        told = path[: len(came)]
        if total:
            came, told = came.cumsum(), told.cumsum()
        for ahead, error in enumerate(np.log((came + shift) / (told + shift)).tolist()):
            if ahead == len(found):
                found.append([])
            found[ahead].append(error)
    return [np.sort(np.array(errors)) for errors in found]


def _bands(path: Floats, errors: list[Floats], shift: float) -> tuple[Band, ...] | None:
    """None while too few errors are known. Days further ahead than any that came have the last range."""
    known = [one for one in errors if len(one) >= FEWEST_ORIGINS]
    if not known:
        return None
    bands = []
    for ahead, value in enumerate(path.tolist()):
        low, likely, high = np.quantile(known[min(ahead, len(known) - 1)], _SHARES).tolist()
        told = [max(round((value + shift) * float(np.exp(error)) - shift), 0) for error in (low, likely, high)]
        bands.append(Band(*told))
    return tuple(bands)
