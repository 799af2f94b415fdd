"""What the operator's Prometheus reads of this process (GET /metrics, metering/scraping).

Labels name routes, kinds and states, never an organization, a key or a model: a scrape is read outside of every
tenant's scope, and its size must not grow with the number of customers.

Looking a child up by its labels costs twice as much as counting: what counts per request keeps its children.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from metering.pipeline import Rated
from metering.pricing.rate import Pricing
from metering.store.base import Outcome

# When each child began to count, as a series beside it: twice the scrape, for nobody's use.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

# Seconds. From what is answered out of memory to what a provider takes for a long answer.
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

# ── Requests ──

EDGE_REQUESTS = Counter(
    "tokenledger_edge_requests", "Requests to the edge by route and status.", ["route", "status"], registry=REGISTRY
)
EDGE_REQUEST_SECONDS = Histogram(
    "tokenledger_edge_request_duration_seconds",
    "Time until the answer begins, by route.",
    ["route"], buckets=_FAST, registry=REGISTRY,
)  # fmt: skip

# ── Events ──

EVENTS = Counter(
    "tokenledger_events",
    "Events received by outcome, and by pricing state if they were created (none otherwise).",
    ["outcome", "pricing"], registry=REGISTRY,
)  # fmt: skip

# ── Group commit ──

# Each kind of work has lanes of its own (metering/lanes.py).
LANE_ROWS = Histogram(
    "tokenledger_group_commit_rows", "Rows of a transaction that was committed, by kind of work.",
    ["lane"], buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000), registry=REGISTRY,
)  # fmt: skip
LANE_SECONDS = Histogram(
    "tokenledger_group_commit_duration_seconds", "Duration of a transaction that was committed, by kind of work.",
    ["lane"], buckets=_FAST, registry=REGISTRY,
)  # fmt: skip
LANE_WAIT_SECONDS = Histogram(
    "tokenledger_group_commit_wait_seconds", "How long a group's first request had waited for its turn.",
    ["lane"], buckets=_FAST, registry=REGISTRY,
)  # fmt: skip
LANE_WAITING_ROWS = Gauge(
    "tokenledger_group_commit_waiting_rows", "Rows that wait for their transaction to begin.",
    ["lane"], registry=REGISTRY,
)  # fmt: skip
LANE_FAILURES = Counter(
    "tokenledger_group_commit_failures",
    "Transactions rolled back, by reason: stale_zone, deadlock, locked, unreachable, refused.",
    ["lane", "reason"], registry=REGISTRY,
)  # fmt: skip

# ── Limits ──

HOLDS_PLACED = Counter("tokenledger_holds_placed", "Holds committed before a call.", registry=REGISTRY)
HOLDS_REFUSED = Counter(
    "tokenledger_holds_refused", "Calls refused a hold, by what was in the way: allowance, budget, credits, unpriced.",
    ["limit"], registry=REGISTRY,
)  # fmt: skip
RATE_LIMIT_REFUSALS = Counter(
    "tokenledger_rate_limit_refusals",
    "Requests refused by a request rate, by whose it is (key, organization) and its unit (requests, tokens).",
    ["scope", "unit"], registry=REGISTRY,
)  # fmt: skip
RATE_LIMIT_FAILURES = Counter(
    "tokenledger_rate_limit_redis_failures", "Questions to Redis about request rates that failed.", registry=REGISTRY
)
RATE_LIMIT_UNCHECKED = Counter(
    "tokenledger_rate_limit_unchecked",
    "Requests that were let pass or refused without a check of their rates, because Redis was away.",
    ["answer"], registry=REGISTRY,
)  # fmt: skip

# ── Gateway ──

GATEWAY_UPSTREAM_SECONDS = Histogram(
    "tokenledger_gateway_upstream_duration_seconds",
    "Time from forwarding a request until the upstream's answer begins, by route.",
    ["route"], buckets=_SLOW, registry=REGISTRY,
)  # fmt: skip
GATEWAY_UPSTREAM_ERRORS = Counter(
    "tokenledger_gateway_upstream_errors",
    "Upstream calls without a good answer, by kind: refused (4xx), failed (5xx), unreachable, timeout, broken_off.",
    ["kind"], registry=REGISTRY,
)  # fmt: skip
GATEWAY_ADDED_SECONDS = Histogram(
    "tokenledger_gateway_added_latency_seconds",
    "Time from a request's arrival until it is forwarded: what the gateway adds before the upstream's own time.",
    ["route"], buckets=_FAST, registry=REGISTRY,
)  # fmt: skip
GATEWAY_OPEN_STREAMS = Gauge("tokenledger_gateway_open_streams", "Streams that are being passed on.", registry=REGISTRY)
SPOOL_EVENTS = Gauge(
    "tokenledger_spool_events", "Settled calls on this process's disk that wait for the database.", registry=REGISTRY
)
SPOOL_FAILURES = Counter(
    "tokenledger_spool_failures", "Failures of the disk that the journal of settled calls is on.", registry=REGISTRY
)
SPOOL_UNREADABLE = Counter(
    "tokenledger_spool_unreadable", "Journals of ended processes that could not be read to their end.",
    registry=REGISTRY,
)  # fmt: skip
SETTLEMENT_CONFLICTS = Counter(
    "tokenledger_settlement_conflicts", "Settled calls whose event's id was another event's.", registry=REGISTRY
)

# ── Counting ──


class Route:
    """The answers of one route of the edge."""

    __slots__ = ("_by_status", "_name", "_seconds")

    def __init__(self, name: str) -> None:
        self._name = name
        self._seconds = EDGE_REQUEST_SECONDS.labels(name)
        self._by_status: dict[int, Counter] = {}

    def answered(self, status: int, seconds: float) -> None:
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = EDGE_REQUESTS.labels(self._name, str(status))
        counter.inc()
        self._seconds.observe(seconds)


class Lane:
    """The transactions of one kind of work. Counted in the threads of its lanes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows = LANE_ROWS.labels(name)
        self._seconds = LANE_SECONDS.labels(name)
        self._waited = LANE_WAIT_SECONDS.labels(name)

    def queue(self, waiting_rows: Callable[[], float]) -> None:
        """Where a scrape finds how many rows wait."""
        LANE_WAITING_ROWS.labels(self._name).set_function(waiting_rows)

    def waited(self, seconds: float) -> None:
        self._waited.observe(seconds)

    def committed(self, rows: int, seconds: float) -> None:
        self._rows.observe(rows)
        self._seconds.observe(seconds)

    def failed(self, reason: str) -> None:
        LANE_FAILURES.labels(self._name, reason).inc()


@cache
def _events(outcome: Outcome, pricing: int | None) -> Counter:
    return EVENTS.labels(outcome, "none" if pricing is None else Pricing(pricing).name.lower())


def count_rated(rated: Iterable[Rated]) -> None:
    """Count what became of events, after their commit. Who has a row and was not stored is still on its way."""
    tally = Tally([_fate(one) for one in rated if one.row is None or one.appended is not None])
    for (outcome, pricing), number in tally.items():
        _events(outcome, pricing).inc(number)


def _fate(one: Rated) -> tuple[Outcome, int | None]:
    outcome = one.outcome
    return outcome, one.row.pricing if outcome is Outcome.CREATED and one.row is not None else None


def count_unreadable(number: int) -> None:
    """Count what was sent for events and could not be read as such: nothing to rate, nothing to store."""
    if number:
        _events(Outcome.INVALID, None).inc(number)
