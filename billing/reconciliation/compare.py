"""What a provider stated beside what the ledger holds. docs/algorithms/reconciliation.md has a worked example."""

from __future__ import annotations

import datetime as dt
import enum
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec

from billing.reconciliation.statement import DAY, Stated, Statement, covered, family
from core.money import NANOS_PER_USD
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import UsageQuery

# Below this much in tokens and money nothing is a difference: bills round their lines, clocks differ at midnight.
LEAST_TOKENS = 1_000
LEAST_NANOS = NANOS_PER_USD // 100


class Verdict(enum.StrEnum):
    AGREES = "agrees"
    DIFFERS = "differs"
    COST_WITHOUT_USAGE = "cost_without_usage"
    USAGE_WITHOUT_COST = "usage_without_cost"
    # The export spans a part of the day only, so there is nothing to judge.
    PARTIAL = "partial"


class Side(msgspec.Struct, frozen=True):
    """`None` is what a side does not know: an export of usage has no costs, an unpriced call none either."""

    requests: int | None = None
    tokens: int | None = None
    cost_nanos: int | None = None


class Compared(msgspec.Struct, frozen=True):
    """A model (its family; empty for what is none) on a UTC day."""

    day: dt.date
    model: str
    stated: Side
    ours: Side
    verdict: Verdict

    @property
    def tokens_difference(self) -> int | None:
        return _minus(self.stated.tokens, self.ours.tokens)

    @property
    def cost_difference(self) -> int | None:
        return _minus(self.stated.cost_nanos, self.ours.cost_nanos)


class Comparison(msgspec.Struct, frozen=True):
    """By day, then model. The tolerance is a share of the larger side."""

    provider: str
    first_day: dt.date
    last_day: dt.date
    tolerance: Fraction
    rows: tuple[Compared, ...]

    def total(self, side: str) -> Side:
        sides = [getattr(row, side) for row in self.rows]
        return Side(*(_sum([getattr(s, name) for s in sides]) for name in Side.__struct_fields__))

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict is verdict for row in self.rows)


def reconcile(organization_id: int, statement: Statement, tolerance: Fraction) -> Comparison:
    """Within the organization's scope; one query, whatever the export's size."""
    return compare(statement, ledger_of(organization_id, statement), tolerance)


def ledger_of(organization_id: int, statement: Statement) -> dict[tuple[dt.date, str], Figures]:
    """The ledger's figures of the statement's provider by UTC day and family of models."""
    start = dt.datetime.combine(statement.first_day, dt.time(), dt.UTC)
    end = dt.datetime.combine(statement.last_day + DAY, dt.time(), dt.UTC)
    query = UsageQuery(
        organization_id, start, end, ZoneInfo("UTC"), "day", ("model",), {"provider": (statement.provider,)}
    )
    found: dict[tuple[dt.date, str], Figures] = defaultdict(Figures)
    for row in run(query).rows:
        key = (row.start.astimezone(dt.UTC).date(), family(row.group["model"].label or ""))
        found[key] = found[key] + row.figures
    return dict(found)


def compare(statement: Statement, ledger: Mapping[tuple[dt.date, str], Figures], tolerance: Fraction) -> Comparison:
    stated = _stated(statement)
    spans = covered(statement.rows)
    rows = []
    for day, model in sorted(stated.keys() | {key for key, figures in ledger.items() if figures.requests}):
        theirs, figures = stated.get((day, model)), ledger.get((day, model), Figures())
        cost = (
            figures.known_cost_nanos if figures.requests > figures.unpriced_requests or not figures.requests else None
        )
        ours = Side(figures.requests, figures.total_tokens, cost)
        is_partial = spans.get(day, dt.timedelta()) < DAY
        verdict = Verdict.PARTIAL if is_partial else _verdict(statement, theirs, ours, tolerance)
        rows.append(Compared(day, model, theirs or _nothing(statement), ours, verdict))
    return Comparison(statement.provider, statement.first_day, statement.last_day, tolerance, tuple(rows))


def _stated(statement: Statement) -> dict[tuple[dt.date, str], Side]:
    parts: dict[tuple[dt.date, str], list[Stated]] = defaultdict(list)
    for row in statement.rows:
        parts[row.start.date(), family(row.model)].append(row)
    return {
        key: Side(
            _sum([row.requests for row in rows]),
            _sum([row.tokens for row in rows]),
            _sum([row.cost_nanos for row in rows]),
        )
        for key, rows in parts.items()
    }


def _nothing(statement: Statement) -> Side:
    """What it means that a whole day's export has no row of a model: zero of what the export speaks of."""
    return Side(None, 0 if statement.has_tokens else None, 0 if statement.has_costs else None)


def _verdict(statement: Statement, stated: Side | None, ours: Side, tolerance: Fraction) -> Verdict:
    theirs = stated or _nothing(statement)
    if not ours.requests and (theirs.cost_nanos or 0) > LEAST_NANOS:
        return Verdict.COST_WITHOUT_USAGE
    if statement.has_costs and not theirs.cost_nanos and (ours.cost_nanos or 0) > LEAST_NANOS:
        return Verdict.USAGE_WITHOUT_COST
    is_close = _is_close(theirs.tokens, ours.tokens, LEAST_TOKENS, tolerance) and _is_close(
        theirs.cost_nanos, ours.cost_nanos, LEAST_NANOS, tolerance
    )
    return Verdict.AGREES if is_close else Verdict.DIFFERS


def _is_close(theirs: int | None, ours: int | None, least: int, tolerance: Fraction) -> bool:
    if theirs is None:
        return True
    if ours is None:
        return abs(theirs) <= least
    return abs(theirs - ours) <= max(Fraction(least), tolerance * max(abs(theirs), abs(ours)))


def _minus(theirs: int | None, ours: int | None) -> int | None:
    return None if theirs is None or ours is None else theirs - ours


def _sum(parts: list[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
