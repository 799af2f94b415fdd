"""Whose usage is forecast, and what each of them used day by day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec

from accounts.models import Organization
from billing.budgets.actuals import by_time
from billing.models import Budget
from billing.periods import Period
from core.periods import day_start, local_day
from metering.dimensions import DIMENSIONS
from metering.models import LimitUnit
from metering.query.labels import GroupValue, name_refs
from metering.query.metrics import Figures
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.models import ForecastMeasure, ForecastScope

# A season of the year shows in two years; the rest is for the trials that say whether it does.
HISTORY_DAYS = 820
# Of each scope, the most expensive ones of the last two months.
RECENT_DAYS = 60
MOST: dict[str, int] = {ForecastScope.TEAM: 100, ForecastScope.PROJECT: 20, ForecastScope.MODEL: 20}
# What people are told of without asking: the teams that cost most. A night has all organizations to do.
NIGHTLY_TEAMS = 10
_DAY = dt.timedelta(days=1)


class Subject(msgspec.Struct, frozen=True, order=True):
    """`scope` is the organization, a dimension of usage, or a budget.

    `ref` is an entity's id or a text's label; 0 is the organization, or usage without a value of the dimension.
    """

    scope: str = ForecastScope.ORGANIZATION.value
    ref: int = 0

    @property
    def filters(self) -> dict[str, tuple[int, ...]]:
        """Its usage as a query's filters."""
        return {self.scope: (self.ref,)} if self.scope in DIMENSIONS else {}


WHOLE = Subject()


class History(msgspec.Struct, frozen=True):
    """Whole days from `first` on, none left out, up to yesterday."""

    first: dt.date
    days: tuple[Figures, ...]

    def of(self, measure: str) -> list[int]:
        return [value_of(figures, measure) for figures in self.days]


class Largest(msgspec.Struct, frozen=True):
    """The most expensive of a scope lately, and whether there are more."""

    subjects: tuple[Subject, ...]
    names: dict[int, GroupValue]
    is_cut: bool


def value_of(figures: Figures, measure: str) -> int:
    """Tokens, or the nano-dollars of what has a price."""
    return figures.known_cost_nanos if measure == ForecastMeasure.COST else figures.total_tokens


def subject_of(budget: Budget) -> Subject:
    """Whose forecast a budget's is: a team's of all its usage is the team's."""
    if budget.model or budget.feature or budget.scope not in (ForecastScope.ORGANIZATION.value, *DIMENSIONS):
        return Subject(ForecastScope.BUDGET.value, budget.pk)
    return Subject(str(budget.scope), budget.ref)


def measure_of(unit: str) -> str:
    """A limit's unit as a measure."""
    return (ForecastMeasure.COST if unit == LimitUnit.COST else ForecastMeasure.TOKENS).value


def name_of(organization: Organization, subject: Subject) -> GroupValue:
    """`label` None: deleted since, or usage without one. Needs the organization's scope."""
    if subject.scope not in DIMENSIONS:
        return GroupValue(0, None, organization.name)
    return name_refs(organization.pk, {subject.scope: [subject.ref]})[subject.scope][subject.ref]


def largest(organization: Organization, scope: str, at: dt.datetime) -> Largest:
    """The first of `MOST` of a scope, by what they cost in the last two months."""
    zone, most = organization.zone, MOST[scope]
    today = local_day(at, zone)
    rows = run(
        UsageQuery(
            organization.pk,
            day_start(today - RECENT_DAYS * _DAY, zone),
            day_start(today + _DAY, zone),
            zone,
            group_by=(scope,),
            order_by=("-cost_usd", "-total_tokens"),
            limit=most + 1,
        )
    ).rows
    names = {ref: row.group[scope] for row in rows[:most] if isinstance(ref := row.group[scope].ref, int)}
    return Largest(tuple(Subject(scope, ref) for ref in names), names, len(rows) > most)


def nightly(organization: Organization, at: dt.datetime) -> dict[Subject, list[str]]:
    """Who is forecast every night, and in what: the organization in both measures, the most expensive teams in money,
    and whatever has a budget in the budget's unit. Needs the organization's scope.

    Whoever else is looked at is forecast then.
    """
    found = {WHOLE: list(ForecastMeasure.values)}
    for subject in largest(organization, ForecastScope.TEAM.value, at).subjects[:NIGHTLY_TEAMS]:
        found[subject] = [ForecastMeasure.COST.value]
    for budget in Budget.objects.filter(archived_at=None).order_by("pk"):
        measures, measure = found.setdefault(subject_of(budget), []), measure_of(budget.unit)
        if measure not in measures:
            measures.append(measure)
    return found


def histories(organization: Organization, subjects: Iterable[Subject], today: dt.date) -> dict[Subject, History]:
    """What each used on every day before today; one question a scope. Needs the organization's scope."""
    by_scope: dict[str, list[int]] = {}
    for subject in subjects:
        by_scope.setdefault(subject.scope, []).append(subject.ref)
    found: dict[Subject, History] = {}
    for scope, refs in by_scope.items():
        days = (
            _of_budgets(organization, refs, today)
            if scope == ForecastScope.BUDGET
            else _of(organization, scope, refs, today)
        )
        for ref in refs:
            found[Subject(scope, ref)] = _whole(days.get(ref, {}), today)
    return found


_Days = dict[int, dict[dt.date, Figures]]


def _of(organization: Organization, scope: str, refs: Sequence[int], today: dt.date) -> _Days:
    zone = organization.zone
    is_whole = scope == ForecastScope.ORGANIZATION
    rows = run(
        UsageQuery(
            organization.pk,
            day_start(today - HISTORY_DAYS * _DAY, zone),
            day_start(today, zone),
            zone,
            interval="day",
            group_by=() if is_whole else (scope,),
            filters={} if is_whole else {scope: tuple(refs)},
            order_by=("start",),
        )
    ).rows
    found: _Days = {}
    for row in rows:
        ref = 0 if is_whole else row.group[scope].ref
        if isinstance(ref, int):
            found.setdefault(ref, {})[local_day(row.start, zone)] = row.figures
    return found


def _of_budgets(organization: Organization, refs: Sequence[int], today: dt.date) -> _Days:
    """Of budgets that no single dimension tells apart, each has its own filters."""
    span = Period(today - HISTORY_DAYS * _DAY, today)
    return {
        budget.pk: {
            local_day(row.start, organization.zone): row.figures
            for row in by_time(organization, budget, span, "day").rows
        }
        for budget in Budget.objects.filter(pk__in=refs)
    }


def _whole(days: dict[dt.date, Figures], today: dt.date) -> History:
    """From the first day with usage; days without any are days, too."""
    first = min((day for day, figures in days.items() if figures.requests), default=today)
    nothing = Figures()
    return History(first, tuple(days.get(first + n * _DAY, nothing) for n in range((today - first).days)))
