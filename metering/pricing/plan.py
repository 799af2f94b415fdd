"""A version's rate rows, arranged so that a call finds its rates by tier, time of day and context length."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from core.money import nanos_from_femtos
from metering.events import Usage
from metering.pricing.rate import RULE_LENGTH, Pricing, Rate, RateVector, Rating, free, split_cost, unpriced

# How providers, SDKs and logs call the ordinary tier.
_STANDARD_TIERS = frozenset(
    {"", "standard", "default", "auto", "standard_only", "on_demand", "on-demand", "unspecified", "none"}
)
_MIDNIGHT = dt.time(0)


@lru_cache(1024)
def canonical_tier(service_tier: str | None) -> str:
    """ "" for the ordinary tier, else its name in lower case."""
    if not service_tier:
        return ""
    tier = service_tier.strip().lower()
    return "" if tier in _STANDARD_TIERS else tier


class Version(msgspec.Struct, frozen=True):
    """One version of the price book, with its rates."""

    id: int
    organization_id: int | None
    kind: str
    provider: str
    model: str
    valid_from: dt.datetime
    valid_to: dt.datetime | None
    is_free: bool
    source: str
    rates: tuple[Rate, ...]


class _Window(msgspec.Struct, frozen=True):
    """Rates of one daily window; by context length, the longest first."""

    starts_at: dt.time
    ends_at: dt.time
    vectors: tuple[RateVector, ...]

    def covers(self, time: dt.time) -> bool:
        if self.starts_at == self.ends_at:
            return True
        if self.starts_at < self.ends_at:
            return self.starts_at <= time < self.ends_at
        return time >= self.starts_at or time < self.ends_at


class Plan:
    """How one version charges a call. Immutable."""

    __slots__ = ("_only", "_tiers", "rule", "version")

    def __init__(self, version: Version, rule: str) -> None:
        self.version = version
        self.rule = rule[:RULE_LENGTH]
        tiers = {rate.service_tier for rate in version.rates} | {""}
        self._tiers = {tier: _windows(version.rates, tier) for tier in tiers}
        # Most versions charge the ordinary tier the same at every hour and length.
        standard = self._tiers[""]
        is_flat = len(standard) == 1 and len(standard[0].vectors) == 1
        self._only = standard[0].vectors[0] if is_flat else None

    def vector(self, usage: Usage, occurred_at: dt.datetime, service_tier: str | None) -> RateVector | None:
        """The rates of this call, or None when the version does not know its tier."""
        tier = service_tier
        if not tier or tier not in self._tiers:
            tier = canonical_tier(tier)
            if not tier and self._only is not None:
                return self._only
        windows = self._tiers.get(tier)
        if windows is None:
            return None
        window = windows[0]
        if len(windows) > 1:
            time = occurred_at.astimezone(dt.UTC).time()
            window = next(window for window in windows if window.covers(time))
        vectors = window.vectors
        if len(vectors) == 1:
            return vectors[0]
        prompt_tokens = usage.prompt_tokens
        return next(vector for vector in vectors if prompt_tokens > vector.above_tokens or not vector.above_tokens)

    def rate(self, usage: Usage, occurred_at: dt.datetime, service_tier: str | None, duration_ms: int | None) -> Rating:
        version = self.version
        if version.is_free:
            return free(self.rule, version.id)
        vector = self.vector(usage, occurred_at, service_tier)
        if vector is None:
            return unpriced(f"no {canonical_tier(service_tier)} rates for {version.model}")
        gap = vector.gap(usage, duration_ms)
        if gap is not None:
            return unpriced(gap)
        cost, prompt_cost, completion_cost = split_cost(
            vector.prompt_femtos(usage), vector.completion_femtos(usage), vector.unit_femtos(usage, duration_ms)
        )
        marks = vector.marks(usage)
        rule = f"{self.rule}{marks}"[:RULE_LENGTH] if marks else self.rule
        return Rating(Pricing.PRICED, cost, prompt_cost, completion_cost, version.id, rule)

    def known_nanos(
        self, usage: Usage, occurred_at: dt.datetime, service_tier: str | None, duration_ms: int | None
    ) -> int:
        """What this usage costs at least, where not all of it has a rate: of a tier without any, the ordinary one's."""
        vector = self.vector(usage, occurred_at, service_tier) or self.vector(usage, occurred_at, None)
        return 0 if vector is None else nanos_from_femtos(vector.known_femtos(usage, duration_ms))


def _windows(rates: tuple[Rate, ...], tier: str) -> tuple[_Window, ...]:
    """The daily windows of a tier, the particular ones before the one that is all day."""
    own = [rate for rate in rates if rate.service_tier == tier]
    standard = [rate for rate in rates if not rate.service_tier]
    bounds = sorted({(rate.starts_at, rate.ends_at) for rate in own + standard if not rate.is_all_day})
    windows = []
    for starts_at, ends_at in [*bounds, (_MIDNIGHT, _MIDNIGHT)]:
        # Bucket by bucket the most particular rates there are: the tier's in this window, the tier's all day, …
        layers = [
            [rate for rate in layer if predicate(rate)]
            for layer in (own, standard)
            for predicate in (
                lambda rate, s=starts_at, e=ends_at: (rate.starts_at, rate.ends_at) == (s, e) and not rate.is_all_day,
                lambda rate: rate.is_all_day,
            )
        ]
        windows.append(_Window(starts_at, ends_at, _vectors(layers)))
    return tuple(windows)


def _vectors(layers: Iterable[list[Rate]]) -> tuple[RateVector, ...]:
    chosen: dict[str, list[Rate]] = {}
    for layer in layers:
        fresh: dict[str, list[Rate]] = {}
        for rate in layer:
            if rate.bucket not in chosen:
                fresh.setdefault(rate.bucket, []).append(rate)
        chosen.update(fresh)
    bounds = sorted({0, *(rate.above_tokens for rates in chosen.values() for rate in rates)}, reverse=True)
    vectors = []
    for bound in bounds:
        rates = {}
        for bucket, candidates in chosen.items():
            fitting = [rate for rate in candidates if rate.above_tokens <= bound]
            if fitting:
                rates[bucket] = max(fitting, key=lambda rate: rate.above_tokens)
        vectors.append(RateVector(bound, rates))
    return tuple(vectors)
