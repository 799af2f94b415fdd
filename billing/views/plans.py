"""/o/<organization>/billing/: the plan, what it includes and costs, and the way to another one."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_safe

from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, to
from billing.contracts import Contract
from billing.credits import settlement
from billing.models import CreditEntry, Overage, PlanVersion, StripeCustomer
from billing.overage import overage_of
from billing.plan_words import change_words
from billing.plans import versions_on
from billing.proration import fee_share
from billing.providers.stripe.connection import is_connected
from billing.subscriptions import Trial, change_plan, is_immediate, start_subscription, trial_of
from billing.subscriptions import cancel as cancel_subscription
from billing.subscriptions import resume as resume_subscription
from billing.views.dunning import failed_payments
from core.figures import money, share
from core.periods import local_day
from metering.query.run import run
from metering.query.spec import UsageQuery

PAGE = "billing:plan"
ENTRIES_SHOWN = 5
_SECOND = dt.timedelta(seconds=1)


@require_safe
@require(Right.SEE_MONEY)
def index(request: OrganizationRequest) -> HttpResponse:
    organization = request.organization
    at = now()
    today = local_day(at, organization.zone)
    contract = Contract.load(organization)
    current = contract.version_on(today) if contract is not None else None
    offered = {code: one for code, one in versions_on(today).items() if one.is_offered}
    if current is not None:
        offered[current.plan.code] = current
    context = {
        "page": {"title": "Billing"},
        "today": today,
        "may_change": may(request.role, Right.MANAGE_PLAN),
        "current": current,
        "plans": [
            _offer(one, current, trial_of(contract, one, today))
            for one in sorted(offered.values(), key=lambda one: (one.position, one.plan_id))
        ],
        "credits": settlement.standing(organization, at),
        "entries": list(CreditEntry.objects.order_by("-number")[:ENTRIES_SHOWN]),
        "takes_cards": is_connected(),
        "may_pay": may(request.role, Right.MANAGE_PAYMENT),
        "card": StripeCustomer.objects.exclude(method_id="").first(),
        "failed": failed_payments(request.membership, at),
    }
    if contract is not None and current is not None:
        context |= _position(contract, current, today, at)
        context["notice"] = _notice(contract, current, today) or _terms_notice(contract, current, today)
    return render(request, "billing/plan.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_PLAN)
def change(request: OrganizationRequest, plan: str) -> HttpResponse:
    organization = request.organization
    today = local_day(now(), organization.zone)
    version = versions_on(today).get(plan)
    if version is None or not version.is_offered:
        raise Http404
    contract = Contract.load(organization)
    present = contract.version_on(today) if contract is not None else None
    trial = trial_of(contract, version, today)

    def act() -> None:
        if contract is None:
            start_subscription(organization, plan, by=request.actor, with_trial=trial is not None)
        else:
            change_plan(organization, plan, by=request.actor, with_trial=trial is not None)

    return confirm_page(
        request,
        f"Try {version.name}?" if trial else f"Move to {version.name}?",
        _trial_words(trial, version, today) if trial else _consequence(contract, present, version, today),
        submit=f"Start the trial of {version.name}" if trial else f"Move to {version.name}",
        back=to(request, PAGE),
        act=act,
        done=f"{version.name} it is. What is scheduled stands on this page.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_PLAN)
def cancel(request: OrganizationRequest) -> HttpResponse:
    today = local_day(now(), request.organization.zone)
    contract = Contract.load(request.organization)
    present = contract.version_on(today) if contract is not None else None
    return confirm_page(
        request,
        "Cancel the plan?",
        "It holds until the period, or the trial, is over; then Free begins. Usage and reports stay."
        f"{_no_way_back(present, today)}",
        submit="Cancel plan",
        back=to(request, PAGE),
        act=lambda: (cancel_subscription(request.organization, by=request.actor), None)[1],
        done="Canceled. Resume it any time before it ends.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_PLAN)
def resume(request: OrganizationRequest) -> HttpResponse:
    return confirm_page(
        request,
        "Stay on the present plan?",
        "What was scheduled is taken back.",
        submit="Resume plan",
        back=to(request, PAGE),
        act=lambda: (resume_subscription(request.organization, by=request.actor), None)[1],
        done="The plan goes on.",
    )


def _position(contract: Contract, current: PlanVersion, today: dt.date, at: dt.datetime) -> dict[str, Any]:
    """The present period: tokens of the allowance, fees, overage so far, and what is to come."""
    period = contract.period(today)
    start, end = period.instants(contract.zone)
    used = run(UsageQuery(contract.organization_id, start, end, contract.zone)).totals.total_tokens
    following = contract.next_change(today)
    over = overage_of(contract, period)
    fees = contract.fees(period)
    allowance = contract.allowance(period)
    return {
        "period": period,
        "last_day": period.ends_on - dt.timedelta(days=1),
        "allowance": allowance,
        "used": used,
        "used_part": share(used, allowance) if allowance else None,
        "passed": share((at - start) // _SECOND, (end - start) // _SECOND),
        "fees": [
            {"name": fee.stay.version.name, "days": fee.stay.segment.days, "of": period.days, "nanos": fee.nanos}
            for fee in fees
        ],
        "over": over,
        "fee_nanos": sum(fee.nanos for fee in fees),
        "so_far_nanos": sum(fee.nanos for fee in fees) + (over.cost_nanos if over else 0),
        "can_resume": following is not None and following.plan != current.plan.code,
        "can_cancel": current.base_fee_nanos > 0 and (following is None or following.plan == current.plan.code),
    }


def _notice(contract: Contract, current: PlanVersion, today: dt.date) -> dict[str, Any] | None:
    """What is to come; None when nothing is."""
    following = contract.next_change(today)
    version = contract.version_on(following.effective_on) if following is not None else None
    if following is None or version is None:
        return None
    day = f"{following.effective_on:%-d %B %Y}"
    if contract.trial_ends_on(today) is not None:
        fee = f", {money(version.base_fee_nanos)} a month" if version.base_fee_nanos else ""
        fact = f"The trial ends on {day}. Then {version.name} begins{fee}."
        text = "Until then nothing is charged, and calls beyond the allowance are refused."
    else:
        fact, text = f"{version.name} begins on {day}.", f"Until then {current.name} stays as it is."
    return {"tone": "info", "fact": fact, "text": text}


def _terms_notice(contract: Contract, current: PlanVersion, today: dt.date) -> dict[str, Any] | None:
    """That the operator changed the plan, from when on; None when nothing of theirs becomes another."""
    coming = contract.next_version(today)
    text = change_words(current, coming[1]) if coming is not None else ""
    if coming is None or not text:
        return None
    return {"tone": "info", "fact": f"{current.name} changes on {coming[0]:%-d %B %Y}.", "text": text}


def _offer(version: PlanVersion, current: PlanVersion | None, trial: Trial | None) -> dict[str, Any]:
    is_current = current is not None and current.plan_id == version.plan_id
    return {
        "version": version,
        "is_current": is_current,
        "trial": trial,
        "overage": {
            Overage.REFUSE: "refused beyond it",
            Overage.CHARGE: "beyond it at model prices",
            Overage.CREDITS: "each call at model prices, from credits",
        }[Overage(version.overage)],
    }


def _trial_words(trial: Trial, version: PlanVersion, today: dt.date) -> str:
    begins = "" if trial.starts_on == today else f"Begins on {trial.starts_on:%-d %B %Y}. "
    return (
        f"{begins}{trial.days} days free, then {money(version.base_fee_nanos)} a month from {trial.ends_on:%-d %B %Y}. "
        "No card is needed. Until then calls beyond the allowance are refused, and canceling costs nothing."
    )


def _consequence(contract: Contract | None, present: PlanVersion | None, version: PlanVersion, today: dt.date) -> str:
    if contract is None or present is None:
        return f"{version.name} begins today."
    ends_on = contract.trial_ends_on(today) or contract.period(today).ends_on
    if contract.trial_ends_on(today) is None and not is_immediate(present, version):
        return (
            f"{present.name} holds until it is over. {version.name} begins on {ends_on:%-d %B %Y}."
            f"{_no_way_back(present, today)}"
        )
    period = contract.period(today)
    fee = fee_share(version.base_fee_nanos, period, today, period.ends_on)
    before = fee_share(present.base_fee_nanos, period, today, period.ends_on)
    return (
        f"{version.name} begins today. For the rest of this period its fee is {money(fee)}, instead of {money(before)} "
        f"for {present.name}; the allowance of the period grows with the days.{_no_way_back(present, today)}"
    )


def _no_way_back(present: PlanVersion | None, today: dt.date) -> str:
    """A warning for who is about to leave a plan that nobody may choose any more; else nothing."""
    if present is None or versions_on(today)[present.plan.code].is_offered:
        return ""
    return f" {present.name} is not on sale: once you have left it, you cannot choose it again."
