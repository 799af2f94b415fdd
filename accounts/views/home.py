"""Before and between organizations: the start page, founding one, switching, accepting an invitation."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import invitation_link, members
from accounts.audit import Actor
from accounts.forms.organization import NewOrganizationForm, refusals_in
from accounts.middleware import SESSION_KEY
from accounts.models import Membership, Role, User
from accounts.organizations import create_organization
from accounts.requests import OrganizationRequest
from accounts.views.pages import form_page
from core.errors import ApiError
from core.tenancy import unscoped


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """To the organization looked at last, or to the first; to the founding page without any."""
    if invitation_link.invitation_of(request) is not None:
        return redirect("accounts:invitation", request.session[invitation_link.SESSION_KEY])
    slug = last_organization(request)
    if slug is None:
        return redirect("operator:overview" if _person(request).is_operator else "accounts:organization-create")
    return redirect(landing_of(slug))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def create(request: HttpRequest) -> HttpResponse:
    form = NewOrganizationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        person = _person(request)
        with refusals_in(form):
            organization = create_organization(
                form.cleaned_data["name"],
                person,
                by=Actor.of_person(person, request, Role.OWNER),
                timezone=form.cleaned_data["timezone"],
            )
            messages.success(request, f"{organization.name} is ready.")
            return redirect(overview_of(organization.slug))
    return form_page(
        request,
        form,
        "Create an organization",
        submit="Create organization",
        lead="Usage, members and invoices belong to an organization. You become its owner.",
    )


@require_POST
def switch(request: OrganizationRequest) -> HttpResponse:
    """The middleware has entered the organization and remembers it."""
    return redirect(landing_of(request.organization.slug))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What a link in an invitation opens: an offer to accept, to whoever is logged in with that e-mail."""
    offer = members.find_invitation(token)
    if offer is None:
        return render(request, "accounts/invitation_closed.html", {"page": {"title": "Invitation"}}, status=404)
    address = reverse("accounts:invitation", args=[token])
    context = {
        "page": {"title": f"Join {offer.organization.name}"},
        "invitation": offer,
        "next": urlencode({"next": address}),
    }
    if not request.user.is_authenticated:
        invitation_link.remember(request, token, offer)
        has_account = members.has_account(offer.email)
        return render(request, "accounts/invitation.html", {**context, "has_account": has_account})
    context["is_theirs"] = members.is_for(offer, request.user)
    if request.method == "POST" and context["is_theirs"]:
        try:
            membership = members.accept(offer, request.user, by=Actor.of_person(request.user, request))
        except ApiError as error:
            messages.error(request, error.message)
            return redirect("accounts:home")
        invitation_link.forget(request)
        messages.success(request, f"You are a member of {membership.organization.name}.")
        return redirect(overview_of(membership.organization.slug))
    return render(request, "accounts/invitation.html", context, status=403 if request.method == "POST" else 200)


def memberships_of(user: User) -> QuerySet[Membership] | list[Membership]:
    """Where a person belongs, by name: for the start page and the organization switch."""
    with unscoped("a person's own organizations"):
        rows = Membership.objects.filter(user=user, ended_at=None).select_related("organization")
        return list(rows.order_by("organization__name", "pk"))


def last_organization(request: HttpRequest) -> str | None:
    """The organization looked at last, or the first; None without any."""
    slugs = [membership.organization.slug for membership in memberships_of(_person(request))]
    last = request.session.get(SESSION_KEY)
    return last if last in slugs else next(iter(slugs), None)


def landing_of(slug: str) -> str:
    """Where a person comes in: a page of their choice."""
    return reverse("reports:landing", args=[slug])


def overview_of(slug: str) -> str:
    return reverse("reports:overview", args=[slug])


def _person(request: HttpRequest) -> User:
    return cast("User", request.user)
