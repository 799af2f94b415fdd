"""How long the server takes for every page, with the demo's data and with millions of events in one organization.

    uv run python -m benchmarks.pages [--events 5000000] [--rounds 20] [--directory PATH] [page …]

Starts a PostgreSQL and a Redis of its own (durable), prepares the demo in one database and a large organization in
another, and asks for each page in both as its owner (the operator's as an operator) through all of the product's
middleware, without a network. An empty Django page and a round trip to the database are timed in the same rounds:
absolute figures depend on the machine and on what else it does, the ratio to an empty page less so. With --directory
the data stay there, and the next run measures without loading.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

DEMO_DATABASE = "tokenledger_demo"
AIM_DEMO_MS, AIM_LARGE_MS = 150, 300
EMPTY_PAGE = "an empty page"
ROUND_TRIP = "SELECT 1"


class Timing(msgspec.Struct):
    """Milliseconds of one page with one set of data, and the queries it makes."""

    taken: list[float] = msgspec.field(default_factory=list)
    queries: int = 0

    @property
    def p50(self) -> float:
        return statistics.median(self.taken)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.taken, n=20)[-1]


# ── Data ──


@contextmanager
def database(name: str | None) -> Iterator[None]:
    """The product asks the database of this name meanwhile; None is the one of the environment."""
    from django.db import connections

    before = connections["default"]
    if name is None:
        yield
        return
    wrapper = connections.create_connection("default")
    wrapper.settings_dict = wrapper.settings_dict | {"NAME": name}
    connections["default"] = wrapper
    try:
        yield
    finally:
        wrapper.close()
        connections["default"] = before


def prepare_demo(directory: Path) -> None:
    """Files of the pages too: their addresses are looked up as in production."""
    from django.core.management import call_command

    from benchmarks import dataset as made

    with made.connect("postgres") as owner:
        if not owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DEMO_DATABASE]).fetchone():
            owner.execute(f"CREATE DATABASE {DEMO_DATABASE}")
    call_command("collectstatic", interactive=False, verbosity=0)
    with database(DEMO_DATABASE):
        call_command("prepare_demo", secret_file=directory / "demo-key", model_port=8100)


def prepare_large(events: int) -> None:
    from benchmarks import dataset as made

    dataset = made.prepare(organizations=1)
    present = made.sizes()[0].rows
    if present == 0:
        print(f"{events:,} events loaded in {made.load(dataset, events):.0f} s", flush=True)
        print(f"rolled up in {made.roll_up(dataset).every:.0f} s", flush=True)
    elif present < events:
        print(f"The directory has {present:,} events; they are what is measured.", flush=True)


# ── Pages ──


def client_of(email: str) -> Any:
    from django.test import Client

    from accounts.models import User

    client = Client()
    client.force_login(User.objects.get(email=email))
    return client


def html_at(client: Any, path: str) -> str:
    answer = client.get(path)
    if answer.status_code == 302:
        return f'<a href="{answer["location"]}">'
    if answer.streaming or answer.status_code != 200 or not answer["content-type"].startswith("text/html"):
        return ""
    return str(answer.content.decode())


def found_pages(owner: str, slug: str, operator: str) -> dict[str, tuple[Any, str]]:
    """Of each page its name, who asks for it, and its address."""
    from tests.browser.pages import addresses

    by_operator, by_owner = client_of(operator), client_of(owner)
    found = {
        name: (by_operator, path) for name, path in addresses(lambda p: html_at(by_operator, p), "/operator/").items()
    }
    own = addresses(lambda p: html_at(by_owner, p), f"/o/{slug}/overview")
    return found | {name: (by_owner, path) for name, path in own.items()}


def ask(client: Any, path: str) -> None:
    answer = client.get(path)
    for _part in answer.streaming_content if answer.streaming else ():
        pass


# ── Measuring ──


def measure(asked: dict[str, Callable[[], None]], rounds: int, title: str) -> dict[str, Timing]:
    """Rounds over all of them, so that a busy minute of the machine meets all alike."""
    from django.db import connection

    from tests.queries import Counter

    timings = {name: Timing() for name in asked}
    for number in range(rounds + 1):
        for name, one in asked.items():
            if number == 0:  # caches fill, and queries are counted
                counter = Counter()
                with connection.execute_wrapper(counter):
                    one()
                timings[name].queries = counter.number
                continue
            started = time.perf_counter()
            one()
            timings[name].taken.append((time.perf_counter() - started) * 1_000)
        if sys.stderr.isatty():
            print(f"\r{title}: round {number} of {rounds}", end="", file=sys.stderr, flush=True)
    return timings


def round_trip() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def measured(pages: dict[str, tuple[Any, str]], rounds: int, title: str, words: list[str]) -> dict[str, Timing]:
    chosen = {
        name: lambda client=client, path=path: ask(client, path)
        for name, (client, path) in sorted(pages.items())
        if not words or any(word in name for word in words)
    }
    from django.test import Client

    nobody = Client()
    beside = {ROUND_TRIP: round_trip, EMPTY_PAGE: lambda: ask(nobody, "/healthz")}
    return measure({**beside, **chosen}, rounds, title)


# ── Telling ──


def tell(demo: dict[str, Timing], large: dict[str, Timing]) -> None:
    empty = large[EMPTY_PAGE].p50
    print(f"\n{'milliseconds':32} {'demo':>21}   {'large':>21} {'queries':>8} {'to an empty page':>17}")
    print(f"{'':32} {'p50':>10} {'p95':>10}   {'p50':>10} {'p95':>10}")
    for name in [*demo, *(name for name in large if name not in demo)]:
        cells = [
            f"{timing.p50:10.1f} {timing.p95:10.1f}" if (timing := data.get(name)) else f"{'':21}"
            for data in (demo, large)
        ]
        last = large.get(name) or demo[name]
        print(f"{name:32} {cells[0]}   {cells[1]} {last.queries:8} {last.p50 / empty:17.1f}")
    for title, data, aim in (("demo", demo, AIM_DEMO_MS), ("large", large, AIM_LARGE_MS)):
        slow = sorted((name for name in data if data[name].p95 >= aim), key=lambda name: -data[name].p95)
        words = ", ".join(f"{name} {data[name].p95:.0f}" for name in slow)
        fast = f"{len(data) - len(slow)} of {len(data)} with p95 under {aim} ms"
        print(f"{title}: {fast}{'; slower: ' + words if slow else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="only pages whose names contain one of these")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--directory", type=Path, help="where the data stay; otherwise they are removed at the end")
    chosen = parser.parse_args()
    from benchmarks.serving import own_databases

    directory = own_databases(chosen.directory, GATEWAY_ALLOW_PRIVATE_UPSTREAMS="1")
    import django

    django.setup()
    from django.test.utils import setup_test_environment

    setup_test_environment()
    from tests.demo import OPERATOR, ORGANIZATION

    prepare_demo(directory)
    prepare_large(chosen.events)
    with database(DEMO_DATABASE):
        pages = found_pages("alice@northbound.test", ORGANIZATION, OPERATOR)
        demo = measured(pages, chosen.rounds, "demo", chosen.pages)
    pages = found_pages("person00@bench-00.test", "bench-00", operator_of_the_large())
    tell(demo, measured(pages, chosen.rounds, "large", chosen.pages))


def operator_of_the_large() -> str:
    from accounts.models import User

    user, _ = User.objects.get_or_create(
        email="operator@bench.test", defaults={"is_operator": True, "name": "Operator"}
    )
    return str(user.email)


if __name__ == "__main__":
    main()
