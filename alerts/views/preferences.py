"""/o/<organization>/notifications/: what a member is told, by which way, and when."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from alerts.models import Way
from alerts.notices import hours, preferences
from alerts.notices.forms import TimingForm
from alerts.notices.preferences import KindChoices

# The first part of a kind's name, for headings over the rows.
GROUPS = (
    ("Usage", ("usage", "rate_limit", "budget", "report")),
    ("Money", ("credits", "invoice", "payment", "calls")),
    ("Organization", ("key", "member", "webhook")),
)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.SEE_OWN_USAGE)
def choose(request: OrganizationRequest) -> HttpResponse:
    """A box for each kind and way; those that are left as the role has them follow the role."""
    choices = preferences.choices_of(request.membership)
    if request.method == "POST":
        chosen = {
            (one.kind.name, way): f"{one.kind.name}:{way.value}" in request.POST for one in choices for way in Way
        }
        number = preferences.choose(request.membership, chosen)
        messages.success(request, "Saved." if number else "Nothing was another than before.")
        return redirect(to(request, "alerts:preferences"))
    context = {
        "page": {"title": "Notifications"},
        "groups": _groups(choices),
        "ways": [way.label for way in Way],
        "has_own": any(one.own for one in choices),
    }
    return render(request, "alerts/preferences.html", context)


@require_POST
@require(Right.SEE_OWN_USAGE)
def reset(request: OrganizationRequest) -> HttpResponse:
    preferences.forget_choices(request.membership)
    messages.success(request, "Your role decides again what you are told.")
    return redirect(to(request, "alerts:preferences"))


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.SEE_OWN_USAGE)
def when(request: OrganizationRequest) -> HttpResponse:
    timing = hours.timing_of(request.membership)
    form = TimingForm(request.POST or None, timing, request.organization)
    if request.method == "POST" and form.is_valid():
        hours.set_timing(request.membership, form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect(to(request, "alerts:hours"))
    context = {"page": {"title": "Notifications"}, "form": form}
    return render(request, "alerts/hours.html", context, status=422 if form.errors else 200)


def _groups(choices: list[KindChoices]) -> list[dict[str, Any]]:
    groups = []
    for label, topics in GROUPS:
        rows = [_row(one) for one in choices if one.kind.name.partition(".")[0] in topics]
        if rows:
            groups.append({"label": label, "rows": rows})
    return groups


def _row(one: KindChoices) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "default": _DEFAULTS[one.default],
        "cells": [
            {"name": f"{one.kind.name}:{way.value}", "way": way.label, "is_on": one.on[way], "is_own": way in one.own}
            for way in Way
        ],
    }


_DEFAULTS = {
    "all": "On for your role",
    "teams": "On, about your teams",
    "self": "On, about yourself",
    "none": "Off for your role",
}
