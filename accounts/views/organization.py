"""/o/<organization>/settings/: what the organization is called, where it is, where its invoices go."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from accounts.forms.organization import OrganizationForm, refusals_in
from accounts.models import Organization
from accounts.organizations import update_organization
from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import form_page, to


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_ORGANIZATION)
def settings(request: OrganizationRequest) -> HttpResponse:
    # A form writes into its instance before the domain function has compared it.
    form = OrganizationForm(request.POST or None, instance=Organization.objects.get(pk=request.organization.pk))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            update_organization(request.organization, form.cleaned_data, by=request.actor)
            messages.success(request, "Settings saved.")
            return redirect(to(request, "accounts:organization"))
    return form_page(
        request, form, "Organization", submit="Save settings", lead=f"Address: /o/{request.organization.slug}/"
    )
