"""How fast events come in, beside the raw limit and the plain way, on this very machine in this very minute.

    uv run python -m benchmarks.ingest [--seconds 4]

Starts a PostgreSQL of its own (durable) and a real edge process, drives it over loopback, and stops both.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import time
from typing import Any

import psutil

from benchmarks.serving import application, connect, cpu_seconds, cpu_seconds_of_children, own_databases, postmaster

ONE_BY_ONE = "benchmarks.ingest:one_by_one"


def one_by_one() -> Any:
    """The edge with the same append code and a transaction for every request: what group commit is compared to."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from metering import group_commit
    from metering.edge import app

    group_commit.GroupCommit.lanes = 8
    group_commit.GroupCommit.most_at_once = 1
    return app


# ── What is measured against ──


def prepare_ledger() -> str:
    """Migrate, load the list prices, make an organization with projects and a key. Returns the key's secret."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("sync_prices", verbosity=0)
    from accounts import keys, organizations, teams
    from accounts.audit import Actor
    from accounts.models import Scope, User
    from benchmarks.workload import PROJECTS
    from core.tenancy import organization_scope

    by = Actor.of_command("benchmark")
    owner = User.objects.create_user("owner@bench.test", "a long enough password", name="Owner")
    organization = organizations.create_organization("Bench", owner, by=by, timezone="Europe/Berlin", country="DE")
    with organization_scope(organization.pk):
        for name in PROJECTS:
            teams.create_project(organization, name, by=by)
        _, secret = keys.create_key(organization, "bench", [Scope.USAGE_WRITE], by=by)
    return secret


def raw_copy(most_rows: int) -> tuple[int, float, float]:
    """The rows stored so far, by binary COPY on one connection into a table of the same columns and primary key.

    Returns (rows, rows a second in one transaction, rows a second with a commit every 1,000).
    """
    with connect() as connection, connection.cursor() as cursor:
        source = f"COPY (SELECT * FROM metering_event LIMIT {most_rows}) TO STDOUT (FORMAT BINARY)"
        with cursor.copy(source) as copy:
            blocks = [bytes(block) for block in copy]  # a block is a row, the first with the header
        head, first = blocks[0][:19], blocks[0][19:]
        rows = [row for row in (first, *blocks[1:]) if row and row != b"\xff\xff"]
        speeds = []
        for size in (len(rows), 1_000):
            cursor.execute("DROP TABLE IF EXISTS raw_event")
            cursor.execute("CREATE TABLE raw_event (LIKE metering_event)")
            cursor.execute("ALTER TABLE raw_event ADD PRIMARY KEY (organization_id, occurred_at, key)")
            cursor.execute("CHECKPOINT")
            pieces = [b"".join((head, *rows[at : at + size], b"\xff\xff")) for at in range(0, len(rows), size)]
            started = time.perf_counter()
            for piece in pieces:
                with cursor.copy("COPY raw_event FROM STDIN (FORMAT BINARY)") as copy:
                    for at in range(0, len(piece), 65_536):
                        copy.write(piece[at : at + 65_536])
            speeds.append(len(rows) / (time.perf_counter() - started))
        cursor.execute("DROP TABLE raw_event")
    return len(rows), speeds[0], speeds[1]


def counts() -> tuple[int, int]:
    """(events, requests in the day cube's total): what the phases must have left behind."""
    with connect() as connection:
        events = connection.execute("SELECT count(*) FROM metering_event").fetchone()[0]
        total = connection.execute(
            "SELECT coalesce(sum(requests), 0) FROM metering_usage_day WHERE kind = 0"
        ).fetchone()[0]
    return events, int(total)


# ── Phases ──


class Bench:
    def __init__(self, secret: str, seconds: float) -> None:
        self._secret = secret
        self._seconds = seconds
        self._postmaster = postmaster()
        self.acknowledged = 0

    def phase(
        self, name: str, port: int, process: psutil.Process, *, size: int, connections: int, most: int
    ) -> tuple[float, float]:
        """Run one phase and print its line; returns events a second and the 99th percentile."""
        import msgspec

        from benchmarks.loopback import Run, drive, request
        from benchmarks.workload import Workload

        supply = Workload(f"{name.replace(' ', '')}{connections}")
        encode = msgspec.json.encode
        requests = [
            request(port, self._secret, encode({"events": supply.batch(size)} if size > 1 else supply.event()))
            for _ in range(most)
        ]
        gc.freeze()

        def spent() -> tuple[float, float, float]:
            return cpu_seconds(process), cpu_seconds_of_children(self._postmaster), time.process_time()

        before = spent()
        run = asyncio.run(drive(Run(), port, requests, connections, self._seconds))
        after = spent()
        if set(run.statuses) != {"200"}:
            raise SystemExit(f"{name}: answers were {run.statuses}; the last: {run.last_answer[:300]!r}")
        events = run.requests * size
        self.acknowledged += events
        speed, p99 = events / run.seconds, run.percentile(0.99)
        costs = "".join(f" {(b - a) / events * 1e6:10.1f}" for a, b in zip(before, after, strict=True))
        print(f"{name:34} {connections:4} {speed:12,.0f} {run.percentile(0.5):10.1f} {p99:8.1f}{costs}", flush=True)
        return speed, p99


def measure(seconds: float) -> None:
    secret = prepare_ledger()
    print(f"{'':34} {'':4} {'':12} {'latency, ms':>19} {'CPU per event, µs':>32}")
    print(
        f"{'phase':34} {'conn':>4} {'events/s':>12} {'p50':>10} {'p99':>8} {'edge':>10} {'database':>10} {'client':>10}"
    )
    bench = Bench(secret, seconds)
    with application("config.edge:application") as server:
        bench.phase("warm-up", *server, size=100, connections=2, most=30)
        thousand, _ = bench.phase("batches of 1,000", *server, size=1_000, connections=8, most=int(60 * seconds))
        # Beside it in time as well: the machine may be another one in a minute.
        rows, raw, raw_by_thousand = raw_copy(150_000)
        bench.phase("batches of 100", *server, size=100, connections=8, most=int(500 * seconds))
        for connections in (1, 16):
            bench.phase("single events", *server, size=1, connections=connections, most=int(8_000 * seconds))
        single, p99 = bench.phase("single events", *server, size=1, connections=64, most=int(15_000 * seconds))
    with application(ONE_BY_ONE, factory=True) as server:
        bench.phase("warm-up", *server, size=1, connections=4, most=100)
        plain, _ = bench.phase(
            "a transaction for each event", *server, size=1, connections=64, most=int(4_000 * seconds)
        )
    events, total = counts()
    print(
        f"\nraw binary COPY of {rows:,} of the same rows: {raw:,.0f} rows/s; committed by 1,000: {raw_by_thousand:,.0f}"
    )
    print(f"batches of 1,000 to raw COPY: {thousand / raw:.2f} (aim 0.30)")
    print(f"batches of 1,000 to raw COPY by 1,000: {thousand / raw_by_thousand:.2f}")
    print(f"single events at 64 to a transaction each: {single / plain:.1f} (aim 4); p99 {p99:.1f} ms (aim 25)")
    is_equal = events == total == bench.acknowledged
    verdict = "" if is_equal else ": DIFFERENT"
    print(f"acknowledged {bench.acknowledged:,}, stored {events:,}, rolled up {total:,}{verdict}")
    if not is_equal:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="the length of each phase")
    seconds = parser.parse_args().seconds
    own_databases()
    measure(seconds)


if __name__ == "__main__":
    main()
