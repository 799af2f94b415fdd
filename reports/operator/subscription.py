"""What the operator decides about one organization: its plan, its trial, and whether its calls are let in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods

from accounts.audit import Actor
from accounts.forms.organization import refusals_in
from accounts.views.pages import confirm_page, form_page
from billing.contracts import Contract
from billing.models import PlanVersion
from billing.plans import versions_on
from billing.subscriptions import cancel, change_plan, extend_trial, resume, start_subscription, trial_of
from billing.suspending import let_calls_in, suspend_calls
from core.days import DayField
from core.figures import money
from core.periods import local_day
from reports.operator.access import OperatorRequest, operator_only
from reports.operator.organizations import named

PAGE = "operator:organization"
_ACTS = ["GET", "HEAD", "POST"]


class PlanForm(forms.Form):
    plan = forms.ChoiceField(
        help_text=(
            "More begins today and is prorated; less begins when the period, or the trial, is over. "
            "The first plan with a fee begins with its trial, if it has one."
        )
    )

    def __init__(self, *args: Any, plans: list[PlanVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["plan"].choices = [  # type: ignore[attr-defined]
            (one.plan.code, f"{one.name}, {money(one.base_fee_nanos)}{'' if one.is_offered else ', not on sale'}")
            for one in plans
        ]


class TrialForm(forms.Form):
    ends_on = DayField(
        label="First day that is no trial", help_text="What was decided for the trial’s end happens then."
    )


class SuspensionForm(forms.Form):
    reason = forms.CharField(
        max_length=200,
        help_text="Members and refused calls are told: “unusual traffic, write to us”.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )


@require_http_methods(_ACTS)
@operator_only
def put_on_plan(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)
    contract = Contract.load(organization)
    today = local_day(now(), organization.zone)
    present = contract.version_on(today) if contract is not None else None
    plans = [one for one in versions_on(today).values() if present is None or one.plan_id != present.plan_id]
    form = PlanForm(request.POST or None, plans=plans)
    if request.method == "POST" and form.is_valid():
        code, by = form.cleaned_data["plan"], Actor.of_person(request.user, request)
        version = next(one for one in plans if one.plan.code == code)
        is_tried = trial_of(contract, version, today) is not None
        with refusals_in(form):
            if contract is None:
                start_subscription(organization, code, by=by, with_trial=is_tried)
            else:
                change_plan(organization, code, by=by, is_agreed=True, with_trial=is_tried)
            messages.success(request, "Decided. It is in the organization’s audit log.")
            return redirect(PAGE, slug)
    lead = f"{present.name} today" if present is not None else "No plan today"
    return form_page(request, form, f"Plan of {organization.name}", submit="Change plan", lead=lead, back=_back(slug))


@require_http_methods(_ACTS)
@operator_only
def lengthen_trial(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)
    contract = Contract.load(organization)
    ends_on = contract.trial_ends_on(contract.today()) if contract is not None else None
    if ends_on is None:
        raise Http404("in no trial")
    form = TrialForm(request.POST or None, initial={"ends_on": ends_on + dt.timedelta(days=7)})
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            until = form.cleaned_data["ends_on"]
            extend_trial(organization, until, by=Actor.of_person(request.user, request))
            messages.success(request, f"The trial goes on until {until:%-d %B %Y}.")
            return redirect(PAGE, slug)
    return form_page(
        request,
        form,
        f"Extend the trial of {organization.name}",
        submit="Extend trial",
        lead=f"It ends on {ends_on:%-d %B %Y}. Nothing is charged for days of a trial.",
        back=_back(slug),
    )


@require_http_methods(_ACTS)
@operator_only
def end_plan(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)
    return _asked(
        request,
        slug,
        f"Cancel the plan of {organization.name}?",
        "It holds until the period, or the trial, is over; then Free begins. Usage and reports stay.",
        submit="Cancel plan",
        act=lambda by: cancel(organization, by=by),
        done="Canceled. It can be resumed until it ends.",
    )


@require_http_methods(_ACTS)
@operator_only
def keep_plan(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)
    return _asked(
        request,
        slug,
        f"Resume the plan of {organization.name}?",
        "What was scheduled is taken back.",
        submit="Resume plan",
        act=lambda by: resume(organization, by=by),
        done="The plan goes on.",
    )


@require_http_methods(_ACTS)
@operator_only
def suspend(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)
    form = SuspensionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            suspend_calls(organization, form.cleaned_data["reason"], by=Actor.of_person(request.user, request))
            messages.success(request, f"Calls of {organization.name} are refused from now on.")
            return redirect(PAGE, slug)
    return form_page(
        request,
        form,
        f"Suspend calls of {organization.name}",
        submit="Suspend calls",
        lead="The gateway and admissions refuse. What is reported goes on being recorded, and everything can be read.",
        back=_back(slug),
    )


@require_http_methods(_ACTS)
@operator_only
def let_in(request: OperatorRequest, slug: str) -> HttpResponse:
    organization = named(slug)
    return _asked(
        request,
        slug,
        f"Let calls of {organization.name} in again?",
        "Limits and what is owed hold as before.",
        submit="Resume calls",
        act=lambda by: let_calls_in(organization, by=by),
        done="Calls are let in again.",
    )


def _asked(
    request: OperatorRequest, slug: str, title: str, text: str, *, submit: str, act: Callable[[Actor], Any], done: str
) -> HttpResponse:
    def acted() -> None:
        act(Actor.of_person(request.user, request))

    return confirm_page(request, title, text, submit=submit, back=_back(slug), act=acted, done=done)


def _back(slug: str) -> str:
    return reverse(PAGE, args=[slug])
