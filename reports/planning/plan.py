"""From forecast to proposed budgets: one row a team, one for usage without any, one for the whole organization."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from accounts.models import Organization, Team
from billing.budgets.reach import Reach
from billing.budgets.records import open_budgets
from billing.budgets.suggestions import rounded_up
from billing.models import Budget, BudgetPeriod, BudgetScope
from billing.periods import Period
from core.errors import ApiError
from core.periods import local_day, month_start, next_month
from metering.models import LimitUnit
from metering.pricing.book import PriceBook
from metering.query.comparison import Replay, Target, find_target
from reports.forecasting.horizons import Horizon
from reports.forecasting.outlook import Band
from reports.forecasting.records import Kept, fresh
from reports.forecasting.subjects import WHOLE, Subject, largest
from reports.models import ForecastMeasure, ForecastScope
from reports.planning.scenario import Scenario
from reports.planning.whatif import Base, Costs, base, scaled, whole_nanos

_COST = ForecastMeasure.COST.value
_TEAM = ForecastScope.TEAM.value


class Row(msgspec.Struct, frozen=True):
    """Nano-dollars. `forecast` is of the next days as they come, `planned` the same with the scenario; None: too little
    history. `proposed` is a monthly budget; None where there is no forecast, or nobody to set one for. `current` is the
    tightest monthly budget in money of all this usage.
    """

    subject: Subject
    label: str
    actual: int
    forecast: Band | None
    planned: Band | None
    proposed: int | None
    current: Budget | None
    may_set: bool
    # How good totals of as many days were; None where nothing was tried.
    horizon: Horizon | None = None

    @property
    def of(self) -> str:
        """As forms name whose budget it is."""
        return f"{self.subject.scope}:{self.subject.ref}"


class Effect(msgspec.Struct, frozen=True):
    """What one change would have made of last month's cost, after those before it."""

    label: str
    nanos: int


class Problem(msgspec.Struct, frozen=True):
    """A part of the scenario that changes nothing, and why, for people."""

    fact: str
    text: str


class Plan(msgspec.Struct, frozen=True):
    """`whole` is None for who sees some teams only. The rows' `actual` sum to `actual`, which is the whole's."""

    scenario: Scenario
    month: Period
    first_day: dt.date
    days: int
    rows: tuple[Row, ...]
    whole: Row | None
    actual: int
    effects: tuple[Effect, ...]
    replay: Replay
    target: Target | None
    problems: tuple[Problem, ...]
    models: tuple[str, ...]
    providers: tuple[str, ...]
    unpriced_tokens: int


def make_plan(
    organization: Organization, scenario: Scenario, at: dt.datetime, reach: Reach, teams: Sequence[int] | None
) -> Plan:
    """`teams` are all that may be seen; None is everybody. Needs the organization's scope."""
    today = local_day(at, organization.zone)
    month = Period(month_start(month_start(today) - dt.timedelta(days=1)), month_start(today))
    days = (next_month(next_month(today)) - next_month(today)).days
    target, problem = _target(organization, scenario, at)
    used = base(organization, month, scenario, target, teams)
    subjects = _subjects(organization, used, at, teams)
    asked = [*subjects, *([WHOLE] if teams is None else [])]
    kept = fresh(organization, [(subject, _COST) for subject in asked], at)
    budgets = plain_budgets(reach)
    names = dict(Team.objects.filter(pk__in=[one.ref for one in subjects]).values_list("pk", "name"))
    rows = []
    for subject in subjects:
        label = names.get(subject.ref, "deleted team") if subject.ref else "No team"
        costs = used.teams.get(subject.ref, Costs())
        is_there = subject.ref in names
        rows.append(
            _row(subject, label, costs, kept[subject, _COST], days, scenario, budgets, reach, is_there=is_there)
        )
    whole = None
    if teams is None:
        whole = _row(
            WHOLE, organization.name, used.whole, kept[WHOLE, _COST], days, scenario, budgets, reach, is_there=True
        )
    return Plan(
        scenario,
        month,
        today,
        days,
        tuple(sorted(rows, key=lambda row: (-(row.planned.high if row.planned else 0), -row.actual, row.label))),
        whole,
        whole_nanos(used.whole.actual),
        _effects(used.whole, scenario),
        used.whole.replay,
        target,
        _problems(scenario, month, used, target, problem),
        used.models,
        used.providers,
        used.figures.unpriced_tokens,
    )


def _target(organization: Organization, scenario: Scenario, at: dt.datetime) -> tuple[Target | None, str]:
    """What is switched to, or why it cannot be."""
    if not scenario.is_switch:
        return None, ""
    try:
        return find_target(PriceBook.load(), organization.pk, scenario.to, at), ""
    except ApiError as error:
        return None, error.message


def _problems(
    scenario: Scenario, month: Period, used: Base, target: Target | None, unknown: str
) -> tuple[Problem, ...]:
    """What of a scenario is about no call of the month."""
    found, of_month = [], f"{month.starts_on:%B}"
    is_used = scenario.model in used.models
    if scenario.is_switch and not is_used:
        unknown = f"No call of {of_month} was made to a model {scenario.model}."
    if unknown:
        found.append(Problem("The switch is not counted.", unknown))
    concerned: list[tuple[str | None, str | None]] = [(model, None) for model in used.models]
    concerned += [(None, provider) for provider in used.providers]
    if target is not None and is_used:
        concerned.append((target.version.model, target.version.provider))
    if scenario.is_repriced and not any(scenario.concerns(*one) for one in concerned):
        name = scenario.price.partition(":")[2]
        found.append(Problem("The price is not counted.", f"No call of {of_month} was made to {name}."))
    return tuple(found)


def _subjects(organization: Organization, used: Base, at: dt.datetime, teams: Sequence[int] | None) -> list[Subject]:
    """Teams with usage last month or since."""
    lately = {subject.ref for subject in largest(organization, _TEAM, at).subjects}
    return [Subject(_TEAM, ref) for ref in sorted({*used.teams, *lately}) if teams is None or ref in teams]


def plain_budgets(reach: Reach) -> dict[Subject, Budget]:
    """The tightest monthly one in money of each scope's whole usage."""
    found: dict[Subject, Budget] = {}
    for budget in open_budgets(reach):
        is_plain = not budget.model and not budget.feature and budget.period == BudgetPeriod.MONTH
        if (
            not is_plain
            or budget.unit != LimitUnit.COST
            or budget.scope not in (BudgetScope.ORGANIZATION, BudgetScope.TEAM)
        ):
            continue
        subject = Subject(str(budget.scope), budget.ref)
        if subject not in found or budget.amount < found[subject].amount:
            found[subject] = budget
    return found


def _row(
    subject: Subject,
    label: str,
    costs: Costs,
    kept: Kept,
    days: int,
    scenario: Scenario,
    budgets: dict[Subject, Budget],
    reach: Reach,
    *,
    is_there: bool,
) -> Row:
    forecast = None if kept.outlook is None else kept.outlook.totals[min(days, len(kept.outlook.totals)) - 1]
    planned = None
    if forecast is not None:
        planned = Band(*(scaled(end, costs, scenario) for end in msgspec.structs.astuple(forecast)))
    return Row(
        subject,
        label,
        whole_nanos(costs.actual),
        forecast,
        planned,
        None if planned is None or not is_there else propose(planned, scenario),
        budgets.get(subject),
        is_there and reach.may_set(subject.scope, subject.ref),
        kept.horizons[days - 1] if days <= len(kept.horizons) else None,
    )


def propose(planned: Band, scenario: Scenario) -> int:
    """The chosen end of the range and the headroom, rounded up to two digits of dollars, one dollar at least."""
    wanted = getattr(planned, scenario.end) * (100 + scenario.headroom)
    return rounded_up(-(-wanted // 100))


def _effects(whole: Costs, scenario: Scenario) -> tuple[Effect, ...]:
    """One after the other, each of the month as the ones before leave it; they sum to the whole change."""
    found = []
    if scenario.is_switch:
        found.append(Effect("switch", whole_nanos(whole.switched) - whole_nanos(whole.actual)))
    if scenario.is_repriced:
        found.append(Effect("price", whole_nanos(whole.repriced) - whole_nanos(whole.switched)))
    if scenario.growth:
        grown = whole.repriced * (100 + scenario.growth) / 100
        found.append(Effect("growth", whole_nanos(grown) - whole_nanos(whole.repriced)))
    return tuple(found)
