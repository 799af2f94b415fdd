"""The day the plan's allowance, the credits and each budget are used up: docs/algorithms/planning.md."""

from __future__ import annotations

import datetime as dt
import enum

import msgspec

from accounts.models import Organization
from billing.budgets.actuals import Actual, actuals
from billing.budgets.reach import Reach
from billing.budgets.records import open_budgets
from billing.budgets.spans import is_running
from billing.models import Budget
from metering.limits.standing import Standing, of_organization
from metering.models import LimitKind
from reports.bounds import is_plain_allowance
from reports.forecasting.ahead import Ahead, Elapsed, RunsOut
from reports.forecasting.records import Kept, fresh
from reports.forecasting.subjects import WHOLE, Subject, measure_of, name_of, subject_of
from reports.models import ForecastScope


class State(enum.StrEnum):
    USED_UP = "used_up"
    # With more than half of the probability within the period
    LIKELY = "likely"
    # Only if it goes as the high end of the forecast says
    POSSIBLE = "possible"
    LASTS = "lasts"
    # The period goes on after the last day that is forecast, until which it lasts.
    BEYOND = "beyond"
    TOO_LITTLE_HISTORY = "too_little_history"


class Exhaustion(msgspec.Struct, frozen=True):
    """An amount for a period [starts_on, ends_on), in tokens or nano-dollars, and when it is used up.

    `ends_on` is None for credits, which have no period. `runs_out` has days within the period only.
    """

    kind: str
    label: str
    subject: Subject
    measure: str
    amount: int
    used: int
    starts_on: dt.date
    ends_on: dt.date | None
    runs_out: RunsOut
    state: State
    budget: Budget | None = None


def exhaustions(
    organization: Organization, subject: Subject, at: dt.datetime, *, reach: Reach, with_credits: bool
) -> list[Exhaustion]:
    """What bounds this usage and may be seen, what is used up the soonest first. Needs the organization's scope."""
    found = _limits(organization, at, with_credits=with_credits) if subject == WHOLE else []
    budgets = [budget for budget in open_budgets(reach) if is_running(budget, at, organization.zone)]
    # The organization's page has all of them.
    if subject != WHOLE:
        model = name_of(organization, subject).label if subject.scope == ForecastScope.MODEL else None
        budgets = [budget for budget in budgets if _is_about(budget, subject, model)]
    found += [_of_budget(one) for one in actuals(organization, budgets, at)]
    return _all_judged(organization, found, at)


def exhaustion_of(organization: Organization, actual: Actual, at: dt.datetime) -> Exhaustion:
    """The same of one budget, in the period that is running. Needs the organization's scope."""
    (found,) = _all_judged(organization, [_of_budget(actual)], at)
    return found


def _all_judged(organization: Organization, found: list[Exhaustion], at: dt.datetime) -> list[Exhaustion]:
    kept = fresh(organization, [(bound.subject, bound.measure) for bound in found], at)
    elapsed = Elapsed.of(at, organization.zone)
    return sorted((_judged(bound, kept[bound.subject, bound.measure], elapsed) for bound in found), key=_urgency)


# ── What there is ──

_UNJUDGED = RunsOut(None, None, None)


def _limits(organization: Organization, at: dt.datetime, *, with_credits: bool) -> list[Exhaustion]:
    found = of_organization(
        organization.pk,
        at,
        lambda rule: is_plain_allowance(rule) or (with_credits and rule.kind == LimitKind.CREDITS),
    )
    return [_of_limit(one) for one in found if one.amount]


def _of_limit(one: Standing) -> Exhaustion:
    rule, measure = one.rule, measure_of(one.rule.unit)
    return Exhaustion(
        str(rule.kind), rule.label, WHOLE, measure, one.amount or 0, one.counted, one.span.starts_on, one.span.ends_on,
        _UNJUDGED, State.LASTS,
    )  # fmt: skip


def _of_budget(one: Actual) -> Exhaustion:
    budget, measure = one.budget, measure_of(one.budget.unit)
    narrowed = [text for text in (budget.model, budget.feature) if text]
    label = budget.name or " · ".join([one.label or "deleted", *narrowed])
    return Exhaustion(
        LimitKind.BUDGET.value, label, subject_of(budget), measure, budget.amount, one.used,
        one.span.starts_on, one.span.ends_on, _UNJUDGED, State.LASTS, budget,
    )  # fmt: skip


def _is_about(budget: Budget, subject: Subject, model: str | None) -> bool:
    if subject.scope == ForecastScope.MODEL:
        return bool(model) and budget.scope == ForecastScope.ORGANIZATION and budget.model == model
    return (budget.scope, budget.ref) == (subject.scope, subject.ref) and subject.ref != 0


# ── When ──


def _judged(bound: Exhaustion, kept: Kept, elapsed: Elapsed) -> Exhaustion:
    if bound.used >= bound.amount:
        return msgspec.structs.replace(bound, state=State.USED_UP)
    if kept.outlook is None:
        return msgspec.structs.replace(bound, state=State.TOO_LITTLE_HISTORY)
    ahead = Ahead.of(kept.outlook, elapsed)
    runs_out = ahead.runs_out(bound.amount - bound.used).before(bound.ends_on)
    return msgspec.structs.replace(bound, runs_out=runs_out, state=_state(runs_out, bound.ends_on, ahead))


def _state(runs_out: RunsOut, ends_on: dt.date | None, ahead: Ahead) -> State:
    if runs_out.likely is not None:
        return State.LIKELY
    if runs_out.early is not None:
        return State.POSSIBLE
    return State.BEYOND if ends_on is None or ends_on > ahead.ends_on else State.LASTS


_ORDER = list(State)


def _urgency(bound: Exhaustion) -> tuple[int, dt.date, dt.date, str]:
    far = dt.date.max
    return _ORDER.index(bound.state), bound.runs_out.likely or far, bound.runs_out.early or far, bound.label
