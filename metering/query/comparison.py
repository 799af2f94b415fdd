"""This very usage at other models' prices, and on GPUs by the hour: what it would have cost, and what not.

Each group of calls that share a length, a tier and kinds of tokens is multiplied by the rates the target has for them.
Calls the target has no rate for are left out on both sides and counted; a cost is never 0 because it is unknown.
docs/algorithms/comparison.md says what is exact.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction

import msgspec

from core.money import nanos_from_femtos
from metering.estimate.tokenizers import maker_of
from metering.events import Usage
from metering.pricing.aliases import canonical_provider
from metering.pricing.book import PriceBook
from metering.pricing.plan import Plan, Version, canonical_tier
from metering.pricing.rate import RateVector
from metering.query.costs import usage_of
from metering.query.gpus import Gpus
from metering.query.labels import GroupValue
from metering.query.metrics import Figures
from metering.query.rate_parts import ABOVE, BIT, KINDS, PRICE, TIER, TIME
from metering.query.run import UsageRow, run, scope_of
from metering.query.spec import UsageQuery, refusal
from metering.store.rates import LENGTHS

MOST_TARGETS = 6
# Prices by the hour of the day need the calls themselves; beyond this many the ordinary hours' rates are taken.
MOST_BY_TIME = 300_000
UNKNOWN_USAGE = "usage unknown"
_PARTS = ("model", "provider", PRICE, TIER, ABOVE, KINDS)
_TEXT = BIT["input"] | BIT["output"]
_SOME_DAY = dt.date(2000, 1, 1)


class Target(msgspec.Struct, frozen=True):
    """A model to compare with, at the price the organization would pay for it at one moment."""

    plan: Plan

    @property
    def version(self) -> Version:
        return self.plan.version

    @property
    def key(self) -> str:
        """As addresses name it."""
        version = self.version
        return f"{version.provider}/{version.model}" if version.provider else version.model

    @property
    def label(self) -> str:
        return self.version.model

    @property
    def has_hours(self) -> bool:
        return any(not rate.is_all_day for rate in self.version.rates)

    @property
    def lengths(self) -> set[int]:
        return {rate.above_tokens for rate in self.version.rates} - {0}


class Replay(msgspec.Struct, frozen=True):
    """Some usage at a target's price.

    `now_nanos` is what the `calls` cost that both prices know, `femtos` what they would have; `idle_calls` of them used
    nothing, as failed ones. `new_*` are calls that have no price and would have one. `left_out` are calls the target
    cannot price, by the reason, with what they cost. `other_tier_calls` were of a tier the target does not sell, and
    are charged as ordinary ones.
    """

    calls: int = 0
    idle_calls: int = 0
    now_nanos: int = 0
    femtos: int = 0
    new_calls: int = 0
    new_femtos: int = 0
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    left_out_nanos: int = 0
    other_tier_calls: int = 0

    def __add__(self, other: Replay) -> Replay:
        reasons = dict(self.left_out)
        for reason, calls in other.left_out.items():
            reasons[reason] = reasons.get(reason, 0) + calls
        return Replay(
            self.calls + other.calls, self.idle_calls + other.idle_calls,
            self.now_nanos + other.now_nanos, self.femtos + other.femtos,
            self.new_calls + other.new_calls, self.new_femtos + other.new_femtos,
            reasons, self.left_out_nanos + other.left_out_nanos, self.other_tier_calls + other.other_tier_calls,
        )  # fmt: skip

    @property
    def cost_nanos(self) -> int | None:
        """Rounded once, where calls would be rounded one by one; None when there is nothing to compare.

        Calls that used nothing say nothing of a price that does not apply to any of the others.
        """
        is_idle = self.calls == self.idle_calls and bool(self.left_out or self.new_calls)
        return nanos_from_femtos(self.femtos) if self.calls and not is_idle else None

    @property
    def new_nanos(self) -> int | None:
        return nanos_from_femtos(self.new_femtos) if self.new_calls else None

    @property
    def saved_nanos(self) -> int | None:
        return None if self.cost_nanos is None else self.now_nanos - self.cost_nanos

    @property
    def saved_share(self) -> Fraction | None:
        saved = self.saved_nanos
        return Fraction(saved, self.now_nanos) if saved is not None and self.now_nanos else None

    @property
    def left_out_calls(self) -> int:
        return sum(self.left_out.values())


class Current(msgspec.Struct, frozen=True):
    """A model as it is used, and its usage at each target's price, in the targets' order."""

    model: GroupValue
    provider: GroupValue
    figures: Figures
    replays: tuple[Replay, ...]


class Comparison(msgspec.Struct, frozen=True):
    """`is_by_time` is False when a target's hours of the day were not looked at, because there are too many calls."""

    targets: tuple[Target, ...]
    models: tuple[Current, ...]
    totals: Figures
    replays: tuple[Replay, ...]
    gpu: Replay | None
    gpu_tokens: tuple[int, int]
    is_by_time: bool


def find_target(book: PriceBook, organization_id: int, name: str, at: dt.datetime) -> Target:
    """ "provider/model", or a model alone: its only provider's, or its maker's. Raises ApiError 422 without a price."""
    for provider, model in _readings(name):
        for valid_from, valid_to, plan in book.resolve(organization_id, provider, model).periods:
            if valid_from <= at and (valid_to is None or at < valid_to):
                if any(rate.bucket == "gpu_hours" for rate in plan.version.rates):
                    raise refusal(f"{name} is paid for by the hour; compare with GPU hours instead.", "with")
                if plan.version.is_free or plan.version.rates:
                    return Target(plan)
    raise refusal(f"There is no price for {name!r} today.", "with")


def _readings(name: str) -> list[tuple[str | None, str]]:
    provider, slash, model = name.partition("/")
    named: list[tuple[str | None, str]] = [(canonical_provider(provider), model)] if slash and model else []
    # Several sell it, and nobody says who would be asked: then as its maker does.
    return [*named, (None, name), *([(maker, name)] if (maker := maker_of(name)) else [])]


def compare(
    query: UsageQuery, targets: Sequence[Target], gpus: Gpus | None = None, most_by_time: int = MOST_BY_TIME
) -> Comparison:
    """A query's usage at the targets' prices, and on GPUs; its groups, interval and order are of no matter."""
    rows, is_by_time = _read(query, targets, (), most_by_time)
    found: dict[tuple[object, object], list[UsageRow]] = {}
    for row in rows:
        found.setdefault((row.group["model"].ref, row.group["provider"].ref), []).append(row)
    models = [_current(group, targets) for group in found.values()]
    models.sort(key=lambda one: (-one.figures.known_cost_nanos, -one.figures.total_tokens, one.model.label or ""))
    totals = sum((row.figures for row in rows), Figures())
    replays = tuple(sum((one.replays[at] for one in models), Replay()) for at in range(len(targets)))
    gpu, tokens = _on_gpus(rows, gpus) if gpus else (None, (0, 0))
    return Comparison(tuple(targets), tuple(models), totals, replays, gpu, tokens, is_by_time)


def replays_by(
    query: UsageQuery, dimensions: tuple[str, ...], target: Target, most_by_time: int = MOST_BY_TIME
) -> dict[tuple[int | str | None, ...], Replay]:
    """A query's usage at one target's price, told apart by dimensions: their references, each with its replay."""
    rows, _ = _read(query, (target,), dimensions, most_by_time)
    found: dict[tuple[int | str | None, ...], Replay] = {}
    for row in rows:
        key = tuple(row.group[name].ref for name in dimensions)
        found[key] = found.get(key, Replay()) + _replay(row, target)
    return found


def _read(
    query: UsageQuery, targets: Sequence[Target], dimensions: tuple[str, ...], most_by_time: int
) -> tuple[list[UsageRow], bool]:
    """The query's usage by all that the targets' prices tell apart, and whether by the hour of the day, too."""
    lengths = tuple(sorted(set(LENGTHS).union(*(target.lengths for target in targets))))
    base = msgspec.structs.replace(query, interval=None, group_by=(), order_by=(), limit=None, cursor=None)
    with scope_of(query.organization_id):
        edges = _edges(targets)
        is_by_time = not edges or run(base).totals.requests <= most_by_time
        parts = (*_PARTS, TIME) if edges and is_by_time else _PARTS
        groups = tuple(dict.fromkeys((*dimensions, *parts)))
        rows = run(
            msgspec.structs.replace(base, group_by=groups, lengths=lengths, times=edges if is_by_time else ())
        ).rows
    return rows, is_by_time


def _edges(targets: Sequence[Target]) -> tuple[int, ...]:
    times = {
        time
        for target in targets
        for rate in target.version.rates
        if not rate.is_all_day
        for time in (rate.starts_at, rate.ends_at)
    }
    return tuple(sorted(time.hour * 3600 + time.minute * 60 + time.second for time in times))


def _current(rows: list[UsageRow], targets: Sequence[Target]) -> Current:
    return Current(
        rows[0].group["model"],
        rows[0].group["provider"],
        sum((row.figures for row in rows), Figures()),
        tuple(sum((_replay(row, target) for row in rows), Replay()) for target in targets),
    )


# ── One group of calls ──


def _number(row: UsageRow, name: str) -> int:
    value = row.group[name].ref
    return value if isinstance(value, int) else 0


def _replay(row: UsageRow, target: Target) -> Replay:
    """The calls of a row share all that a price list could tell apart, so a rate that one lacks all lack."""
    figures = row.figures
    if not _number(row, KINDS):
        return _of_nothing(figures)
    usage, tier = usage_of(figures), row.group[TIER].ref
    vector, is_other_tier = _vector(target, row, tier if isinstance(tier, str) else None)
    if vector is None:
        femtos, gap = 0, None
    else:
        gap = vector.gap(usage, None)
        femtos = sum(charge.amount_femtos for charge in vector.charges(usage, None, figures.requests))
    other_tier_calls = figures.requests if is_other_tier else 0
    if gap is not None:
        return Replay(left_out={gap: figures.requests}, left_out_nanos=figures.known_cost_nanos)
    if not _number(row, PRICE):
        return Replay(new_calls=figures.requests, new_femtos=femtos, other_tier_calls=other_tier_calls)
    return Replay(
        figures.requests, now_nanos=figures.known_cost_nanos, femtos=femtos, other_tier_calls=other_tier_calls
    )


def _of_nothing(figures: Figures) -> Replay:
    """Calls that used nothing cost nothing anywhere; of those whose usage nobody knows, nobody knows that either."""
    left_out = {UNKNOWN_USAGE: figures.unknown_requests} if figures.unknown_requests else {}
    calls = figures.requests - figures.unknown_requests
    return Replay(calls, idle_calls=calls, now_nanos=figures.known_cost_nanos, left_out=left_out)


def _vector(target: Target, row: UsageRow, tier: str | None) -> tuple[RateVector | None, bool]:
    """The target's rates for a row, and whether they are the ordinary tier's in place of its own. None: it is free."""
    if target.version.is_free:
        return None, False
    above = _number(row, ABOVE)
    usage = Usage(input=above + 1 if above else 0)
    second = _number(row, TIME) if TIME in row.group else _ordinary_second(target)
    at = dt.datetime.combine(_SOME_DAY, dt.time(second // 3600, second % 3600 // 60, second % 60), dt.UTC)
    vector = target.plan.vector(usage, at, tier)
    if vector is not None:
        return vector, False
    return target.plan.vector(usage, at, None), bool(canonical_tier(tier))


def _ordinary_second(target: Target) -> int:
    """A time of the day that no window of the target's covers."""
    windows = [(rate.starts_at, rate.ends_at) for rate in target.version.rates if not rate.is_all_day]

    def covered(second: int) -> bool:
        return any(
            (second - _of_day(start)) % 86_400 < (_of_day(end) - _of_day(start)) % 86_400 for start, end in windows
        )

    return next((_of_day(end) for _, end in windows if not covered(_of_day(end))), 0)


def _of_day(time: dt.time) -> int:
    return time.hour * 3600 + time.minute * 60 + time.second


# ── GPUs by the hour ──


def _on_gpus(rows: list[UsageRow], gpus: Gpus) -> tuple[Replay, tuple[int, int]]:
    """The calls of texts at their share of busy hours, and their (prompt, completion) tokens."""
    total, prompt, completion = Replay(), 0, 0
    for row in rows:
        figures, kinds = row.figures, _number(row, KINDS)
        if not kinds:
            total += _of_nothing(figures)
            continue
        if kinds & ~_TEXT:
            reason = "they read more than text and images"
            total += Replay(left_out={reason: figures.requests}, left_out_nanos=figures.known_cost_nanos)
            continue
        if not _number(row, PRICE):
            hours = gpus.busy_hours(figures.prompt_tokens, figures.completion_tokens)
            total += Replay(new_calls=figures.requests, new_femtos=gpus.cost_femtos(hours))
            continue
        total += Replay(figures.requests, now_nanos=figures.known_cost_nanos)
        prompt += figures.prompt_tokens
        completion += figures.completion_tokens
    femtos = gpus.cost_femtos(gpus.busy_hours(prompt, completion))
    return msgspec.structs.replace(total, femtos=femtos), (prompt, completion)
