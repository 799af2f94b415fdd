"""The plans of the installation: what each is and will be, who is on it, and how the operator changes it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_GET, require_http_methods

from accounts.audit import Actor
from accounts.forms.organization import refusals_in
from accounts.views.pages import form_page
from billing.models import PlanVersion
from billing.plan_changes import Preview, change_terms, preview, retire
from billing.plan_forms import NewPlanForm, NewVersionForm, RetireForm, initial_of
from billing.plan_words import LABELS, term_words
from billing.plans import DEFAULT_PLAN, Terms, create_plan, first_day_to_change, versions_made, versions_on
from billing.subscribers import subscribers
from core import figures as words
from core.periods import next_month
from core.tenancy import unscoped
from reports.operator.access import OperatorRequest, operator_only

PAGE = "operator:plans"
MOST_TOUCHED = 50


@require_GET
@operator_only
def index(request: OperatorRequest) -> HttpResponse:
    today = now().date()
    present = versions_on(today)
    coming = _coming(today)
    counts = _on_each()
    later = [one for code, one in coming.items() if code not in present]
    context = {
        "page": {"title": "Plans"},
        "today": today,
        "rows": [
            {
                "version": one,
                "count": counts[one.plan.code],
                "url": reverse("operator:plan", args=[one.plan.code]),
                "subscribers_url": f"{reverse('operator:subscriptions')}?{urlencode({'plan': one.plan.code})}",
                "next": coming.get(one.plan.code),
                "includes": _includes(one),
            }
            for one in [*present.values(), *later]
        ],
    }
    return render(request, "operator/plans.html", context)


@require_GET
@operator_only
def detail(request: OperatorRequest, code: str) -> HttpResponse:
    """Every version there was, is and will be."""
    versions, present = _versions(code)
    today = now().date()
    context = {
        "page": {"title": present.name},
        "plan": present,
        "count": _on_each()[code],
        "subscribers_url": f"{reverse('operator:subscriptions')}?{urlencode({'plan': code})}",
        "can_retire": code != DEFAULT_PLAN
        and any(one.is_offered for one in versions if one.effective_on >= present.effective_on),
        "rows": [
            {
                "version": one,
                "state": _state(one, present, today),
                "is_from_the_beginning": one.number == 1,
                "includes": _includes(one),
            }
            for one in reversed(versions)
        ],
    }
    return render(request, "operator/plan.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def create(request: OperatorRequest) -> HttpResponse:
    form = NewPlanForm(request.POST or None, initial={"trial_days": 0, "position": len(versions_on(now().date())) + 1})
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            version = create_plan(form.cleaned_data["code"], Terms(**form.terms()), by_label=request.user.email)
            messages.success(request, f"{version.name} is there. Nobody is on it yet.")
            return redirect("operator:plan", version.plan.code)
    context = {"page": {"title": "New plan"}, "form": form, "submit": "Add plan", "back": reverse(PAGE)}
    return render(request, "operator/plan_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def change(request: OperatorRequest, code: str) -> HttpResponse:
    """A new version: typed in, looked at (`step` preview), saved (`step` save)."""
    versions, present = _versions(code)
    day = max(next_month(now().date()), first_day_to_change(now()))
    initial = initial_of(next((one for one in reversed(versions) if one.effective_on <= day), present)) | {
        "effective_on": day,
        "seen": versions_made(present.plan) + 1,
    }
    form = NewVersionForm(request.POST or None, initial=initial)
    step = request.POST.get("step", "preview")
    looked_at = None
    if request.method == "POST" and step != "edit" and form.is_valid():
        by = Actor.of_person(request.user, request)
        effective_on = form.cleaned_data["effective_on"]
        with refusals_in(form):
            if step == "save":
                version, count = change_terms(
                    code, form.terms(), effective_on=effective_on, seen=form.cleaned_data["seen"], by=by
                )
                messages.success(
                    request, f"{version.name} has a version from {effective_on:%-d %B %Y} on. {_told(count)}"
                )
                return redirect("operator:plan", code)
            looked_at = preview(code, form.terms(), effective_on=effective_on, by=by)
    if looked_at is not None:
        return render(request, "operator/plan_preview.html", _preview(form, looked_at, code))
    context = {
        "page": {"title": f"New version of {present.name}"},
        "lead": "What has been stays as it was: periods that have begun keep the version they began with.",
        "form": form,
        "submit": "Look at it first",
        "back": reverse("operator:plan", args=[code]),
    }
    return render(request, "operator/plan_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def take_from_sale(request: OperatorRequest, code: str) -> HttpResponse:
    _, present = _versions(code)
    if code == DEFAULT_PLAN:
        raise Http404("organizations begin on it")
    form = RetireForm(request.POST or None, initial={"effective_on": first_day_to_change(now())})
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            day = form.cleaned_data["effective_on"]
            retire(code, effective_on=day, by=Actor.of_person(request.user, request))
            messages.success(request, f"{present.name} is not on sale from {day:%-d %B %Y} on.")
            return redirect("operator:plan", code)
    return form_page(
        request,
        form,
        f"Take {present.name} from sale",
        submit="Take from sale",
        lead=f"Nobody chooses it from then on. {_stay(_on_each()[code])}",
        back=reverse("operator:plan", args=[code]),
    )


# ── Reading ──


def _versions(code: str) -> tuple[list[PlanVersion], PlanVersion]:
    """All of a plan, by the day they hold from, and the one of today. Raises Http404."""
    with unscoped("plans are nobody's"):
        rows = PlanVersion.objects.filter(plan__code=code).select_related("plan")
        versions = list(rows.order_by("effective_on", "number"))
    if not versions:
        raise Http404("no such plan")
    begun = [one for one in versions if one.effective_on <= now().date()]
    return versions, (begun or versions)[-1]


def _coming(today: dt.date) -> dict[str, PlanVersion]:
    """The next version of each plan that has one, by the plan's code."""
    with unscoped("plans are nobody's"):
        rows = PlanVersion.objects.filter(effective_on__gt=today).select_related("plan")
        return {one.plan.code: one for one in rows.order_by("-effective_on", "number")}


def _on_each() -> Counter[str]:
    """How many organizations are on each plan, by their own today."""
    counts: Counter[str] = Counter()
    for one in subscribers():
        decision = one.contract.decision_on(one.contract.today())
        if decision is not None:
            counts[decision.plan] += 1
    return counts


# ── Writing ──


def _preview(form: forms.Form, looked_at: Preview, code: str) -> dict[str, Any]:
    shown = looked_at.touched[:MOST_TOUCHED]
    return {
        "page": {"title": f"{looked_at.draft.name} from {looked_at.draft.effective_on:%-d %B %Y} on"},
        "form": form,
        "preview": looked_at,
        "changes": [
            {"label": LABELS[name], "before": term_words(name, before), "after": term_words(name, after)}
            for name, (before, after) in looked_at.changes.items()
        ],
        "touched": shown,
        "more": len(looked_at.touched) - len(shown),
        "back": reverse("operator:plan", args=[code]),
    }


def _state(version: PlanVersion, present: PlanVersion, today: dt.date) -> str:
    if version.pk == present.pk:
        return "now"
    return "to come" if version.effective_on > today else "over"


def _includes(version: PlanVersion) -> str:
    return term_words("features", version.features)


def _told(count: int) -> str:
    if not count:
        return "Nobody is on it."
    return f"It is in the audit log of {words.count(count)} organization{'' if count == 1 else 's'}."


def _stay(count: int) -> str:
    if not count:
        return "Nobody is on it."
    return f"{words.count(count)} organization{'' if count == 1 else 's'} on it {'keeps' if count == 1 else 'keep'} it."
