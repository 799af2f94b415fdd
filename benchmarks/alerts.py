"""How long it takes to evaluate every organization's rules, on as many processes as there are cores.

    uv run python -m benchmarks.alerts [--organizations 1000] [--events 1000000] [--processes 2]

Starts a PostgreSQL and a Redis of its own, loads events over thirteen months, gives each organization ten rules, and
evaluates them all: first as if nothing had been looked at for a day, then again a minute later.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import datetime as dt
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

AIM_SECONDS = 60
RULES: tuple[dict[str, Any], ...] = (
    {"condition": "daily_limit", "threshold": 1_000_000},
    {"condition": "hourly_spike", "threshold": 200_00},
    {"condition": "low_usage", "threshold": 10_000},
    {"condition": "per_model", "threshold": 500_000},
    {"condition": "rate_limited", "threshold": 100},
    {"condition": "cost", "threshold": 100 * 10**9, "window": "month"},
    {"condition": "error_rate", "threshold": 5_00},
    {"condition": "no_data", "threshold": 24},
    {"condition": "daily_limit", "threshold": 200_000, "scope": "model", "value": "gpt-4o"},
    {"condition": "unpriced_share", "threshold": 1_00},
)


def _set_up() -> None:
    import django

    django.setup()


def _make_rules(dataset: Any) -> None:
    from alerts.conditions import condition
    from alerts.models import AlertRule
    from core.tenancy import unscoped

    made = dataset.ends_at - dt.timedelta(days=1)
    with unscoped("every organization is the benchmark's"):
        AlertRule.objects.bulk_create(
            AlertRule(
                organization_id=place.id,
                **{
                    "window": condition(values["condition"]).windows[0],
                    "minimum": condition(values["condition"]).minimum,
                    **values,
                },
                watches_from=made,
                judged_until=made,
                due_at=made,
                created_by_label="benchmark",
            )
            for place in dataset.organizations
            for values in RULES
        )


def _cpu_seconds(directory: Path) -> float:
    """Of the evaluating processes and of the database's, so far: other work on the machine disturbs it less."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        total += sum(process.cpu_times()[:2])
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(directory) in part for part in process.cmdline()):
                total += sum(sum(one.cpu_times()[:2]) for one in process.children())
    return total


def _evaluate(asked: tuple[list[int], dt.datetime]) -> list[float]:
    """Milliseconds of each organization."""
    from accounts.models import Organization
    from alerts.evaluation.evaluate import evaluate
    from core.tenancy import organization_scope

    ids, at = asked
    taken = []
    for pk in ids:
        started = time.perf_counter()
        with organization_scope(pk):
            organization = Organization.objects.get(pk=pk)
        evaluate(organization, at)
        taken.append((time.perf_counter() - started) * 1_000)
    return taken


def benchmark(organizations: int, events: int, processes: int, directory: Path) -> None:
    _set_up()
    from django.db import connection

    from alerts.models import Alert
    from benchmarks import dataset as made
    from core.tenancy import unscoped

    dataset = made.prepare(organizations)
    made.load(dataset, events)
    made.roll_up(dataset)
    _make_rules(dataset)
    connection.close()
    ids = [place.id for place in dataset.organizations]
    # The largest ones are not all one process's.
    shares = [ids[number::processes] for number in range(processes)]
    print(f"{len(ids):,} organizations, {len(RULES)} rules each, {events:,} events, {processes} processes")
    with multiprocessing.get_context("spawn").Pool(processes, _set_up) as pool:
        for title, at in (
            ("after a day", dataset.ends_at),
            ("a minute later", dataset.ends_at + dt.timedelta(minutes=1)),
        ):
            started, before = time.perf_counter(), _cpu_seconds(directory)
            taken = sorted(one for part in pool.map(_evaluate, [(share, at) for share in shares]) for one in part)
            seconds, cpu = time.perf_counter() - started, _cpu_seconds(directory) - before
            print(
                f"{title:16} {seconds:7.1f} s (aim {AIM_SECONDS}); each p50 {statistics.median(taken):6.1f} ms,"
                f" p95 {statistics.quantiles(taken, n=20)[-1]:6.1f} ms, CPU {cpu * 1_000 / len(ids):6.1f} ms"
            )
    with unscoped("every organization is the benchmark's"):
        print(f"alerts: {Alert.objects.count():,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organizations", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    from config import embedded

    directory = Path(tempfile.mkdtemp(prefix="tokenledger-bench-"))
    directory.chmod(0o755)
    os.environ |= {"TOKENLEDGER_DATA_DIR": str(directory), "DEBUG": "0", "SECRET_KEY": "only-for-the-benchmark",
                   "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "ERROR"}  # fmt: skip
    for name in ("DATABASE_URL", "REDIS_URL", "TOKENLEDGER_EMBEDDED"):
        os.environ.pop(name, None)
    # Registered before the servers' own hooks, so it runs after they have stopped.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    embedded.provide()
    benchmark(chosen.organizations, chosen.events, chosen.processes, directory)


if __name__ == "__main__":
    main()
