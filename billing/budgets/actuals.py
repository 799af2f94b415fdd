"""Budgets against what was used: as many questions as there are kinds of budget and periods, however many budgets.

The figures are the query's, as on every page. Money counts what has a price; how much has none is told beside it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec

from accounts.models import Organization
from billing.budgets.spans import span_of
from billing.models import Budget, BudgetScope
from billing.periods import Period
from core.periods import Interval, day_start
from core.tenancy import organization_scope
from metering.models import LimitUnit
from metering.query.labels import name_refs
from metering.query.metrics import Figures
from metering.query.run import UsageResult, run
from metering.query.spec import UsageQuery

# Values of the dimensions a budget names, in the order of `_dimensions`.
_Key = tuple[int | str, ...]


class Actual(msgspec.Struct, frozen=True):
    """A budget in one of its periods. `label` says whose it is; None when that was deleted. `key` is its name in
    addresses, "" for the organization.

    Parts are exact: of 1, and above it where more was used.
    """

    budget: Budget
    span: Period
    label: str | None
    key: str
    figures: Figures
    # How much of the period has passed, by time.
    passed: Fraction

    @property
    def used(self) -> int:
        """In the budget's unit."""
        return self.figures.known_cost_nanos if self.budget.unit == LimitUnit.COST else self.figures.total_tokens

    @property
    def remaining(self) -> int:
        return max(0, self.budget.amount - self.used)

    @property
    def used_part(self) -> Fraction:
        return Fraction(self.used, self.budget.amount)

    @property
    def pace(self) -> Fraction | None:
        """What would be used of the amount by the period's end, going on as so far; None before it has begun."""
        return self.used_part / self.passed if self.passed else None

    @property
    def runs_out_on(self) -> dt.date | None:
        """The day the amount is used up at that pace; None where it lasts for the period. One that is over is past."""
        pace = self.pace
        if pace is None or pace <= 1:
            return None
        # At `pace` times the amount over the whole period, all of it is reached after 1 / pace of it.
        return self.span.starts_on + dt.timedelta(days=math.ceil(self.span.days / pace) - 1)

    @property
    def status(self) -> str | None:
        """The name of the highest threshold that is reached; None below all of them."""
        reached = [one["name"] for one in self.budget.thresholds if self.used_part * 100 >= one["percent"]]
        return reached[-1] if reached else None

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.budget.amount


def actuals(organization: Organization, budgets: Sequence[Budget], at: dt.datetime) -> list[Actual]:
    """Each budget with what is used of it, in their order."""
    zone = organization.zone
    with organization_scope(organization.pk):
        names = _names(organization, budgets)
        spans = {budget.pk: span_of(budget, at, zone) for budget in budgets}
        asked: dict[tuple[Period, tuple[str, ...]], list[Budget]] = {}
        for budget in budgets:
            asked.setdefault((spans[budget.pk], _dimensions(budget)), []).append(budget)
        figures: dict[int, Figures] = {}
        for (span, dimensions), together in asked.items():
            found = _figures(organization, span, zone, dimensions, together)
            figures |= {budget.pk: found.get(_key(budget), Figures()) for budget in together}
    return [
        Actual(
            budget,
            spans[budget.pk],
            *names[(budget.scope, budget.ref)],
            figures[budget.pk],
            _passed(spans[budget.pk], at, zone),
        )
        for budget in budgets
    ]


def _dimensions(budget: Budget) -> tuple[str, ...]:
    scope = () if budget.scope == BudgetScope.ORGANIZATION else (str(budget.scope),)
    return (*scope, *(("model",) if budget.model else ()), *(("feature",) if budget.feature else ()))


def _key(budget: Budget) -> _Key:
    scope: _Key = () if budget.scope == BudgetScope.ORGANIZATION else (budget.ref,)
    return (*scope, *((budget.model,) if budget.model else ()), *((budget.feature,) if budget.feature else ()))


def _figures(
    organization: Organization, span: Period, zone: ZoneInfo, dimensions: tuple[str, ...], budgets: Sequence[Budget]
) -> dict[_Key, Figures]:
    keys = [_key(budget) for budget in budgets]
    result = run(
        UsageQuery(
            organization.pk,
            day_start(span.starts_on, zone),
            day_start(span.ends_on, zone),
            zone,
            group_by=dimensions,
            filters={name: tuple({key[place] for key in keys}) for place, name in enumerate(dimensions)},
        )
    )
    if not dimensions:
        return {(): result.totals}
    return {
        tuple(_value(name, row.group[name].ref, row.group[name].key) for name in dimensions): row.figures
        for row in result.rows
    }


def _value(dimension: str, ref: int | str | None, text: str | None) -> int | str:
    """As a budget names it: labels by their text, entities by their id."""
    return (text or "") if dimension in ("model", "feature") else (ref or 0)


def by_time(organization: Organization, budget: Budget, span: Period, interval: Interval) -> UsageResult:
    """What was used of a budget in one of its periods, bucket by bucket: their sum is the actual."""
    zone = organization.zone
    filters = dict(zip(_dimensions(budget), ((value,) for value in _key(budget)), strict=True))
    start, end = span.instants(zone)
    with organization_scope(organization.pk):
        return run(UsageQuery(organization.pk, start, end, zone, interval=interval, filters=filters))


def _names(organization: Organization, budgets: Sequence[Budget]) -> dict[tuple[str, int], tuple[str | None, str]]:
    refs: dict[str, set[int]] = {}
    for budget in budgets:
        if budget.scope != BudgetScope.ORGANIZATION:
            refs.setdefault(str(budget.scope), set()).add(budget.ref)
    named = name_refs(organization.pk, refs)
    found: dict[tuple[str, int], tuple[str | None, str]] = {
        (BudgetScope.ORGANIZATION.value, 0): (organization.name, "")
    }
    for scope, values in refs.items():
        for ref in values:
            name = named[scope][ref]
            found[(scope, ref)] = (name.label, name.key or str(ref))
    return found


def _passed(span: Period, at: dt.datetime, zone: ZoneInfo) -> Fraction:
    start, end = span.instants(zone)
    micro = dt.timedelta(microseconds=1)
    return min(Fraction(1), max(Fraction(0), Fraction((at - start) // micro, (end - start) // micro)))
