"""Keeping a report under a name: saved, renamed and shared, replaced, deleted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods

from accounts.forms.organization import refusals_in
from accounts.permissions import require
from accounts.requests import OrganizationRequest
from accounts.views.pages import confirm_page, form_page, to
from reports.custom import records
from reports.custom.definition import report_of, said
from reports.custom.pages import LIST, found, url_of
from reports.models import CustomReport
from reports.navigation import SEERS
from reports.saved.records import may_share

sees_usage = require(*SEERS)


class ReportForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80)
    is_shared = forms.BooleanField(
        label="Share it with the organization",
        required=False,
        help_text="Everybody can open and run it. Each of them gets the figures their role sees.",
    )

    def __init__(self, *args: Any, can_share: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not can_share:
            del self.fields["is_shared"]


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def create(request: OrganizationRequest) -> HttpResponse:
    """`?query=` is the address of what is saved."""
    parameters = _asked(request)
    form = ReportForm(request.POST or None, can_share=may_share(request.membership))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            saved = records.create_report(
                request.membership,
                form.cleaned_data["name"],
                parameters,
                is_shared=form.cleaned_data.get("is_shared", False),
                by=request.actor,
            )
            messages.success(request, f"{saved.name} is saved.")
            return redirect(to(request, "reports:report", saved.pk))
    back = f"{to(request, 'reports:report-new')}?{request.GET.get('query', '')}"
    return form_page(request, form, "Save this report", submit="Save report", lead=said(parameters), back=back)


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def change(request: OrganizationRequest, report: int) -> HttpResponse:
    saved = _changeable(request, report)
    initial = {"name": saved.name, "is_shared": saved.is_shared}
    form = ReportForm(request.POST or None, initial=initial, can_share=may_share(request.membership))
    back = to(request, "reports:report", saved.pk)
    if request.method == "POST" and form.is_valid():
        is_shared = form.cleaned_data.get("is_shared", saved.is_shared)
        if saved.is_shared and not is_shared and "sure" not in request.POST:
            return _ask_to_unshare(request, saved, form.cleaned_data["name"])
        with refusals_in(form):
            records.change_report(
                saved, request.membership, name=form.cleaned_data["name"], is_shared=is_shared, by=request.actor
            )
            messages.success(request, f"{saved.name} is saved.")
            return redirect(back if is_shared or saved.owner_id == request.membership.pk else to(request, LIST))
    delete_url = to(request, "reports:report-delete", saved.pk)
    return form_page(
        request, form, f"Change {saved.name}", submit="Save", back=back, delete=("Delete report", delete_url)
    )


def _ask_to_unshare(request: OrganizationRequest, saved: CustomReport, name: str) -> HttpResponse:
    """The question, which brings the form along."""
    owner = "yours" if saved.owner_id == request.membership.pk else f"{saved.owner.user}'s"
    ending = saved.schedules.exclude(owner=saved.owner).count()
    schedules = f" {ending} schedule{'s' if ending > 1 else ''} of other people end{'' if ending > 1 else 's'}."
    context = {
        "page": {"title": f"Share {saved.name} no more?"},
        "text": f"It becomes {owner} alone: nobody else finds it.{schedules if ending else ''}",
        "submit": "Share it no more",
        "back": to(request, "reports:report-change", saved.pk),
        "fields": {"name": name, "sure": "yes"},
    }
    return render(request, "accounts/confirm.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def replace(request: OrganizationRequest, report: int) -> HttpResponse:
    """The report asks what `?query=` says from now on."""
    saved = _changeable(request, report)
    parameters = _asked(request)
    everybody = " Everybody runs it like that from now on." if saved.is_shared else ""
    scheduled = " So do its schedules." if saved.schedules.exists() else ""
    return confirm_page(
        request,
        f"Replace {saved.name}?",
        f"It becomes: {said(parameters)}.{everybody}{scheduled}",
        submit="Replace report",
        back=url_of(saved, request.organization.slug),
        act=lambda: records.replace_report(saved, request.membership, parameters, by=request.actor),
        done=f"{saved.name} is replaced.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sees_usage
def delete(request: OrganizationRequest, report: int) -> HttpResponse:
    saved = _changeable(request, report)
    lost = "It is gone for everybody in the organization. " if saved.is_shared else ""
    return confirm_page(
        request,
        f"Delete {saved.name}?",
        f"{lost}Its schedules end with it. Files that were made of it stay until they expire.",
        submit="Delete report",
        back=to(request, LIST),
        act=lambda: records.delete_report(saved, request.membership, by=request.actor),
        done=f"{saved.name} is deleted.",
    )


def _asked(request: OrganizationRequest) -> dict[str, list[str]]:
    """The address in `?query=`. Raises ApiError where it makes no report: what is saved opens."""
    query = QueryDict(request.GET.get("query", ""))
    parameters = {name: query.getlist(name) for name in query}
    report_of(request.membership, parameters, now()).definition()
    return parameters


def _changeable(request: OrganizationRequest, pk: int) -> CustomReport:
    """Raises Http404 for somebody else's, ApiError 403 for a shared one that the role does not look after."""
    saved = found(request, pk)
    records.check_change(saved, request.membership)
    return saved
