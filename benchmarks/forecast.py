"""How good forecasts are on what others really used, beside the same step of the season before.

    uv run python -m benchmarks.forecast [--data ../shared/data] [--organizations 500] [--series]

Every figure is of trials: at each origin of a history, by what was known there alone, and what came after it. Data that
is not there is skipped, and the output says so. Times are of two forecasts for each organization, in two processes.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import gzip
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reports.forecasting.baseline import baseline, baseline_totals
from reports.forecasting.course import Floats
from reports.forecasting.engine import Told, forecast, tell
from reports.forecasting.measuring import weighted_quantile_loss
from reports.forecasting.smoothing import is_installed

HOURS = 14 * 24
LANGUAGE = ("large", "mid", "small")
# A client with usage in fewer hours than these has nothing to forecast; with half of them or more it is a busy one.
RARE, BUSY = 0.02, 0.5
PROCESSES = 2
DAYS = 400
FIRST_DAY = dt.date(2025, 1, 6)


class Series(NamedTuple):
    name: str
    values: Floats


class Data(NamedTuple):
    """`ahead` is how many steps are forecast, `season` how many are a day of hours or a week of days."""

    title: str
    season: int
    ahead: int
    series: list[Series]


class Score(NamedTuple):
    """Of one series' steps, or of their running totals. `loss` is the weighted quantile loss, `error` the MASE."""

    loss: float
    error: float
    hits: int
    trials: int


# ── What others used ──


def read(folder: Path) -> Iterator[Data | str]:
    """Data sets, or why one is left out."""
    clients = folder / "llm_usage_servegen"
    if clients.is_dir():
        rows = _clients(clients)
        yield Data("ServeGen, busy clients, hours", 24, 24, [one for one in rows if _share(one) >= BUSY])
        yield Data("ServeGen, other clients, hours", 24, 24, [one for one in rows if RARE < _share(one) < BUSY])
    else:
        yield f"ServeGen: skipped, {clients} is not there."
    days = folder / "llm_usage_burstgpt_derived" / "daily.csv"
    if days.is_file():
        yield Data("BurstGPT, days", 7, 7, _daily(days))
    else:
        yield f"BurstGPT: skipped, {days} is not there."
    counted = folder / "anomaly_nab"
    if counted.is_dir():
        yield Data("NAB, counts by day", 7, 14, _counts(counted))
    else:
        yield f"NAB: skipped, {counted} is not there."


def _share(one: Series) -> float:
    return float((one.values > 0).mean())


def _clients(folder: Path) -> list[Series]:
    """Tokens by the hour of every client of the three language models, from its first hour with any."""
    rows: dict[str, Floats] = defaultdict(lambda: np.zeros(HOURS))
    for model in LANGUAGE:
        with gzip.open(folder / f"language_m-{model}.csv.gz", "rt") as lines:
            for row in csv.DictReader(lines):
                hour = int(float(row["t_s"]) // 3600)
                tokens = float(row["mean_input_tokens"] or 0) + float(row["mean_output_tokens"] or 0)
                if hour < HOURS:
                    rows[f"{model}/{row['client_id']}"][hour] += round(float(row["requests"] or 0) * tokens)
    trimmed = (Series(name, np.trim_zeros(values, "f")) for name, values in rows.items())
    # Two days to begin with, and as many again to be tried on.
    return [one for one in trimmed if len(one.values) >= 6 * 24]


def _daily(path: Path) -> list[Series]:
    rows = list(csv.DictReader(path.open()))
    return [Series(name, np.array([float(row[name]) for row in rows])) for name in ("requests", "tokens")]


def _counts(folder: Path) -> list[Series]:
    """What is counted there, not measured: taxi passengers, mentions of companies. Days not whole are left out."""
    found = []
    for path in sorted([*folder.glob("*/nyc_taxi.csv"), *folder.glob("*/Twitter_volume_*.csv")]):
        sums: dict[str, float] = defaultdict(float)
        lines: dict[str, int] = defaultdict(int)
        for row in csv.DictReader(path.open()):
            day = row["timestamp"][:10]
            sums[day] += float(row["value"])
            lines[day] += 1
        whole = max(lines.values())
        found.append(Series(path.stem, np.array([sums[day] for day in sorted(sums) if lines[day] >= 0.9 * whole])))
    return found


# ── Scores ──

Rule = Callable[[Series, Data], tuple[Score, Score]]


def ours(series: Series, data: Data, *, is_thorough: bool) -> tuple[Score, Score]:
    told = tell(series.values, data.season, data.ahead, is_thorough=is_thorough)
    return _scores(series, data, told, told.steps, told.sums)


def naive(series: Series, data: Data) -> tuple[Score, Score]:
    told = tell(series.values, data.season, data.ahead)
    return _scores(series, data, told, baseline(told.course), baseline_totals(told.course))


def _scores(series: Series, data: Data, told: Told, steps: Floats, sums: Floats) -> tuple[Score, Score]:
    came = told.course.came
    scale = float(np.abs(series.values[data.season :] - series.values[: -data.season]).mean())
    return _score(came, steps, scale), _score(came.cumsum(axis=1), sums, scale)


def _score(came: Floats, bands: Floats, scale: float) -> Score:
    known = ~np.isnan(came)
    had, said = came[known], np.rint(bands[known])
    loss = weighted_quantile_loss(had, said)
    held = (said[:, 0] <= had) & (had <= said[:, 2])
    error = float(np.abs(had - said[:, 1]).mean()) / scale if scale else math.nan
    return Score(math.nan if loss is None else loss, error, int(held.sum()), len(had))


def print_data(every: Sequence[Data], rules: dict[str, Rule], *, each: bool) -> None:
    titles = ("data", "rule", "MASE", "wQL", "of the baseline's", "coverage")
    print(f"| {' | '.join((*titles, 'totals: wQL', *titles[4:]))} |")
    print("|---|---|---|---|---|---|---|---|---|")
    overall: dict[str, list[tuple[float, float, int, int, int, int]]] = defaultdict(list)
    for data in every:
        base = [naive(series, data) for series in data.series]
        for name, rule in {**rules, "same step of the last season": naive}.items():
            scores = base if rule is naive else [rule(series, data) for series in data.series]
            steps, sums = [one for one, _ in scores], [one for _, one in scores]
            ratios = _ratio(steps, [one for one, _ in base]), _ratio(sums, [one for _, one in base])
            hits = [(sum(one.hits for one in some), sum(one.trials for one in some)) for some in (steps, sums)]
            overall[name].append((*ratios, *hits[0], *hits[1]))
            print(
                f"| {data.title} ({len(data.series)}) | {name} | {_median(one.error for one in steps):.2f}"
                f" | {_median(one.loss for one in steps):.3f} | {ratios[0]:.2f} | {hits[0][0] / hits[0][1]:.0%}"
                f" | {_median(one.loss for one in sums):.3f} | {ratios[1]:.2f} | {hits[1][0] / hits[1][1]:.0%} |"
            )
            if each:
                for series, one, total in zip(data.series, steps, sums, strict=True):
                    print(
                        f"|   {series.name} | | {one.error:.2f} | {one.loss:.3f} | | {one.hits / one.trials:.0%}"
                        f" | {total.loss:.3f} | | {total.hits / total.trials:.0%} |"
                    )
    for name, found in overall.items():
        steps, sums = (math.prod(one[at] for one in found) ** (1 / len(found)) for at in (0, 1))
        held = [_mean(one[at] / one[at + 1] for one in found) for at in (2, 4)]
        print(f"| **each data set alike** | {name} | | | {steps:.2f} | {held[0]:.0%} | | {sums:.2f} | {held[1]:.0%} |")


def _ratio(own: Sequence[Score], base: Sequence[Score]) -> float:
    """The geometric mean of each series' loss by its baseline's: none counts more for being large."""
    pairs = [(one.loss, other.loss) for one, other in zip(own, base, strict=True) if one.loss > 0 and other.loss > 0]
    return math.exp(_mean(math.log(one / other) for one, other in pairs))


def _mean(figures: Iterator[float]) -> float:
    return float(np.mean(list(figures)))


def _median(figures: Iterator[float]) -> float:
    return float(np.nanmedian(list(figures)))


# ── How long it takes ──


def print_times(organizations: int) -> None:
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"\n{organizations} organizations, {DAYS} days, tokens and cost, {PROCESSES} processes ({load})\n")
    for name, is_thorough in (("numpy alone", False), *([("with statsforecast", True)] if is_installed() else [])):
        started = time.perf_counter()
        with ProcessPoolExecutor(PROCESSES) as pool:
            spent = sum(pool.map(partial(_forecast, is_thorough=is_thorough), range(organizations), chunksize=8))
        took = time.perf_counter() - started
        print(f"{name:20} {took:6.1f} s (aim 300), {500 * spent / organizations:6.1f} ms of processor time a forecast")


def _forecast(seed: int, *, is_thorough: bool) -> float:
    """Weeks of offices that grow or shrink and scatter. Answers with the processor time."""
    random = np.random.default_rng(seed)
    week = np.array([1, 1.05, 1.1, 1.05, 1, 0.25, 0.15])
    level = np.exp(np.arange(DAYS) / DAYS * random.normal(0.3, 0.5) + np.cumsum(random.normal(0, 0.02, DAYS)))
    tokens = 1e6 * level * week[np.arange(DAYS) % 7] * random.lognormal(0, random.choice([0.1, 0.3, 0.8]), DAYS)
    started = time.process_time()
    for values in (tokens, tokens * 4321):
        forecast([round(value) for value in values], FIRST_DAY, is_thorough=is_thorough)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--organizations", type=int, default=500, help="how many are timed; 0 for none")
    parser.add_argument("--series", action="store_true", help="each series by itself too")
    asked = parser.parse_args()
    rules: dict[str, Rule] = {"ours, numpy alone": partial(ours, is_thorough=False)}
    if is_installed():
        rules["ours, with statsforecast"] = partial(ours, is_thorough=True)
    else:
        print("statsforecast: skipped, the extra `forecast` is not installed.")
    found = list(read(asked.data))
    for note in found:
        if isinstance(note, str):
            print(note)
    data = [one for one in found if isinstance(one, Data)]
    if data:
        print_data(data, rules, each=asked.series)
    if asked.organizations:
        print_times(asked.organizations)


if __name__ == "__main__":
    main()
