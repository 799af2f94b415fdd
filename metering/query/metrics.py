"""The figures usage is told in: what is summed, what follows from the sums, and how each is ordered and written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import msgspec

from core.money import NANOS_PER_USD, decimal_text, divide_half_even
from metering.events import BUCKETS, COMPLETION_BUCKETS, PROMPT_BUCKETS


class Part(msgspec.Struct, frozen=True):
    """A number of requests and the tokens they used."""

    requests: int
    tokens: int


class Coverage(msgspec.Struct, frozen=True):
    """How much of the usage has a price. The four parts are disjoint and sum to all of it.

    `estimated` has a price, on counts that were estimated. `unknown` is beside them: requests, all of them unpriced,
    whose provider did not say what was used.
    """

    priced: Part
    free: Part
    estimated: Part
    unpriced: Part
    unknown_requests: int

    @property
    def tokens(self) -> int:
        return self.priced.tokens + self.free.tokens + self.estimated.tokens + self.unpriced.tokens

    @property
    def requests(self) -> int:
        return self.priced.requests + self.free.requests + self.estimated.requests + self.unpriced.requests

    def share(self, part: Part) -> Fraction | None:
        """Of the tokens; of the requests where nothing used a token; None where there was nothing."""
        if self.tokens:
            return Fraction(part.tokens, self.tokens)
        return Fraction(part.requests, self.requests) if self.requests else None

    @property
    def shares(self) -> dict[str, Fraction | int | None]:
        """For pages: three shares that fill a bar (estimated usage has a price), and what is said beside it."""
        estimated, unpriced, free = self.share(self.estimated), self.share(self.unpriced), self.share(self.free)
        priced = self.share(self.priced)
        return {
            "priced_share": None if priced is None or estimated is None else priced + estimated,
            "free_share": free,
            "unpriced_share": unpriced,
            "estimated_share": estimated,
            "unpriced_tokens": self.unpriced.tokens,
            "unpriced_requests": self.unpriced.requests,
            "unknown_requests": self.unknown_requests,
        }


class Figures(msgspec.Struct, frozen=True, gc=False):
    """Sums over some usage. The first fields are the roll-ups' measures, in their order; money is in nano-dollars."""

    requests: int = 0
    errors: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    web_searches: int = 0
    images: int = 0
    media_ms: int = 0
    known_cost_nanos: int = 0
    known_input_cost_nanos: int = 0
    known_output_cost_nanos: int = 0
    free_requests: int = 0
    estimated_requests: int = 0
    unpriced_requests: int = 0
    unknown_requests: int = 0
    free_tokens: int = 0
    estimated_tokens: int = 0
    unpriced_tokens: int = 0
    duration_ms: int = 0
    timed_requests: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*map(int.__add__, msgspec.structs.astuple(self), msgspec.structs.astuple(other)))

    @property
    def prompt_tokens(self) -> int:
        return (
            self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
            + self.audio_input + self.image_input
        )  # fmt: skip

    @property
    def completion_tokens(self) -> int:
        return self.output + self.reasoning + self.audio_output + self.image_output

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def is_cost_known(self) -> bool:
        """False when there was usage and none of it has a price, calls aside that failed before they used anything.
        What a part has is in `coverage`."""
        if self.unpriced_requests == 0:
            return True
        has_priced_tokens = self.unpriced_tokens < self.total_tokens
        return self.unpriced_requests < self.requests and (has_priced_tokens or self.known_cost_nanos != 0)

    @property
    def cost_nanos(self) -> int | None:
        return self.known_cost_nanos if self.is_cost_known else None

    @property
    def input_cost_nanos(self) -> int | None:
        return self.known_input_cost_nanos if self.is_cost_known else None

    @property
    def output_cost_nanos(self) -> int | None:
        return self.known_output_cost_nanos if self.is_cost_known else None

    @property
    def unit_cost_nanos(self) -> int | None:
        """Searches, images, requests and hours: the cost that is not tokens."""
        if not self.is_cost_known:
            return None
        return self.known_cost_nanos - self.known_input_cost_nanos - self.known_output_cost_nanos

    @property
    def average_tokens(self) -> Fraction | None:
        """Tokens per request."""
        return Fraction(self.total_tokens, self.requests) if self.requests else None

    @property
    def average_latency_ms(self) -> Fraction | None:
        """Over the requests that told how long they took."""
        return Fraction(self.duration_ms, self.timed_requests) if self.timed_requests else None

    @property
    def coverage(self) -> Coverage:
        free = Part(self.free_requests, self.free_tokens)
        estimated = Part(self.estimated_requests, self.estimated_tokens)
        unpriced = Part(self.unpriced_requests, self.unpriced_tokens)
        priced = Part(
            self.requests - free.requests - estimated.requests - unpriced.requests,
            self.total_tokens - free.tokens - estimated.tokens - unpriced.tokens,
        )
        return Coverage(priced, free, estimated, unpriced, self.unknown_requests)


MEASURE_FIELDS = Figures.__struct_fields__


def credits_from_nanos(nanos: int | None, credits_per_usd: int) -> int | None:
    """A cost in whole credits, half to even. Rounded wherever it is shown, so the credits of parts need not sum up."""
    return None if nanos is None else divide_half_even(nanos * credits_per_usd, NANOS_PER_USD)


def rounded(value: Fraction | None, places: int = 0) -> float | int | None:
    """A ratio as the API writes it, half to even. Never for money."""
    if value is None:
        return None
    scaled: int = round(value * 10**places)
    return scaled / 10**places if places else scaled


Written = int | float | str | None
Unit = Literal["count", "tokens", "usd", "seconds", "milliseconds"]


class Metric(msgspec.Struct, frozen=True):
    """`sort` is an SQL expression over the sums, `value` is typed: money in nano-dollars, ratios as floats."""

    unit: Unit
    sort: str
    value: Callable[[Figures], int | float | None]
    is_ratio: bool = False

    def write(self, figures: Figures) -> Written:
        """What the API and texts show."""
        value = self.value(figures)
        return decimal_text(value, 9) if self.unit == "usd" and isinstance(value, int) else value


def _sum(name: str, unit: Unit) -> Metric:
    return Metric(unit, name, lambda figures: getattr(figures, name))


def _money(name: str) -> Metric:
    return Metric("usd", name, lambda figures: getattr(figures, name))


_PROMPT = " + ".join(PROMPT_BUCKETS)
_COMPLETION = " + ".join(COMPLETION_BUCKETS)
_TOTAL = f"{_PROMPT} + {_COMPLETION}"

METRICS: dict[str, Metric] = {
    "requests": _sum("requests", "count"),
    "errors": _sum("errors", "count"),
    "prompt_tokens": Metric("tokens", f"({_PROMPT})", lambda figures: figures.prompt_tokens),
    "completion_tokens": Metric("tokens", f"({_COMPLETION})", lambda figures: figures.completion_tokens),
    "total_tokens": Metric("tokens", f"({_TOTAL})", lambda figures: figures.total_tokens),
    **{bucket: _sum(bucket, "tokens") for bucket in BUCKETS},
    "web_searches": _sum("web_searches", "count"),
    "images": _sum("images", "count"),
    "seconds": Metric("seconds", "media_ms", lambda figures: rounded(Fraction(figures.media_ms, 1000), 3), True),
    "cost_usd": _money("cost_nanos"),
    "input_cost_usd": _money("input_cost_nanos"),
    "output_cost_usd": _money("output_cost_nanos"),
    "average_tokens": Metric(
        "tokens",
        f"coalesce(({_TOTAL})::numeric / nullif(requests, 0), -1)",
        lambda figures: rounded(figures.average_tokens, 1),
        True,
    ),
    "average_latency_ms": Metric(
        "milliseconds",
        "coalesce(duration_ms::numeric / nullif(timed_requests, 0), -1)",
        lambda figures: rounded(figures.average_latency_ms, 1),
        True,
    ),
}


def written(figures: Figures, names: tuple[str, ...] | list[str]) -> dict[str, Written]:
    return {name: METRICS[name].write(figures) for name in names}


def instant_text(at: dt.datetime) -> str:
    """RFC 3339 in UTC, to the second when it is a whole one."""
    text = at.astimezone(dt.UTC).isoformat(timespec="microseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")
