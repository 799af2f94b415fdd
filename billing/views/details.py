"""/o/<organization>/billing/details/: to whom invoices are addressed, and what tax that means."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms.organization import refusals_in
from accounts.models import Organization
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import act_and_return, to
from billing.invoices.lines import NoSellerError, parties_of
from billing.models import TaxStanding
from billing.parties.forms import DetailsForm
from billing.parties.numbers import is_of
from billing.parties.profile import ADDRESS, ask_again, can_be_asked, profile_of, set_details
from billing.parties.rechecks import next_ask_at
from billing.tax.treatment import Treatment
from core.periods import local_day

PAGE = "billing:details"


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.SEE_MONEY)
def index(request: OrganizationRequest) -> HttpResponse:
    organization = request.organization
    may_change = may(request.role, Right.MANAGE_PAYMENT)
    if request.method == "POST" and not may_change:
        raise PermissionDenied("Your role here does not change billing details.")
    profile = profile_of(organization)
    initial = {name: getattr(organization, name) for name in ADDRESS}
    initial |= {name: getattr(profile, name) for name in ("region", "tax_number", "reference")}
    form = DetailsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            set_details(organization, form.cleaned_data, by=request.actor)
            messages.success(request, "Saved. Invoices from now on state it; those already stated keep their copy.")
            return redirect(to(request, PAGE))
    asks_at = next_ask_at(profile)
    context = {
        "page": {"title": "Billing details"},
        "form": form,
        "profile": profile,
        "treatment": _treatment(organization),
        "may_change": may_change,
        "is_elsewhere": not is_of(profile.tax_number, organization.country),
        "is_confirmed": profile.tax_standing == TaxStanding.CONFIRMED,
        "is_unknown": profile.tax_standing == TaxStanding.UNKNOWN_TO_REGISTER,
        "next_ask_at": asks_at if asks_at is not None and asks_at > now() else None,
        "asks_soon": asks_at is not None and asks_at <= now(),
        "may_ask": may_change
        and profile.tax_standing != TaxStanding.CONFIRMED
        and can_be_asked(profile.tax_number, organization.country),
    }
    return render(request, "billing/details.html", context, status=422 if form.errors else 200)


@require_POST
@require(Right.MANAGE_PAYMENT)
def check(request: OrganizationRequest) -> HttpResponse:
    """Ask the register once more."""
    return act_and_return(
        request,
        lambda: ask_again(request.organization),
        to(request, PAGE),
        "The register is being asked. Its answer will be here in a moment.",
    )


def _treatment(organization: Organization) -> Treatment | None:
    """None while nobody bills. What is stored counts, whatever a refused form says."""
    try:
        return parties_of(organization, local_day(now(), organization.zone)).treatment
    except NoSellerError:
        return None
