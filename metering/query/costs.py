"""Why a bill is that high: tokens × rate = amount, line by line, and what rounding made of it.

The usage of a query is grouped by whatever decides a call's rates; each group's counts are multiplied as the calls
were, in exact femto-dollars. docs/algorithms/cost-analysis.md has the rules and a worked example.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from core.money import FEMTOS_PER_NANO
from core.periods import Interval
from metering.events import BUCKETS, COMPLETION_BUCKETS, PROMPT_BUCKETS, UNITS, Usage
from metering.pricing.plan import Plan, Version, canonical_tier
from metering.pricing.rate import RateVector
from metering.pricing.versions import load_versions
from metering.query.labels import GroupValue
from metering.query.metrics import Figures
from metering.query.rate_parts import ABOVE, PRICE, TIER, TIME
from metering.query.run import UsageRow, run, scope_of
from metering.query.spec import UsageQuery
from metering.store.rates import LENGTHS

_MODEL = ("model", "provider")
_PARTS = (*_MODEL, PRICE, TIER, ABOVE)
_COUNTS = (*BUCKETS, *UNITS)
_DAY_SECONDS = 86_400
# Counted unit → what a rate calls it.
_UNIT_OF = {"media_ms": "media_hours"}


class CostLine(msgspec.Struct, frozen=True):
    """`count` units of one bucket at one rate; `count` × rate = `amount_femtos`.

    `state`: priced, free, unpriced (no amount), or included (counted, and paid for by the call's other lines).
    `tier` "" is the ordinary one, `above_tokens` and `hours` the context length and the daily window (UTC) of the rate.
    Counts of media_hours and gpu_hours are milliseconds.
    """

    model: GroupValue
    provider: GroupValue
    version: Version | None
    tier: str
    above_tokens: int
    hours: tuple[dt.time, dt.time] | None
    bucket: str
    charged_as: str
    count: int
    femtos_per_unit: int | None
    amount_femtos: int | None
    note: str
    state: str

    @property
    def kind(self) -> str:
        if self.bucket in PROMPT_BUCKETS:
            return "input"
        return "output" if self.bucket in COMPLETION_BUCKETS else "tools"


class ModelCosts(msgspec.Struct, frozen=True):
    """One model of one provider: its lines, and the sums they belong to."""

    model: GroupValue
    provider: GroupValue
    figures: Figures
    lines: tuple[CostLine, ...]

    @property
    def rounding_femtos(self) -> int:
        """What rounding each call's cost to whole nano-dollars added to the lines, or took from them."""
        return rounding(self.figures, self.lines)


class CostAnalysis(msgspec.Struct, frozen=True):
    """`models`, the most expensive first. The lines and `rounding_femtos` sum to the total cost, exactly."""

    models: tuple[ModelCosts, ...]
    totals: Figures

    @property
    def lines(self) -> list[CostLine]:
        return [line for model in self.models for line in model.lines]

    @property
    def rounding_femtos(self) -> int:
        return rounding(self.totals, self.lines)


def rounding(figures: Figures, lines: Iterable[CostLine]) -> int:
    return figures.known_cost_nanos * FEMTOS_PER_NANO - sum(line.amount_femtos or 0 for line in lines)


def analyze_costs(query: UsageQuery) -> CostAnalysis:
    """The lines of a query's usage; its groups, interval and order are of no matter."""
    with scope_of(query.organization_id):
        rows, versions = rows_by_rates(query)
    return CostAnalysis(costs_by_model(rows, versions), sum((row.figures for row in rows), Figures()))


def rows_by_rates(
    query: UsageQuery, by: tuple[str, ...] = (), interval: Interval | None = None
) -> tuple[list[UsageRow], dict[int, Version]]:
    """A query's usage by all that decides a call's rates, and the versions of prices in it. Needs a scope.

    `by` has more dimensions to tell apart, `interval` buckets of time.
    """
    base = msgspec.structs.replace(
        query, interval=interval, group_by=(*by, *_PARTS), order_by=(), limit=None, cursor=None, lengths=LENGTHS,
        times=(),
    )  # fmt: skip
    rows = run(base).rows
    versions = load_versions(ref for row in rows if (ref := _ref(row, PRICE)))
    return _by_own_limits(base, rows, versions), versions


def costs_by_model(rows: Iterable[UsageRow], versions: Mapping[int, Version]) -> tuple[ModelCosts, ...]:
    """Rows grouped by all that decides a call's rates, as lines of each model; the most expensive first."""
    found: dict[tuple[int, int], list[UsageRow]] = {}
    for row in rows:
        found.setdefault((_ref(row, "model"), _ref(row, "provider")), []).append(row)
    models = [_model(group, versions) for group in found.values()]
    models.sort(key=lambda one: (-one.figures.known_cost_nanos, -one.figures.total_tokens, _ref_of(one.model)))
    return tuple(models)


def usage_of(figures: Figures) -> Usage:
    """The counts of several calls as if they were one."""
    return Usage(**{name: getattr(figures, name) for name in _COUNTS})


def _ref(row: UsageRow, name: str) -> int:
    return _ref_of(row.group[name])


def _ref_of(value: GroupValue) -> int:
    return value.ref if isinstance(value.ref, int) else 0


# ── Prices with limits of their own ──


def _by_own_limits(query: UsageQuery, rows: list[UsageRow], versions: Mapping[int, Version]) -> list[UsageRow]:
    """Rows of prices by the hour of the day, or with unusual lengths, are asked for again by exactly these limits."""
    unusual = {
        version.id: version
        for version in versions.values()
        if any(not rate.is_all_day or rate.above_tokens not in (0, *LENGTHS) for rate in version.rates)
    }
    if not unusual:
        return rows
    lengths, times = limits_of(unusual.values())
    again = msgspec.structs.replace(
        query,
        group_by=(*query.group_by, TIME),
        filters={**query.filters, PRICE: tuple(unusual)},
        lengths=lengths,
        times=times,
    )
    return [row for row in rows if _ref(row, PRICE) not in unusual] + run(again).rows


def limits_of(versions: Iterable[Version]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where rates of these versions change: by the length of the prompt, and by the second of the day."""
    rates = [rate for version in versions for rate in version.rates]
    edges = {edge for rate in rates if not rate.is_all_day for edge in (rate.starts_at, rate.ends_at)}
    lengths = sorted({*LENGTHS, *(rate.above_tokens for rate in rates)} - {0})
    return tuple(lengths), tuple(sorted(map(_second, edges)))


def _second(time: dt.time) -> int:
    return time.hour * 3600 + time.minute * 60 + time.second


# ── Lines ──


def _model(rows: list[UsageRow], versions: Mapping[int, Version]) -> ModelCosts:
    lines: dict[tuple[object, ...], CostLine] = {}
    for row in rows:
        for line in lines_of(row, versions.get(_ref(row, PRICE))):
            key = (
                line.version.id if line.version else 0, line.tier, line.above_tokens, line.hours, line.bucket,
                line.charged_as, line.femtos_per_unit, line.state,
            )  # fmt: skip
            same = lines.get(key)
            lines[key] = line if same is None else _together(same, line)
    figures = sum((row.figures for row in rows), Figures())
    return ModelCosts(
        rows[0].group["model"], rows[0].group["provider"], figures, tuple(sorted(lines.values(), key=_order))
    )


def _together(one: CostLine, other: CostLine) -> CostLine:
    amount = None if one.amount_femtos is None else one.amount_femtos + (other.amount_femtos or 0)
    return msgspec.structs.replace(one, count=one.count + other.count, amount_femtos=amount)


_PLACE = {name: place for place, name in enumerate((*PROMPT_BUCKETS, *COMPLETION_BUCKETS))}


def _order(line: CostLine) -> tuple[object, ...]:
    since = line.version.valid_from.timestamp() if line.version else float("inf")
    place = _PLACE.get(line.bucket, len(_PLACE))
    hours = line.hours[0].isoformat() if line.hours else ""
    return (place, line.bucket, since, line.tier, line.above_tokens, hours, line.state)


def lines_of(row: UsageRow, version: Version | None) -> list[CostLine]:
    """What is counted of calls that were charged at the same rates, each count with its rate."""
    usage = usage_of(row.figures)
    if version is None:
        return [_uncharged(row, None, None, name, count, "unpriced") for name, count in _counted(usage)]
    if version.is_free:
        return [_uncharged(row, version, None, name, count, "free") for name, count in _counted(usage)]
    vector = vector_of(row, version)
    if vector is None:
        return [_uncharged(row, version, None, name, count, "unpriced") for name, count in _counted(usage)]
    charged = vector.charges(usage, row.figures.duration_ms, row.figures.requests)
    lines = [
        msgspec.structs.replace(
            _uncharged(row, version, vector, charge.bucket, charge.count, "priced"),
            charged_as=charge.charged_as,
            femtos_per_unit=charge.femtos_per_unit,
            amount_femtos=charge.amount_femtos,
            note=charge.note,
        )
        for charge in charged
    ]
    named = {charge.bucket for charge in charged}
    return lines + [
        _uncharged(row, version, vector, name, count, "included")
        for name, count in _counted(usage)
        if name not in named
    ]


def _counted(usage: Usage) -> list[tuple[str, int]]:
    return [(_UNIT_OF.get(name, name), count) for name in _COUNTS if (count := getattr(usage, name))]


def _uncharged(
    row: UsageRow, version: Version | None, vector: RateVector | None, bucket: str, count: int, state: str
) -> CostLine:
    tier = row.group[TIER].ref
    return CostLine(
        model=row.group["model"],
        provider=row.group["provider"],
        version=version,
        tier=canonical_tier(tier if isinstance(tier, str) else None),
        above_tokens=vector.above_tokens if vector else 0,
        hours=_window(row, version) if version else None,
        bucket=bucket,
        charged_as=bucket,
        count=count,
        femtos_per_unit=0 if state == "free" else None,
        amount_femtos=None if state == "unpriced" else 0,
        note="",
        state=state,
    )


def _time(row: UsageRow) -> dt.time:
    second = _ref(row, TIME) if TIME in row.group else 0
    return dt.time(second // 3600, second % 3600 // 60, second % 60)


def _window(row: UsageRow, version: Version) -> tuple[dt.time, dt.time] | None:
    """The daily window whose rates hold at the row's time, if it is not the whole day."""
    bounds = {(rate.starts_at, rate.ends_at) for rate in version.rates if not rate.is_all_day}
    at = _second(_time(row))
    for starts, ends in sorted(bounds):
        since, length = (at - _second(starts)) % _DAY_SECONDS, (_second(ends) - _second(starts)) % _DAY_SECONDS
        if since < length:
            return starts, ends
    return None


def vector_of(row: UsageRow, version: Version) -> RateVector | None:
    """The rates of any call of the row: they are the same for all of them."""
    above, tier = _ref(row, ABOVE), row.group[TIER].ref
    at = dt.datetime.combine(dt.date(2000, 1, 1), _time(row), dt.UTC)
    longer = Usage(input=above + 1 if above else 0)
    return Plan(version, "").vector(longer, at, tier if isinstance(tier, str) else None)
