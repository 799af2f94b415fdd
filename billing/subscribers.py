"""Everybody who is on a plan, read at once, for the operator's pages."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable

import msgspec

from accounts.models import Organization
from billing.contracts import Contract
from billing.models import PlanVersion, Subscription, SubscriptionChange
from billing.periods import Period
from billing.plans import DEFAULT_PLAN
from billing.timeline import Decision
from core.tenancy import unscoped


class Subscriber(msgspec.Struct, frozen=True):
    organization: Organization
    contract: Contract
    started_on: dt.date


class Touched(msgspec.Struct, frozen=True):
    """Somebody whom a new version of a plan concerns: from which day on, and what they have until then.

    `before` is None where they are to begin on the plan with it.
    """

    organization: Organization
    begins_on: dt.date
    before: PlanVersion | None


def subscribers() -> list[Subscriber]:
    """Every organization with a subscription, by name: as many queries, however many there are."""
    with unscoped("the operator's pages are about every subscription"):
        rows = list(Subscription.objects.select_related("organization").order_by("organization__name", "pk"))
        decisions: dict[int, list[Decision]] = {}
        for one in SubscriptionChange.objects.select_related("plan").order_by("number"):
            decision = Decision(one.number, one.effective_on, one.plan.code, one.is_trial)
            decisions.setdefault(one.organization_id, []).append(decision)
    versions: dict[str, list[PlanVersion]] = {}
    for version in PlanVersion.objects.select_related("plan").order_by("effective_on", "number"):
        versions.setdefault(version.plan.code, []).append(version)
    return [
        Subscriber(
            row.organization,
            Contract(
                row.organization_id,
                row.organization.zone,
                row.anchor_day,
                tuple(decisions.get(row.organization_id, ())),
                versions,
            ),
            row.started_on,
        )
        for row in rows
    ]


def touched_by(draft: PlanVersion, everybody: Iterable[Subscriber]) -> list[Touched]:
    """Whom a version that is not stored yet will concern, the first ones first."""
    found = []
    for one in everybody:
        begins_on = one.contract.with_version(draft).first_day_of(draft)
        if begins_on is not None:
            before = one.contract.version_on(begins_on - dt.timedelta(days=1))
            is_theirs = before is not None and before.plan_id == draft.plan_id
            found.append(Touched(one.organization, begins_on, before if is_theirs else None))
    return sorted(found, key=lambda one: one.begins_on)


class SubscriptionState(enum.StrEnum):
    TRIAL = "trial"
    ACTIVE = "active"
    # Another plan is decided upon, and begins later.
    CHANGING = "changing"
    # The default plan comes next: it was canceled.
    LEAVING = "leaving"


class Present(msgspec.Struct, frozen=True):
    """How a subscription stands on the organization's own today.

    `following` is the plan that comes next, with its first day. `fee_nanos` is what a whole period of now costs: 0 in a
    trial.
    """

    version: PlanVersion
    state: SubscriptionState
    period: Period
    following: tuple[dt.date, PlanVersion] | None
    fee_nanos: int


def present_of(contract: Contract, at: dt.datetime) -> Present | None:
    """None on a day before the first decision's."""
    today = contract.today(at)
    version = contract.version_on(today)
    if version is None:
        return None
    trial_ends_on = contract.trial_ends_on(today)
    following = _following(contract, today)
    if following is not None and following[1].plan_id != version.plan_id:
        state = SubscriptionState.LEAVING if following[1].plan.code == DEFAULT_PLAN else SubscriptionState.CHANGING
    else:
        state = SubscriptionState.ACTIVE if trial_ends_on is None else SubscriptionState.TRIAL
    fee = 0 if trial_ends_on is not None else version.base_fee_nanos
    return Present(version, state, contract.period(today), following, fee)


def _following(contract: Contract, today: dt.date) -> tuple[dt.date, PlanVersion] | None:
    decision = contract.next_change(today)
    version = contract.version_on(decision.effective_on) if decision is not None else None
    return (decision.effective_on, version) if decision is not None and version is not None else None
