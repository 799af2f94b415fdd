"""/o/<organization>/settings/members/"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import members
from accounts.forms.organization import InvitationForm, MemberForm, refusals_in
from accounts.invitation_mail import send_invitation
from accounts.models import Role
from accounts.permissions import Right, may, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import act_and_return, confirm_page, form_page, to

PAGE = "accounts:members"


@require_safe
@require(Right.SEE_MEMBERS)
def index(request: OrganizationRequest) -> HttpResponse:
    context = {
        "page": {"title": "Members"},
        "members": members.active_members().prefetch_related("teams").order_by("user__email"),
        "invitations": members.open_invitations().select_related("team").order_by("email"),
        "may_manage": may(request.role, Right.MANAGE_MEMBERS),
        "may_manage_owners": may(request.role, Right.MANAGE_OWNERS),
    }
    return render(request, "accounts/members.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_MEMBERS)
def invite(request: OrganizationRequest) -> HttpResponse:
    form = InvitationForm(request.POST or None, giver=request.role)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            invitation, token = members.invite(request.organization, by=request.actor, **form.cleaned_data)
            send_invitation(invitation, token, by=request.actor)
            messages.success(request, f"Invitation sent to {invitation.email}.")
            return redirect(to(request, PAGE))
    return form_page(
        request,
        form,
        "Invite a member",
        submit="Send invitation",
        back=to(request, PAGE),
        lead="They get an e-mail with a link that works for a week.",
    )


@require_POST
@require(Right.MANAGE_MEMBERS)
def renew_invitation(request: OrganizationRequest, invitation: int) -> HttpResponse:
    offer = get_object_or_404(members.open_invitations(), pk=invitation)

    def act() -> None:
        token = members.renew_invitation(offer, by=request.actor)
        send_invitation(offer, token, by=request.actor)

    return act_and_return(request, act, to(request, PAGE), f"Invitation sent to {offer.email} again.")


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_MEMBERS)
def revoke_invitation(request: OrganizationRequest, invitation: int) -> HttpResponse:
    offer = get_object_or_404(members.open_invitations(), pk=invitation)
    return confirm_page(
        request,
        f"Revoke the invitation of {offer.email}?",
        "The link in the e-mail stops working at once.",
        submit="Revoke invitation",
        back=to(request, PAGE),
        act=lambda: members.revoke_invitation(offer, by=request.actor),
        done=f"Invitation of {offer.email} revoked.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_MEMBERS)
def change(request: OrganizationRequest, member: int) -> HttpResponse:
    row = get_object_or_404(members.active_members(), pk=member)
    initial = {"role": row.role, "external_id": row.external_id}
    # An admin may see an owner's form, but not leave it with another role.
    giver = Role.OWNER if row.role == Role.OWNER else request.role
    form = MemberForm(request.POST or None, initial=initial, giver=giver)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            if form.cleaned_data["role"] != row.role:
                members.change_role(row, form.cleaned_data["role"], by=request.actor)
            members.set_external_id(row, form.cleaned_data["external_id"], by=request.actor)
            messages.success(request, f"{row.user} saved.")
            return redirect(to(request, PAGE))
    return form_page(request, form, str(row.user), submit="Save member", back=to(request, PAGE), lead=row.user.email)


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.MANAGE_MEMBERS)
def remove(request: OrganizationRequest, member: int) -> HttpResponse:
    row = get_object_or_404(members.active_members(), pk=member)
    return confirm_page(
        request,
        f"Remove {row.user}?",
        "They lose access and their own keys stop at once. Their usage stays in every report.",
        submit="Remove member",
        back=to(request, PAGE),
        act=lambda: members.end_membership(row, by=request.actor),
        done=f"{row.user} removed.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: OrganizationRequest) -> HttpResponse:
    """Everybody may go, but for the last owner."""
    response = confirm_page(
        request,
        f"Leave {request.organization.name}?",
        "You lose access and your own keys stop at once. Your usage stays in every report.",
        submit="Leave organization",
        back="/",
        act=lambda: members.end_membership(request.membership, by=request.actor),
        done=f"You have left {request.organization.name}.",
    )
    if request.membership.ended_at is not None:
        request.session.pop("organization", None)
    return response
