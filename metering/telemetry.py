"""What the operator's Prometheus reads of this process (GET /metrics, metering/scraping).

Labels name routes, kinds and states, never an organization, a key or a model: a scrape is read outside of every
tenant's scope, and its size must not grow with the number of customers.

Looking a child up by its labels costs twice as much as counting: what counts per request keeps its children.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from metering.pipeline import Rated
from metering.pricing.rate import Pricing
from metering.store.base import Outcome

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

GROUP_COMMIT_EVENTS = Histogram(
    "tokenledger_group_commit_events", "Events in a transaction.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000), registry=REGISTRY,
)  # fmt: skip
GROUP_COMMIT_SECONDS = Histogram(
    "tokenledger_group_commit_duration_seconds", "Duration of a transaction that was committed.",
    buckets=_FAST, registry=REGISTRY,
)  # fmt: skip
GROUP_COMMIT_WAIT_SECONDS = Histogram(
    "tokenledger_group_commit_wait_seconds", "How long the first of a transaction's requests had waited for its turn.",
    buckets=_FAST, registry=REGISTRY,
)  # fmt: skip
GROUP_COMMIT_WAITING_EVENTS = Gauge(
    "tokenledger_group_commit_waiting_events", "Events that wait for their transaction to begin.", registry=REGISTRY
)
GROUP_COMMIT_FAILURES = Counter(
    "tokenledger_group_commit_failures",
    "Transactions that were rolled back, by reason: stale_zone, deadlock, locked, unreachable, refused.",
    ["reason"], registry=REGISTRY,
)  # fmt: skip

# ── Limits ──

HOLDS_PLACED = Counter("tokenledger_holds_placed", "Holds committed before a call.", registry=REGISTRY)
HOLDS_REFUSED = Counter(
    "tokenledger_holds_refused", "Calls for which no hold was placed, by the limit that was reached.",
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
    "What the gateway added to the time until an answer begins, by route.",
    ["route"], buckets=_FAST, registry=REGISTRY,
)  # fmt: skip
GATEWAY_OPEN_STREAMS = Gauge("tokenledger_gateway_open_streams", "Streams that are being passed on.", registry=REGISTRY)
SPOOL_EVENTS = Gauge(
    "tokenledger_spool_events", "Settled calls on this process's disk that wait for the database.", registry=REGISTRY
)

# ── Counting ──

_PRICING: dict[int, str] = {Pricing.PRICED: "priced", Pricing.FREE: "free", Pricing.UNPRICED: "unpriced"}


@cache
def _events(outcome: str, pricing: str) -> Counter:
    return EVENTS.labels(outcome, pricing)


def count_rated(rated: Iterable[Rated]) -> None:
    """Count what became of events, after their commit."""
    tally = Tally(
        [
            (one.outcome, one.row.pricing if one.row is not None and one.outcome is Outcome.CREATED else None)
            for one in rated
        ]
    )
    for (outcome, pricing), number in tally.items():
        _events(outcome.value, "none" if pricing is None else _PRICING[pricing]).inc(number)


def count_unreadable(number: int) -> None:
    """Count events that were no events: nothing to rate, nothing to store."""
    if number:
        _events(Outcome.INVALID.value, "none").inc(number)
