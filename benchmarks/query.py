"""How fast questions about usage are answered, and whether that depends on how many events there are.

    uv run python -m benchmarks.query [--events 5000000] [--minutes 12] [--directory PATH]

Starts a PostgreSQL of its own (durable), loads a million events over thirteen months, keeps a copy of that database,
and grows the other one to --events, or to fewer on a machine too busy to do that in --minutes. Then it asks both in
turn, through the same `run` as every page, and asks the events themselves beside it: the raw limit, and the proof
that the figures are equal. With --directory the data stay there, and the next run measures without loading.
"""

from __future__ import annotations

import argparse
import atexit
import datetime as dt
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

SMALL_DATABASE = "tokenledger_small"
BREAKDOWNS = (
    "model", "member", "project", "api_key", "team", "department", "feature", "tool", "integration", "provider",
    "endpoint", "status", "end_user",
)  # fmt: skip
REPEATS, RAW_REPEATS = 40, 3
MEASURING_MINUTES = 2.5
AIM_MS, AIM_GROWTH = 20, 1.2


class View(msgspec.Struct):
    """One question of one organization. `is_promised`: by one dimension at most, so it is held against the aims."""

    organization: str
    name: str
    ask: Callable[[], Any]
    # The same from the events alone.
    ask_events: Callable[[], Any] | None = None
    is_promised: bool = False
    # Per database: milliseconds.
    taken: dict[str, list[float]] = msgspec.field(default_factory=dict)
    events_taken: dict[str, list[float]] = msgspec.field(default_factory=dict)
    rows: int = 0
    sources: str = ""


# ── Questions ──


def views(dataset: Any, at: int, title: str) -> list[View]:
    """Everything a person looks at, for the organization at this place of the data set."""
    from core.periods import day_start, local_day
    from metering.query.latest import latest_event_at
    from metering.query.plan import Source
    from metering.query.ranges import named_range
    from metering.query.run import run
    from metering.query.spec import UsageQuery

    place, now = dataset.organizations[at], dataset.ends_at
    zone = place.zone
    only_events = frozenset({Source.EVENTS})
    found = []

    def add(name: str, span: Any, *, is_promised: bool = True, **asked: Any) -> None:
        query = UsageQuery(place.id, span[0], span[1], zone, **asked)
        found.append(View(title, name, lambda: run(query), lambda: run(query, sources=only_events), is_promised))

    def of(key: str) -> tuple[dt.datetime, dt.datetime]:
        named = named_range(key, zone, now)
        return named.start, named.end

    def local(days_ago: int, hour: int, minute: int) -> dt.datetime:
        return (now.astimezone(zone) - dt.timedelta(days=days_ago)).replace(hour=hour, minute=minute)

    month, last_30 = named_range("month", zone, now), named_range("30d", zone, now)
    today = local_day(now, zone)
    year = day_start(today - dt.timedelta(days=390), zone), of("30d")[1]
    add("this month, totals", of("month"))
    add("last month so far, totals", (month.previous_so_far.start, month.previous_so_far.end))
    add("30 days before, so far, totals", (last_30.previous_so_far.start, last_30.previous_so_far.end))
    add("today by hour", of("today"), interval="hour")
    add("30 days by day", of("30d"), interval="day")
    add("90 days by week", of("90d"), interval="week")
    add("13 months by month", year, interval="month")
    for dimension in BREAKDOWNS:
        add(f"30 days by {dimension}", of("30d"), group_by=(dimension,))
    add("13 months by model", year, group_by=("model",))
    add("30 days by day and model", of("30d"), interval="day", group_by=("model",))
    add("one model, 30 days by day", of("30d"), interval="day", filters={"model": ("gpt-4o",)})
    add("one member, 30 days by day", of("30d"), interval="day", filters={"member": (f"person00@{place.slug}.test",)})
    add("one model, 7 days by hour", of("7d"), interval="hour", filters={"model": ("gpt-4o",)})
    add("10 ragged days by model", (local(10, 10, 17), local(1, 8, 3)), group_by=("model",))
    full = named_range("month", zone, month.previous.start)
    add("chats of last month, first 50", (full.start, full.end), group_by=("chat",), limit=50, is_promised=False)
    crossed = {"project": ("search",), "model": ("gpt-4o",)}
    add("30 days, project × model by day", of("30d"), interval="day", filters=crossed, is_promised=False)
    rare = {"member": (f"person00@{place.slug}.test",), "feature": ("agents",)}
    add("7 days, member × feature by day", of("7d"), interval="day", filters=rare, is_promised=False)
    found.append(View(title, "nothing: one round trip", _nothing))
    found.append(View(title, "latest event", lambda: latest_event_at(place.id)))
    found.append(View(title, "whole overview, 30 days", _overview(place, now)))
    return found


def _nothing() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _overview(place: Any, now: dt.datetime) -> Callable[[], Any]:
    from django.http import QueryDict

    from accounts.models import Membership, Organization
    from core.tenancy import organization_scope
    from reports.filters import Chosen
    from reports.overview import Overview
    from reports.series import MEASURES

    with organization_scope(place.id):
        organization = Organization.objects.get(pk=place.id)
        membership = Membership.objects.filter(role="owner").first()
    path = f"/o/{place.slug}/overview"
    chosen = Chosen.read(path, QueryDict(), place.zone, now, default_range="30d", measures=tuple(MEASURES))

    def ask() -> Any:
        with organization_scope(place.id):
            return Overview(organization, membership, chosen, now).context()

    return ask


# ── Data ──


def load(small: int, large: int, deadline: float) -> tuple[Any, int, int]:
    """The data set in two databases, the smaller one a copy made on the way, and the events in each."""
    from django.db import connection

    from benchmarks import dataset as made

    dataset = made.prepare()
    connection.close()
    with made.connect("postgres") as owner:
        has_copy = owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [SMALL_DATABASE]).fetchone()
    present = made.sizes()[0].rows
    if has_copy:
        return dataset, made.sizes(SMALL_DATABASE)[0].rows, present
    if present:
        raise SystemExit("Loading was interrupted: remove the directory, or name another one.")
    started = time.perf_counter()
    _load(dataset, 0, small)
    with made.connect("postgres") as owner:
        owner.execute(f"CREATE DATABASE {SMALL_DATABASE} TEMPLATE tokenledger STRATEGY file_copy")
    took, left = time.perf_counter() - started, deadline - time.perf_counter()
    # Roll-ups grow more slowly than events: of this much time, two fifths are needed whatever the number.
    fits = max(2 * small, int(small * (left / took - 0.4) / 0.6) // 100_000 * 100_000)
    if fits < large:
        print(f"This machine is busy: {fits:,} events instead of {large:,}; --minutes gives it longer.", flush=True)
    large = min(fits, large)
    _load(dataset, small, large)
    return dataset, small, large


def _load(dataset: Any, before: int, events: int) -> None:
    from benchmarks import dataset as made

    seconds = made.load(dataset, events - before, before)
    rolled_up = made.roll_up(dataset)
    print(
        f"{events - before:,} events loaded in {seconds:.0f} s; roll-ups of {events:,} made anew in"
        f" {rolled_up.every:.0f} s, of the largest organization in {rolled_up.largest:.1f} s",
        flush=True,
    )


def print_sizes(databases: dict[str, int]) -> None:
    from benchmarks import dataset as made

    print(f"\n{'table':24} {'events':>12} {'rows':>12} {'events/row':>10} {'table MB':>10} {'indexes MB':>10}")
    for database, events in databases.items():
        for size in made.sizes(database):
            print(f"{size.table:24} {events:12,} {size.rows:12,} {events / max(1, size.rows):10.2f}"
                  f" {size.table_bytes / 1e6:10,.0f} {size.index_bytes / 1e6:10,.0f}")  # fmt: skip


# ── Measuring ──


class Databases:
    """Both databases open at once; `use` says which one the product asks."""

    def __init__(self, names: tuple[str, ...]) -> None:
        from django.db import connections

        self._connections = {}
        for name in names:
            wrapper = connections.create_connection("default")
            wrapper.settings_dict = wrapper.settings_dict | {"NAME": name}
            self._connections[name] = wrapper

    def use(self, name: str) -> None:
        from django.db import connections

        connections["default"] = self._connections[name]


def _timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = ask()
    return (time.perf_counter() - started) * 1_000, answer


def measure(asked: list[View], names: tuple[str, ...], seconds: float) -> None:
    """Rounds over every view, in both databases in turn, so that a busy minute of the machine meets all alike."""
    databases = Databases(names)
    deadline = time.perf_counter() + seconds
    for repeat in range(REPEATS + 2):
        for view in asked:
            for name in names:
                databases.use(name)
                took, answer = _timed(view.ask)
                if repeat < 2:  # caches fill
                    view.rows, view.sources = _shape(answer)
                else:
                    view.taken.setdefault(name, []).append(took)
        if repeat > 10 and time.perf_counter() > deadline:
            break


def measure_events(asked: list[View], names: tuple[str, ...], seconds: float) -> list[str]:
    """The raw limit. Returns the views whose figures differ from the roll-ups'."""
    databases = Databases(names)
    deadline = time.perf_counter() + seconds
    different = []
    for repeat in range(RAW_REPEATS):
        for view in asked:
            if view.ask_events is None or (repeat and time.perf_counter() > deadline):
                continue
            for name in names:
                databases.use(name)
                took, answer = _timed(view.ask_events)
                view.events_taken.setdefault(name, []).append(took)
                if not repeat:
                    expected = view.ask()
                    if (answer.rows, answer.totals) != (expected.rows, expected.totals):
                        different.append(f"{view.organization}: {view.name} ({name})")
    return different


def _shape(answer: Any) -> tuple[int, str]:
    if not hasattr(answer, "sources"):
        return 0, ""
    return len(answer.rows), "+".join(answer.sources)


# ── Telling ──


def _high(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def tell(asked: list[View], small: str, large: str, sizes: tuple[int, int]) -> None:
    print(f"\nmilliseconds; {sizes[0]:,} → {sizes[1]:,} events; raw: the same from the events")
    print(
        f"{'':34} {'source':>15} {'rows':>5} {'p50':>7} {'p95':>7}   {'p50':>7} {'p95':>7} {'growth':>7}"
        f" {'raw':>9} {'ratio':>7}"
    )
    title = ""
    for view in asked:
        if view.organization != title:
            title = view.organization
            print(title)
        before, after = view.taken[small], view.taken[large]
        middle = statistics.median(after)
        line = (
            f"  {view.name:32} {view.sources:>15} {view.rows or '':>5} {statistics.median(before):7.1f}"
            f" {_high(before):7.1f}   {middle:7.1f} {_high(after):7.1f} {_growth(view, small, large):7.2f}"
        )
        if view.events_taken:
            raw = statistics.median(view.events_taken[large])
            line += f" {raw:9,.1f} {raw / middle:7.1f}"
        print(line)
    promised = [view for view in asked if view.is_promised]
    slow = [view for view in promised if _high(view.taken[large]) >= AIM_MS]
    grown = [view for view in promised if _growth(view, small, large) >= AIM_GROWTH]
    print(
        f"\nviews by one dimension at most: {len(promised)}; p95 under {AIM_MS} ms: {len(promised) - len(slow)},"
        f" growth under {AIM_GROWTH}: {len(promised) - len(grown)};"
        f" slowest p95 {max(_high(view.taken[large]) for view in promised):.1f} ms,"
        f" median growth {statistics.median(_growth(view, small, large) for view in promised):.2f}"
    )
    for what, those in (("slow", slow), ("grown", grown)):
        for view in those:
            print(f"  {what}: {view.organization}, {view.name}")


def _growth(view: View, small: str, large: str) -> float:
    return statistics.median(view.taken[large]) / statistics.median(view.taken[small])


def benchmark(small: int, large: int, minutes: float) -> None:
    import django

    django.setup()
    dataset, small, large = load(small, large, time.perf_counter() + (minutes - MEASURING_MINUTES) * 60)
    from django.db import connection

    names = SMALL_DATABASE, str(connection.settings_dict["NAME"])
    print_sizes(dict(zip(names, (small, large), strict=True)))
    asked = []
    for at, title in ((0, "largest"), (len(dataset.organizations) // 2 - 1, "middle")):
        place = dataset.organizations[at]
        asked += views(dataset, at, f"{title} organization, {place.zone.key}")
    measure(asked, names, MEASURING_MINUTES * 30)
    different = measure_events(asked, names, MEASURING_MINUTES * 30)
    tell(asked, *names, (small, large))
    print(f"figures from roll-ups and from events: {'DIFFERENT: ' + ', '.join(different) if different else 'equal'}")
    if different:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000, help="the larger number of events")
    parser.add_argument("--from", type=int, default=1_000_000, dest="smaller", help="the smaller number of events")
    parser.add_argument("--minutes", type=float, default=12.0, help="about how long everything may take")
    parser.add_argument("--directory", type=Path, help="where the data stay; otherwise they are removed at the end")
    chosen = parser.parse_args()
    from config import embedded

    directory = chosen.directory or Path(tempfile.mkdtemp(prefix="tokenledger-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    os.environ |= {"TOKENLEDGER_DATA_DIR": str(directory), "DEBUG": "0", "SECRET_KEY": "only-for-the-benchmark",
                   "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING",
                   "REDIS_URL": "unix:///nonexistent/redis.sock"}  # fmt: skip
    for name in ("DATABASE_URL", "TOKENLEDGER_EMBEDDED"):
        os.environ.pop(name, None)
    if not chosen.directory:
        # Registered before the server's own hook, so it runs after it has stopped.
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
    embedded.provide()
    benchmark(chosen.smaller, chosen.events, chosen.minutes)


if __name__ == "__main__":
    main()
