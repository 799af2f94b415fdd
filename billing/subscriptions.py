"""Subscribing: start, trial, upgrade, downgrade, cancel, resume, a longer trial.

Each act adds a decision (billing/timeline.py) and pushes what follows from it to metering, in one transaction. What
gives an organization more happens today, in days of its zone; what gives it less when its period, paid for, is over.
"""

from __future__ import annotations

import datetime as dt
from functools import partial

import msgspec
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from billing.contracts import Contract
from billing.enforcement import enforce
from billing.models import ChangeKind, Overage, PlanVersion, Subscription, SubscriptionChange
from billing.plans import DEFAULT_PLAN, version_on
from billing.signals import plan_changed
from core.errors import ApiError
from core.periods import local_day
from core.tenancy import organization_scope

LONGEST_TRIAL = dt.timedelta(days=366)


class Trial(msgspec.Struct, frozen=True):
    """Days that are free; `ends_on` is the first that is charged."""

    starts_on: dt.date
    ends_on: dt.date

    @property
    def days(self) -> int:
        return (self.ends_on - self.starts_on).days


def start_subscription(
    organization: Organization,
    code: str = DEFAULT_PLAN,
    *,
    by: Actor,
    anchor_day: int = 1,
    with_trial: bool = False,
    at: dt.datetime | None = None,
) -> Contract:
    """Put an organization that has no plan on one, from today on.

    `anchor_day` is the day of the month its periods begin on. Raises ApiError 409 when it has a plan, 422 for a plan
    that is none or, `with_trial`, has none.
    """
    if not 1 <= anchor_day <= 31:
        raise ApiError(422, "invalid_parameter", "Periods begin on a day from 1 to 31.", param="anchor_day")
    at = at or now()
    today = local_day(at, organization.zone)
    version = version_on(code, today)
    trial = _trial(None, version, today) if with_trial else None
    with organization_scope(organization.pk):
        try:
            with transaction.atomic():
                Subscription.objects.create(organization=organization, anchor_day=anchor_day, started_on=today)
        except IntegrityError as error:
            raise ApiError(409, "subscribed", "This organization has a plan already. Change it.") from error
        if trial is not None:
            _begin(organization, version, trial, by, at)
        else:
            _decide(organization, ChangeKind.START, version, today, by, at)
        return _pushed(organization, at)


def change_plan(
    organization: Organization,
    code: str,
    *,
    by: Actor,
    is_agreed: bool = False,
    with_trial: bool = False,
    at: dt.datetime | None = None,
) -> Contract:
    """Move to another plan: today when it gives more, else when the period ends (or the trial).

    `is_agreed` opens plans that are not offered to everybody; `with_trial` begins it with the trial that is due. Raises
    ApiError 409 without a subscription or when there is nothing to change, 422 for a plan that is none, or no trial.
    """
    at = at or now()
    with organization_scope(organization.pk):
        contract = _locked(organization)
        today = contract.today(at)
        version = version_on(code, today)
        if not (version.is_offered or is_agreed):
            raise ApiError(422, "plan_not_offered", f"{version.name} is agreed upon with the operator.", param="plan")
        present = contract.version_on(today)
        if present is not None and present.plan_id == version.plan_id:
            if _scheduled(contract, today):
                raise ApiError(409, "change_scheduled", f"{version.name} is what you have. Resume it to keep it.")
            raise ApiError(409, "same_plan", f"{version.name} is what you have.", param="plan")
        trial_ends_on = contract.trial_ends_on(today)
        if with_trial:
            _begin(organization, version, _trial(contract, version, today), by, at)
        elif trial_ends_on is not None and version.overage == Overage.CHARGE:
            _decide(organization, _kind(present, version), version, today, by, at, is_trial=True)
            _decide(organization, ChangeKind.START, version, trial_ends_on, by, at)
        elif present is None or is_immediate(present, version):
            _decide(organization, ChangeKind.UPGRADE, version, today, by, at)
        else:
            ends_on = _paid_until(contract, today)
            then = contract.decision_on(ends_on)
            if then is not None and then.plan == version.plan.code:
                raise ApiError(409, "change_scheduled", f"{version.name} begins on {ends_on:%-d %B %Y} already.")
            _decide(organization, ChangeKind.DOWNGRADE, version, ends_on, by, at)
        return _pushed(organization, at)


def cancel(organization: Organization, *, by: Actor, at: dt.datetime | None = None) -> Contract:
    """Go back to the free plan when what is paid for is over. Raises ApiError 409 when that is decided already."""
    at = at or now()
    with organization_scope(organization.pk):
        contract = _locked(organization)
        today = contract.today(at)
        ends_on = _paid_until(contract, today)
        then = contract.decision_on(ends_on)
        if then is not None and then.plan == DEFAULT_PLAN:
            raise ApiError(409, "not_subscribed", "There is no paid plan to cancel.")
        _decide(organization, ChangeKind.CANCEL, version_on(DEFAULT_PLAN, today), ends_on, by, at)
        return _pushed(organization, at)


def resume(organization: Organization, *, by: Actor, at: dt.datetime | None = None) -> Contract:
    """Stay on the present plan after all. Raises ApiError 409 when nothing else was scheduled."""
    at = at or now()
    with organization_scope(organization.pk):
        contract = _locked(organization)
        today = contract.today(at)
        present = contract.version_on(today)
        if present is None or not _scheduled(contract, today):
            raise ApiError(409, "nothing_scheduled", "No change of plan is scheduled.")
        trial_ends_on = contract.trial_ends_on(today)
        _decide(organization, ChangeKind.RESUME, present, today, by, at, is_trial=trial_ends_on is not None)
        if trial_ends_on is not None:
            _decide(organization, ChangeKind.START, present, trial_ends_on, by, at)
        return _pushed(organization, at)


def extend_trial(organization: Organization, until: dt.date, *, by: Actor, at: dt.datetime | None = None) -> Contract:
    """The trial goes on until a later day (the first that is no trial); what was to follow it follows then.

    Raises ApiError 409 when there is no trial, 422 for a day that is not later than its end.
    """
    at = at or now()
    with organization_scope(organization.pk):
        contract = _locked(organization)
        today = contract.today(at)
        present, ends_on = contract.version_on(today), contract.trial_ends_on(today)
        if present is None or ends_on is None:
            raise ApiError(409, "no_trial", "This organization is in no trial.")
        if not ends_on < until <= today + LONGEST_TRIAL:
            raise ApiError(
                422, "invalid_date", f"The trial ends on {ends_on:%-d %B %Y}: extend it to a later day, within a year.",
                param="ends_on",
            )  # fmt: skip
        following = contract.version_on(ends_on)
        _decide(organization, ChangeKind.EXTEND, present, today, by, at, is_trial=True)
        if following is None or following.plan_id == present.plan_id:
            _decide(organization, ChangeKind.START, present, until, by, at)
        else:
            is_end = following.plan.code == DEFAULT_PLAN
            _decide(organization, ChangeKind.CANCEL if is_end else ChangeKind.DOWNGRADE, following, until, by, at)
        return _pushed(organization, at)


def trial_of(contract: Contract | None, version: PlanVersion, today: dt.date) -> Trial | None:
    """The trial that is due to whoever takes a plan today: with the first plan that has a fee, once. None: none is.

    It begins today, or when a period that is charged, or paid with credits, is over.
    """
    if not (version.base_fee_nanos and version.trial_days) or (contract is not None and contract.has_taken_a_fee):
        return None
    present = contract.version_on(today) if contract is not None else None
    is_today = present is None or (present.overage == Overage.REFUSE and is_immediate(present, version))
    starts_on = today if contract is None or is_today else _paid_until(contract, today)
    return Trial(starts_on, starts_on + dt.timedelta(days=version.trial_days))


def is_immediate(present: PlanVersion, other: PlanVersion) -> bool:
    """Whether a change gives at least as much and costs at least as much, so that nothing paid for is lost.

    Plans that are paid with credits are left when a period ends, and begun at once where nothing was paid for. One that
    charges overage is left for one that does not when a period ends: what is over is charged from a day on until then.
    """
    if present.overage == Overage.CREDITS or (present.overage == Overage.CHARGE and other.overage != Overage.CHARGE):
        return False
    if other.overage == Overage.CREDITS:
        return not present.base_fee_nanos and present.overage == Overage.REFUSE
    return other.base_fee_nanos >= present.base_fee_nanos and _is_at_least(
        other.allowance_tokens, present.allowance_tokens
    )


def _is_at_least(tokens: int | None, others: int | None) -> bool:
    return tokens is None or (others is not None and tokens >= others)


def _kind(present: PlanVersion | None, other: PlanVersion) -> ChangeKind:
    return ChangeKind.UPGRADE if present is None or is_immediate(present, other) else ChangeKind.DOWNGRADE


def _scheduled(contract: Contract, today: dt.date) -> bool:
    """Whether another plan than today's is to come."""
    present, following = contract.decision_on(today), contract.next_change(today)
    while following is not None and present is not None:
        if following.plan != present.plan:
            return True
        following = contract.next_change(following.effective_on)
    return False


def _paid_until(contract: Contract, today: dt.date) -> dt.date:
    """When nothing is lost by leaving: the trial's end, or the period's."""
    return contract.trial_ends_on(today) or contract.period(today).ends_on


def _trial(contract: Contract | None, version: PlanVersion, today: dt.date) -> Trial:
    found = trial_of(contract, version, today)
    if found is None:
        raise ApiError(422, "no_trial", f"There is no trial of {version.name} for this organization.", param="plan")
    return found


def _begin(organization: Organization, version: PlanVersion, trial: Trial, by: Actor, at: dt.datetime) -> None:
    _decide(organization, ChangeKind.TRIAL, version, trial.starts_on, by, at, is_trial=True)
    _decide(organization, ChangeKind.START, version, trial.ends_on, by, at)


def _decide(
    organization: Organization,
    kind: ChangeKind,
    version: PlanVersion,
    on: dt.date,
    by: Actor,
    at: dt.datetime,
    *,
    is_trial: bool = False,
) -> None:
    change = SubscriptionChange.objects.create(
        organization=organization,
        number=SubscriptionChange.objects.count() + 1,
        kind=kind,
        plan_id=version.plan_id,
        is_trial=is_trial,
        effective_on=on,
        decided_at=at,
        decided_by_label=by.label[:254],
    )
    audit.record(
        by, f"subscription.{kind}", change, {"plan": (None, version.name), "effective_on": (None, on)},
        label=version.name,
    )  # fmt: skip


def _locked(organization: Organization) -> Contract:
    """The contract, with its row locked: decisions about it are made one after the other."""
    is_there = Subscription.objects.select_for_update().filter(organization=organization).exists()
    contract = Contract.load(organization) if is_there else None
    if contract is None:
        raise ApiError(409, "not_subscribed", "This organization has no plan to change. Start one.")
    return contract


def _pushed(organization: Organization, at: dt.datetime) -> Contract:
    contract = Contract.load(organization)
    assert contract is not None  # noqa: S101 (its row is in this transaction)
    enforce(contract, at)
    told = {"organization_id": organization.pk}
    transaction.on_commit(partial(plan_changed.send_robust, Subscription, **told))
    return contract
