"""Who bills for the installation, and the tax rates the operator enters."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods

from accounts.audit import Actor
from accounts.countries import COUNTRIES
from accounts.forms.organization import refusals_in
from accounts.views.pages import form_page
from billing.models import EnteredTaxRate, Seller, TaxStanding
from billing.parties.forms import RateEndForm, SellerForm, TaxDecisionForm, TaxRateForm
from billing.parties.profile import decide, profile_of
from billing.parties.seller import add_rate, end_rate, set_seller
from core.tenancy import organization_scope
from reports.operator.access import OperatorRequest, operator_only
from reports.operator.organizations import named

PAGE = "operator:billing"
_COUNTRY_NAMES = dict(COUNTRIES)


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def index(request: OperatorRequest) -> HttpResponse:
    seller = Seller.objects.filter(pk=1).first()
    # A form writes into its instance; the one row there may be is number 1.
    form = SellerForm(request.POST or None, instance=Seller.objects.filter(pk=1).first() or Seller(pk=1))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            set_seller(form.cleaned_data, by=request.user.email)
            messages.success(request, "Saved. Invoices from now on state it; those already stated keep their copy.")
            return redirect(PAGE)
    today = now().date()
    rates = EnteredTaxRate.objects.order_by("country", "region", "-since")
    context = {
        "page": {"title": "Billing"},
        "seller": seller,
        "form": form,
        "rates": [
            {
                "rate": rate,
                "place": _COUNTRY_NAMES.get(rate.country, rate.country),
                "percent": f"{rate.percent.normalize():f}",
                "is_over": rate.until is not None and rate.until <= today,
            }
            for rate in rates
        ],
    }
    return render(request, "operator/billing.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def add_tax_rate(request: OperatorRequest) -> HttpResponse:
    form = TaxRateForm(request.POST or None, initial={"since": now().date()})
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            rate = add_rate(**form.cleaned_data, by=request.user.email)
            messages.success(request, f"{rate.name} is charged from {rate.since:%-d %B %Y} on.")
            return redirect(PAGE)
    return form_page(
        request,
        form,
        "Add a tax rate",
        submit="Add rate",
        lead="For countries outside of the product’s table, or instead of it.",
        back=reverse(PAGE),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def end_tax_rate(request: OperatorRequest, rate: int) -> HttpResponse:
    row = EnteredTaxRate.objects.filter(pk=rate).first()
    if row is None:
        raise Http404("no such rate")
    form = RateEndForm(request.POST or None, initial={"until": now().date()})
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            ended = end_rate(rate, form.cleaned_data["until"], by=request.user.email)
            messages.success(request, f"{ended.name} ends: {ended.until:%-d %B %Y} is the first day without it.")
            return redirect(PAGE)
    return form_page(
        request,
        form,
        f"End {row.name}",
        submit="End rate",
        lead=f"{row.percent.normalize():f}% in {_COUNTRY_NAMES.get(row.country, row.country)} {row.region}".strip(),
        back=reverse(PAGE),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
def decide_tax(request: OperatorRequest, slug: str) -> HttpResponse:
    """An organization's number confirmed by hand, and its certificate of exemption."""
    organization = named(slug)
    back = reverse("operator:organization", args=[slug])
    with organization_scope(organization.pk):
        profile = profile_of(organization)
        is_confirmed = profile.tax_standing == TaxStanding.CONFIRMED
        initial = {"number": profile.tax_number, "is_confirmed": is_confirmed, "exemption": profile.exemption}
        form = TaxDecisionForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            with refusals_in(form):
                decide(organization, **form.cleaned_data, by=Actor.of_person(request.user, request))
                messages.success(request, "Decided. It is in the organization’s audit log.")
                return redirect(back)
    number = f"{profile.tax_number}, {profile.get_tax_standing_display().lower()}" if profile.tax_number else "none"
    return form_page(
        request, form, f"Tax of {organization.name}", submit="Decide", lead=f"VAT number: {number}", back=back
    )
