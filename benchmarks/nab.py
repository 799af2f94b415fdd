"""The Numenta Anomaly Benchmark's series by the hour, and its score.

Lavin, Ahmad: "Evaluating Real-Time Anomaly Detection Algorithms" (2015), the standard profile. Series come in steps of
five minutes to an hour; here they are the averages of each hour, as the detector is made for hours, in percent of
the average of the probationary part, because their units mean nothing. An hour without a value has the one before.
What is below 0 counts as 0: usage never is.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alerts.detection.lookback import Bools, Floats

HOUR = dt.timedelta(hours=1)
# No detector is judged before: 15 % of a series, at most that many of its own steps.
PROBATION, LONGEST_PROBATION = 0.15, 750
# A false alarm costs that much; a window found or missed counts 1.
FALSE_ALARM = 0.11


class Window(NamedTuple):
    """Hours from `start` to `end`, both included, in which something was wrong."""

    start: int
    end: int


class Series(NamedTuple):
    name: str
    values: Floats
    places: tuple[int, ...]
    probation: int
    windows: list[Window]


class Outcome(NamedTuple):
    score: float
    windows: int
    found: int
    delays: list[int]
    false_hours: int
    false_alarms: int
    weeks: float


def read_series(folder: Path) -> Iterator[Series]:
    """Every series that there is of the benchmark, in order of names."""
    labels = json.loads((folder / "combined_windows.json").read_text())
    for path in sorted(folder.glob("*/*.csv")):
        name = f"{path.parent.name}/{path.name}"
        yield _series(name, path, [(_time(start), _time(end)) for start, end in labels[name]])


def score(alarms: Bools, series: Series) -> Outcome:
    """As published: each window by its first alarm, the earlier the better; each hour of a false alarm by its distance.

    Beside it, in the words of who is called at night: `false_alarms` are episodes, an hour's pause ends none.
    """
    total, delays = 0.0, []
    for start, end in series.windows:
        inside = np.nonzero(alarms[max(start, series.probation) : end + 1])[0]
        if not len(inside):
            total -= 1
            continue
        hit = max(start, series.probation) + int(inside[0])
        total += _sigmoid(-(end - hit + 1) / (end - start + 1)) / _sigmoid(-1.0)
        delays.append(hit - start)
    false = [at for at in np.nonzero(alarms)[0].tolist() if at >= series.probation and not _is_inside(at, series)]
    for at in false:
        before = [window for window in series.windows if window.end < at]
        away = (at - before[-1].end) / max(before[-1].end - before[-1].start, 1) if before else math.inf
        total += FALSE_ALARM * _sigmoid(away)
    weeks = (len(series.values) - series.probation) / 168
    return Outcome(total, len(series.windows), len(delays), delays, len(false), count_episodes(false), weeks)


def normalized(outcomes: Sequence[Outcome]) -> float:
    """0 for telling nothing, 100 for telling each window at its first hour and nothing else."""
    windows = sum(outcome.windows for outcome in outcomes)
    return 100 * (sum(outcome.score for outcome in outcomes) + windows) / (2 * windows)


def count_episodes(hours: Sequence[int], pause: int = 3) -> int:
    """Alarms that follow each other within `pause` hours are one."""
    return sum(1 for at, hour in enumerate(hours) if at == 0 or hour - hours[at - 1] > pause)


def _sigmoid(position: float) -> float:
    """1 to 0 from the left edge of a window to its right one, then down to -1."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def _is_inside(hour: int, series: Series) -> bool:
    return any(start <= hour <= end for start, end in series.windows)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text[:19]).replace(tzinfo=dt.UTC)


def _series(name: str, path: Path, labels: list[tuple[dt.datetime, dt.datetime]]) -> Series:
    steps: dict[dt.datetime, list[float]] = {}
    with path.open() as lines:
        for row in csv.DictReader(lines):
            at = _time(row["timestamp"]).replace(minute=0, second=0)
            steps.setdefault(at, []).append(max(float(row["value"]), 0.0))
    first, last = min(steps), max(steps)
    times = [first + n * HOUR for n in range((last - first) // HOUR + 1)]
    values: list[float] = []
    for at in times:
        values.append(float(np.mean(steps[at])) if at in steps else values[-1])
    probation = _probation(steps, first)
    scale = float(np.mean(values[:probation])) or 1.0
    windows = [Window((start - first) // HOUR, min((end - first) // HOUR, len(times) - 1)) for start, end in labels]
    places = tuple(at.weekday() * 24 + at.hour for at in times)
    return Series(name, np.array(values) * 100 / scale, places, probation, windows)


def _probation(steps: dict[dt.datetime, list[float]], first: dt.datetime) -> int:
    wanted = min(int(PROBATION * sum(map(len, steps.values()))), LONGEST_PROBATION)
    seen = 0
    for at in sorted(steps):
        seen += len(steps[at])
        if seen >= wanted:
            return (at - first) // HOUR + 1
    return len(steps)
