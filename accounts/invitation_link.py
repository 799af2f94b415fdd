"""An invitation on its way from the link in the mail, through log-in or sign-up, to membership."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.http import HttpRequest

from accounts import members
from accounts.audit import Actor
from accounts.models import Invitation, Membership, User

SESSION_KEY = "invitation"


def remember(request: HttpRequest, token: str, invitation: Invitation) -> None:
    """Keep the token for the sign-up. Who has it has read the mail, so the address counts as verified."""
    request.session[SESSION_KEY] = token
    get_adapter(request).stash_verified_email(request, invitation.email)


def invitation_of(request: HttpRequest | None) -> Invitation | None:
    """The invitation this visitor came by, while it can be accepted."""
    token = request.session.get(SESSION_KEY) if request is not None else None
    return members.find_invitation(token) if token else None


def accept_pending(request: HttpRequest, user: User) -> Membership | None:
    """Make the visitor a member by the invitation they came by, if it is theirs."""
    invitation = invitation_of(request)
    if invitation is None or not members.is_for(invitation, user):
        return None
    forget(request)
    return members.accept(invitation, user, by=Actor.of_person(user, request))


def forget(request: HttpRequest) -> None:
    request.session.pop(SESSION_KEY, None)
    request.session.pop("account_verified_email", None)
