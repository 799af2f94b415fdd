"""Taking a member's place: asked for with a reason, behind the password once more, ended by a button on every page."""

from __future__ import annotations

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts import impersonation
from accounts.forms.organization import refusals_in
from accounts.models import Membership, User
from core.tenancy import organization_scope
from reports.operator.access import OperatorRequest, operator_only
from reports.operator.organizations import named

MODES = (("look", "Read-only: see what they see"), ("full", "Full: do what their role may"))


class BeginForm(forms.Form):
    reason = forms.CharField(
        max_length=impersonation.LONGEST_REASON,
        help_text="The organization reads it in its audit log, beside your name.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    mode = forms.ChoiceField(label="What for", choices=MODES, initial="look", widget=forms.RadioSelect)


@require_http_methods(["GET", "HEAD", "POST"])
@operator_only
@reauthentication_required(allow_get=True)  # type: ignore[untyped-decorator]
def begin(request: OperatorRequest, slug: str, member: int) -> HttpResponseBase:
    organization = named(slug)
    with organization_scope(organization.pk):
        membership = Membership.objects.select_related("user", "organization").filter(pk=member).first()
    if membership is None:
        raise Http404("nobody of that organization")
    form = BeginForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            impersonation.begin(
                request,
                request.user,
                membership,
                reason=form.cleaned_data["reason"],
                is_full=form.cleaned_data["mode"] == "full",
            )
            return redirect("reports:overview", slug)
    context = {
        "page": {"title": f"Take the place of {membership.user}"},
        "lead": (
            f"In {organization.name}, as {membership.get_role_display().lower()}, for "
            f"{impersonation.LASTS.seconds // 60} minutes at most. Beginning, end and every act are in its audit log."
        ),
        "form": form,
        "submit": "Take their place",
        "back": reverse("operator:organization", args=[slug]),
    }
    return render(request, "accounts/form.html", context, status=422 if form.errors else 200)


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """Back to being the operator. Whose time was over already is one again."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("operator:overview"))
    row = getattr(request, "impersonation", None)
    if row is None:
        if not (isinstance(request.user, User) and request.user.is_operator):
            raise Http404("no such page")
        return redirect("operator:overview")
    impersonation.end(request, row, row.operator)
    messages.success(request, f"You are no longer in the place of {row.membership.user.email}.")
    return redirect("operator:organization", row.membership.organization.slug)
