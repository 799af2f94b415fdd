"""What can be asked of usage: one question, checked when it is built, for every page, program, alert and invoice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from core.errors import ApiError
from core.periods import FIRST_DAY, INTERVALS, LAST_DAY, UTC, Interval
from metering.dimensions import DIMENSIONS
from metering.query.metrics import METRICS
from metering.query.rate_parts import PRICE, RATE_PARTS, TIER
from metering.store.rates import LENGTHS

# Told apart on events only: free texts that are not interned.
TEXT_DIMENSIONS = ("chat", "message", "file")
TAG = "tag."
LONGEST_TAG_NAME = 64

# Metrics that are read from histograms, on request only (metering/query/latency.py): of what, and how many percent.
PERCENTILES: dict[str, tuple[Literal["duration", "first_token"], int]] = {
    "latency_p50_ms": ("duration", 50),
    "latency_p95_ms": ("duration", 95),
    "latency_p99_ms": ("duration", 99),
    "first_token_p50_ms": ("first_token", 50),
    "first_token_p95_ms": ("first_token", 95),
}

MOST_GROUPS = 6
MOST_FILTERS = 20
MOST_VALUES = 1_000
LONGEST_SEARCH = 200
LARGEST_LIMIT = 10_000
# Interval → the longest range it may divide, so that no answer has more than some ten thousand buckets.
LONGEST: dict[Interval, int] = {"15m": 31, "hour": 400, "day": 4_000, "week": 12_000, "month": 40_000}
# A range of whole local days may hold an hour that the clocks were set back.
_SLACK = dt.timedelta(hours=1)
EARLIEST = dt.datetime.combine(FIRST_DAY, dt.time(), UTC)
# Days begin up to that much earlier or later than in UTC.
_ANY_OFFSET = dt.timedelta(days=1)
LATEST = dt.datetime.combine(LAST_DAY + dt.timedelta(days=1), dt.time(), UTC)

# An entity's id, an entity's slug or address, a label's text; None is "without".
FilterValue = int | str | None


class UsageQuery(msgspec.Struct, frozen=True):
    """Usage of one organization in [start, end), by buckets of time and groups.

    Raises ApiError 422 when it makes no sense.

    `zone` says where hours, days, weeks and months begin. `filters` maps a dimension to the values wanted, any of them;
    different dimensions must all match. `order_by` names "start", metrics and dimensions, "-" before one turns it
    around. Without `limit` every row comes. `lengths` and `times` divide groups by what decides the rate of a call
    (metering/query/rate_parts.py). `with_audio` keeps only calls that heard, spoke, or were charged by the length of a
    recording.
    """

    organization_id: int
    start: dt.datetime
    end: dt.datetime
    zone: ZoneInfo
    interval: Interval | None = None
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[FilterValue, ...]] = msgspec.field(default_factory=dict)
    metrics: tuple[str, ...] = tuple(METRICS)
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    cursor: str | None = None
    lengths: tuple[int, ...] = LENGTHS
    times: tuple[int, ...] = ()
    with_audio: bool = False

    def __post_init__(self) -> None:
        _check_range(self)
        for name in self.group_by:
            if name not in RATE_PARTS:
                check_dimension(name, "group_by")
        if len(set(self.group_by)) < len(self.group_by):
            raise refusal("group_by names a dimension twice.", "group_by")
        if len([name for name in self.group_by if name not in RATE_PARTS]) > MOST_GROUPS:
            raise refusal(f"group_by takes at most {MOST_GROUPS} dimensions.", "group_by")
        if len(self.filters) > MOST_FILTERS:
            raise refusal(f"At most {MOST_FILTERS} dimensions can be filtered at once.", next(iter(self.filters)))
        for name, values in self.filters.items():
            if name != PRICE:
                check_dimension(name, name)
            check_values(name, values)
        for name in self.metrics:
            if name not in METRICS and name not in PERCENTILES:
                known = ", ".join((*METRICS, *PERCENTILES))
                raise refusal(f"There is no metric {name!r}. Metrics: {known}.", "metrics")
        for term in self.order_by:
            self._check_order(term.removeprefix("-"))
        if self.limit is not None and not 1 <= self.limit <= LARGEST_LIMIT:
            raise refusal(f"limit is a whole number from 1 to {LARGEST_LIMIT}.", "limit")

    def _check_order(self, name: str) -> None:
        if name in METRICS or name in self.group_by or (name == "start" and self.interval):
            return
        if name in PERCENTILES:
            raise refusal("Rows cannot be put in the order of a percentile; order them when you have them.", "order_by")
        if name == "start":
            raise refusal("Without an interval there is no start to order by.", "order_by")
        raise refusal(
            f"order_by takes start, metrics and dimensions of group_by, with - before one to descend; not {name!r}.",
            "order_by",
        )

    @property
    def dimensions(self) -> frozenset[str]:
        """Every dimension that has to be told apart to answer."""
        return frozenset(self.group_by) | frozenset(self.filters)

    @property
    def order(self) -> tuple[str, ...]:
        """By time, or the largest first."""
        if self.order_by:
            return self.order_by
        return ("start", "-total_tokens") if self.interval else ("-total_tokens",)


def refusal(message: str, param: str) -> ApiError:
    return ApiError(422, "invalid_parameter", message, param=param)


def check_dimension(name: str, param: str) -> None:
    if name in DIMENSIONS or name in TEXT_DIMENSIONS:
        return
    if name.startswith(TAG):
        tag = name.removeprefix(TAG)
        if 1 <= len(tag) <= LONGEST_TAG_NAME and "\0" not in tag:
            return
        raise refusal(f"A tag's name has 1 to {LONGEST_TAG_NAME} characters.", param)
    known = ", ".join((*DIMENSIONS, *TEXT_DIMENSIONS, "tag.<name>"))
    raise refusal(f"There is no dimension {name!r}. Dimensions: {known}.", param)


def check_values(name: str, values: tuple[FilterValue, ...]) -> None:
    """Raises ApiError 422."""
    if not values:
        raise refusal(f"{name} needs a value.", name)
    if len(values) > MOST_VALUES:
        raise refusal(f"{name} takes at most {MOST_VALUES:,} values.", name)
    for value in values:
        if isinstance(value, str) and (not value or "\0" in value):
            raise refusal(f"{name} has an empty or unreadable value; none asks for usage without one.", name)


def check_search(search: str) -> None:
    """Raises ApiError 422."""
    if len(search) > LONGEST_SEARCH:
        raise refusal(f"A search has at most {LONGEST_SEARCH} characters.", "q")
    if "\0" in search:
        raise refusal("A search has no NUL characters.", "q")


def is_text(name: str) -> bool:
    """Whether a dimension's values are texts of the event itself, not references."""
    return name in TEXT_DIMENSIONS or name == TIER or name.startswith(TAG)


def _check_range(query: UsageQuery) -> None:
    if query.start.tzinfo is None or query.end.tzinfo is None:
        raise TypeError("a usage query's times carry their offset")
    if query.interval is not None and query.interval not in INTERVALS:
        raise refusal(f"interval is one of {', '.join(INTERVALS)}, none.", "interval")
    if query.start < EARLIEST - _ANY_OFFSET:
        raise refusal(f"from is before {EARLIEST:%Y-%m-%d}.", "from")
    if query.end > LATEST + _ANY_OFFSET:
        raise refusal(f"to is after {LATEST:%Y-%m-%d}.", "to")
    if query.end <= query.start:
        raise refusal("to must be after from.", "to")
    if query.interval:
        days = LONGEST[query.interval]
        if query.end - query.start > dt.timedelta(days=days) + _SLACK:
            raise refusal(
                f"A range by {query.interval} has at most {days:,} days; take a longer interval or a shorter range.",
                "interval",
            )
