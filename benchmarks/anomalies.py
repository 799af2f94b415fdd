"""What the detector of anomalies finds, how soon, and how often it cries wolf; beside two simple rules on the same.

    uv run python -m benchmarks.anomalies [--data ../shared/data] [--series]

Deterministic, without a database. Data that is not there is skipped, and the output says so.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alerts.detection.lookback import Bools, Floats
from alerts.detection.measures import MATERIAL, MINIMUM, Measure
from alerts.detection.verdicts import MATERIAL_SHARE, judge_hours
from benchmarks.nab import Outcome, Series, count_episodes, normalized, read_series, score

HOURS = 14 * 24
LANGUAGE = ("large", "mid", "small")
# Nothing is judged in the first two days, by any rule.
WARM_UP = 48
# Changes put into what clients really did, each once a client: usual hours on top, or nothing at all, for some hours.
ADDED, SILENT = (2, 5, 10), "silence"
LASTS = 6
# NAB's series are in percent of their usual hour.
NAB_MINIMUM, NAB_MATERIAL = 5.0, 100 * MATERIAL_SHARE


class Gates(NamedTuple):
    """What is too little to judge, and what difference does not matter; the same for every rule."""

    minimum: float
    material: float | Floats


# Rows (series, hours) and their places in the week → alarms.
Rule = Callable[[Floats, tuple[int, ...], Gates], Bools]


def ours(values: Floats, places: tuple[int, ...], gates: Gates) -> Bools:
    return judge_hours(values, places, minimum=gates.minimum, material=gates.material).is_anomalous


def three_sigma(values: Floats, _places: tuple[int, ...], gates: Gates) -> Bools:
    """More than three standard deviations from the mean of the four weeks before."""
    alarms = np.zeros(values.shape, dtype=bool)
    for at in range(24, values.shape[1]):
        before = values[:, max(0, at - 672) : at]
        away = np.abs(values[:, at] - before.mean(axis=1))
        material = gates.material if isinstance(gates.material, float) else gates.material[:, at]
        matters = (away >= material) & (np.fmax(values[:, at], before.mean(axis=1)) >= gates.minimum)
        alarms[:, at] = (away > 3 * before.std(axis=1)) & matters
    return alarms


def fixed_threshold(values: Floats, _places: tuple[int, ...], gates: Gates) -> Bools:
    """More than twice the average of the first two days."""
    usual = values[:, :WARM_UP].mean(axis=1, keepdims=True)
    return (values > 2 * usual) & (values >= gates.minimum) & (values - usual >= gates.material)


RULES: dict[str, Rule] = {"ours": ours, "3 sigma": three_sigma, "fixed threshold": fixed_threshold}


# ── NAB ──


def on_nab(rule: Rule, series: Series) -> Outcome:
    return score(rule(series.values[None], series.places, Gates(NAB_MINIMUM, NAB_MATERIAL))[0], series)


def print_nab(folder: Path, *, each: bool) -> None:
    if not folder.is_dir():
        print(f"NAB: skipped, {folder} is not there.")
        return
    every = list(read_series(folder))
    outcomes = {name: [on_nab(rule, series) for series in every] for name, rule in RULES.items()}
    weeks = sum(outcome.weeks for outcome in outcomes["ours"])
    windows = sum(outcome.windows for outcome in outcomes["ours"])
    print(f"NAB: {len(every)} series, {weeks:.0f} weeks of hours, {windows} windows\n")
    print("| rule | NAB score | recall | median delay, h | false alarms a week | false hours |")
    print("|---|---|---|---|---|---|")
    for name, found in outcomes.items():
        delays = [delay for outcome in found for delay in outcome.delays]
        false = sum(outcome.false_alarms for outcome in found)
        print(
            f"| {name} | {normalized(found):.1f} | {len(delays)} of {windows} | {statistics.median(delays):.0f}"
            f" | {false / weeks:.2f} | {sum(outcome.false_hours for outcome in found)} |"
        )
    if each:
        print("\n| series | windows | " + " | ".join(f"{name}: found, false alarms, score" for name in RULES) + " |")
        print("|---|---|" + "---|" * len(RULES))
        for at, series in enumerate(every):
            cells = [
                f"{found[at].found}, {found[at].false_alarms}, {found[at].score:.2f}" for found in outcomes.values()
            ]
            print(f"| {series.name} | {len(series.windows)} | {' | '.join(cells)} |")


# ── Clients ──


def read_clients(folder: Path) -> Floats:
    """Tokens by the hour of every client of the three language models: (clients, hours). A window not there is none."""
    rows: dict[tuple[str, str], Floats] = defaultdict(lambda: np.zeros(HOURS))
    for model in LANGUAGE:
        with gzip.open(folder / f"language_m-{model}.csv.gz", "rt") as lines:
            for row in csv.DictReader(lines):
                hour = int(float(row["t_s"]) // 3600)
                tokens = float(row["mean_input_tokens"] or 0) + float(row["mean_output_tokens"] or 0)
                if hour < HOURS:
                    rows[model, row["client_id"]][hour] += round(float(row["requests"] or 0) * tokens)
    return np.stack(list(rows.values()))


def print_clients(folder: Path) -> None:
    if not folder.is_dir():
        print(f"\nServeGen: skipped, {folder} is not there.")
        return
    clients = read_clients(folder)
    places = tuple(hour % 168 for hour in range(HOURS))
    changes = list(_changes(clients))
    weeks = (HOURS - WARM_UP) / 168
    print(f"\nServeGen: {len(clients)} clients, {weeks:.1f} weeks after the first two days\n")
    titles = " | ".join(f"{name}: found, median delay, h" for name, _, _ in changes)
    print(
        f"| rule | false alarms a client and week | clients with none | clients with more than two a week | {titles} |"
    )
    print("|---|---|---|---|" + "---|" * len(changes))
    for name, rule in RULES.items():
        alarms = rule(clients, places, _gates(clients))[:, WARM_UP:]
        episodes = [count_episodes(np.nonzero(row)[0].tolist()) for row in alarms]
        cells = [_found(rule, places, clients, changed, at) for _, changed, at in changes]
        many = sum(count > 2 * weeks for count in episodes)
        often = sum(episodes) / len(clients) / weeks
        print(f"| {name} | {often:.2f} | {episodes.count(0)} | {many} | {' | '.join(cells)} |")


def _gates(clients: Floats) -> Gates:
    """The product's own for tokens, a client being an organization."""
    sums = np.concatenate([np.zeros((len(clients), 1)), np.cumsum(clients, axis=1)], axis=1)[:, :-1]
    usual = sums / np.maximum(np.arange(HOURS), 1)
    return Gates(float(MINIMUM[Measure.TOKENS]), np.maximum(float(MATERIAL[Measure.TOKENS]), MATERIAL_SHARE * usual))


def _changes(clients: Floats) -> Iterator[tuple[str, Floats, list[tuple[int, int]]]]:
    """Each kind of change: the clients' rows with it, and where it begins, (client, hour), in the second week.

    A client with less than the minimum in its usual hour has none; nor has one of silence that was quiet then anyway.
    """
    starts = np.random.default_rng(2026).integers(168, HOURS - LASTS, len(clients)).tolist()
    for kind in (*ADDED, SILENT):
        changed, at = clients.copy(), []
        for client, (row, start) in enumerate(zip(clients, starts, strict=True)):
            usual, during = row[:start].mean(), slice(start, start + LASTS)
            if usual < MINIMUM[Measure.TOKENS] or (kind == SILENT and row[during].min() < usual / 2):
                continue
            changed[client, during] = 0.0 if kind == SILENT else row[during] + float(kind) * usual
            at.append((client, start))
        yield (SILENT if kind == SILENT else f"+{kind} usual hours"), changed, at


def _found(rule: Rule, places: tuple[int, ...], clients: Floats, changed: Floats, at: Sequence[tuple[int, int]]) -> str:
    """An alarm that would have come anyway is no find."""
    alarms = rule(changed, places, _gates(changed)) & ~rule(clients, places, _gates(clients))
    delays = []
    for client, start in at:
        hits = np.nonzero(alarms[client, start : start + LASTS])[0]
        if len(hits):
            delays.append(int(hits[0]))
    delay = f"{statistics.median(delays):.0f}" if delays else "—"
    return f"{len(delays)} of {len(at)}, {delay}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--series", action="store_true", help="each NAB series by itself too")
    asked = parser.parse_args()
    print_nab(asked.data / "anomaly_nab", each=asked.series)
    print_clients(asked.data / "llm_usage_servegen")


if __name__ == "__main__":
    main()
