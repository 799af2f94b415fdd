"""Members: invited, joined, given a role, gone.

Two rules hold in every function: an organization never loses its last owner, and only an owner makes or unmakes
owners. A membership that ends stays as a row, because usage is booked on it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit, keys
from accounts.audit import Actor
from accounts.models import Invitation, Membership, Organization, Role, Team, TeamMembership, User
from accounts.organizations import validated
from accounts.permissions import Right, may
from accounts.teams import set_team_admin
from core.errors import ApiError
from core.facts import Fact, tell
from core.tenancy import organization_scope, unscoped

INVITATION_LIFETIME = timedelta(days=7)

# ── Invitations ──


def invite(
    organization: Organization, email: str, role: Role | str, *, by: Actor, team: Team | None = None
) -> tuple[Invitation, str]:
    """Offer membership. Returns the invitation and the token for its link; the caller sends it (invitation_mail)."""
    email = email.strip().lower()
    role = _role_given_by(by, role)
    if Membership.objects.filter(user__email__iexact=email, ended_at=None).exists():
        raise ApiError(409, "already_member", f"{email} is a member already.", param="email")
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        organization=organization,
        email=email,
        role=role,
        team=team,
        digest=_digest(token),
        invited_by=by.user,
        expires_at=now() + INVITATION_LIFETIME,
    )
    validated(invitation, exclude=("organization", "team", "invited_by"))
    for expired in open_invitations().filter(email__iexact=email, expires_at__lte=now()):
        audit.change(by, "invitation.expire", expired, {"revoked_at": expired.expires_at})
    try:
        with transaction.atomic():
            invitation.save(force_insert=True)
    except IntegrityError as error:
        raise ApiError(409, "already_invited", f"{email} has an open invitation already.", param="email") from error
    audit.record(by, "member.invite", invitation, audit.creation(invitation, ("email", "role", "team")), label=email)
    return invitation, token


def renew_invitation(invitation: Invitation, *, by: Actor) -> str:
    """A new token and a new week; the old link stops working."""
    _refuse_closed(invitation)
    token = secrets.token_urlsafe(32)
    invitation.digest = _digest(token)
    invitation.save(update_fields=["digest"])
    audit.change(by, "invitation.renew", invitation, {"expires_at": now() + INVITATION_LIFETIME})
    return token


def revoke_invitation(invitation: Invitation, *, by: Actor) -> None:
    _refuse_closed(invitation)
    audit.change(by, "invitation.revoke", invitation, {"revoked_at": now()})


def open_invitations() -> QuerySet[Invitation]:
    """Neither accepted nor revoked; some may have expired and wait to be renewed."""
    return Invitation.objects.filter(accepted_at=None, revoked_at=None)


def find_invitation(token: str) -> Invitation | None:
    """The invitation behind a link, if it can still be accepted."""
    with unscoped("an invitation's link says which organization's it is"):
        return (
            Invitation.objects.select_related("organization", "invited_by")
            .filter(digest=_digest(token), accepted_at=None, revoked_at=None, expires_at__gt=now())
            .first()
        )


def accept(invitation: Invitation, user: User, *, by: Actor) -> Membership:
    """Make `user` a member. Their verified e-mail must be the invited one, so a forwarded link opens nothing."""
    if not is_for(invitation, user):
        raise ApiError(403, "other_email", f"This invitation is for {invitation.email}.")
    with organization_scope(invitation.organization_id):
        locked = Invitation.objects.select_for_update(of=["self"]).select_related("team").get(pk=invitation.pk)
        _refuse_closed(locked)
        membership: Membership | None = Membership.objects.filter(user=user).first()
        if membership is None:
            membership = Membership.objects.create(organization=invitation.organization, user=user, role=locked.role)
        elif membership.ended_at is not None:
            membership.ended_at, membership.role = None, locked.role
            membership.save(update_fields=["ended_at", "role"])
        audit.change(by, "invitation.accept", locked, {"accepted_at": now()})
        audit.record(by, "member.join", membership, audit.creation(membership, ("role",)), label=user.email)
        if locked.team is not None:
            TeamMembership.objects.get_or_create(
                team=locked.team, membership=membership, defaults={"organization": invitation.organization}
            )
        _tell_joined(membership, invitation)
    return membership


def _tell_joined(membership: Membership, invitation: Invitation) -> None:
    inviter = invitation.invited_by
    tell(
        Fact(
            "member.joined",
            membership.organization_id,
            key=f"invitation:{invitation.pk}",
            people=(inviter.pk,) if inviter else (),
            data={
                "page": reverse("accounts:members", args=[invitation.organization.slug]),
                "email": membership.user.email,
                "name": membership.user.name,
                "role": str(membership.role),
                "invited_by": inviter.email if inviter else None,
            },
        )
    )


def is_for(invitation: Invitation, user: User) -> bool:
    return EmailAddress.objects.filter(user=user, email__iexact=invitation.email, verified=True).exists()


def has_account(email: str) -> bool:
    addresses = EmailAddress.objects.filter(email__iexact=email)
    return addresses.exists() or User.objects.filter(email__iexact=email).exists()


def _refuse_closed(invitation: Invitation) -> None:
    if invitation.accepted_at is not None or invitation.revoked_at is not None:
        raise ApiError(409, "invitation_closed", "This invitation has been accepted or revoked already.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


# ── Membership ──


def active_members() -> QuerySet[Membership]:
    return Membership.objects.filter(ended_at=None).select_related("user", "organization")


def change_role(membership: Membership, role: Role | str, *, by: Actor) -> None:
    """Who may no longer manage keys keeps none of their own that does more than such a role could give it."""
    with transaction.atomic():
        locked = _locked(membership)
        role = _role_given_by(by, role)
        _refuse_touching_owner(locked, by)
        if role != Role.OWNER:
            _refuse_last_owner(locked, "has to stay one")
        if may(locked.role, Right.MANAGE_KEYS) and not may(role, Right.MANAGE_KEYS):
            for key in keys.active_keys().filter(member=locked):
                if not keys.OWN_KEY_SCOPES.issuperset(key.scopes):
                    keys.revoke_key(key, by=by)
        if may(locked.role, Right.MANAGE_MEMBERS) and not may(role, Right.MANAGE_MEMBERS):
            _withdraw_invitations(locked, by=by)
        audit.change(by, "member.change_role", locked, {"role": str(role)})
    membership.role = locked.role


def set_external_id(membership: Membership, external_id: str, *, by: Actor) -> None:
    """The organization's own name for the person, by which usage events may call them."""
    try:
        with transaction.atomic():
            audit.change(by, "member.update", _locked(membership), {"external_id": external_id.strip()})
    except IntegrityError as error:
        raise ApiError(409, "external_id_taken", "Another member has this external id.", param="external_id") from error
    membership.external_id = external_id.strip()


def end_membership(membership: Membership, *, by: Actor) -> None:
    """The person loses access and their own keys stop; their usage stays booked on the membership.

    They keep their place in their teams, on which usage is booked too, but lead none if they come back.
    """
    with transaction.atomic():
        locked = _locked(membership)
        is_leaving = by.user is not None and by.user.pk == locked.user_id
        if not is_leaving:
            _refuse_touching_owner(locked, by)
        _refuse_last_owner(locked, "cannot leave")
        _withdraw_invitations(locked, by=by)
        for key in keys.active_keys().filter(member=locked):
            keys.revoke_key(key, by=by)
        for place in locked.places.filter(is_admin=True).select_related("team", "membership__user"):
            set_team_admin(place, False, by=by)
        audit.change(by, "member.leave" if is_leaving else "member.remove", locked, {"ended_at": now()})
    membership.ended_at = locked.ended_at


def _withdraw_invitations(inviter: Membership, *, by: Actor) -> None:
    """What somebody offered may not outlive their right to offer it."""
    for invitation in open_invitations().filter(invited_by=inviter.user_id):
        revoke_invitation(invitation, by=by)


def _locked(membership: Membership) -> Membership:
    locked: Membership = (
        Membership.objects.select_for_update(of=["self"]).select_related("user", "organization").get(pk=membership.pk)
    )
    if locked.ended_at is not None:
        raise ApiError(409, "membership_ended", f"{locked.user} is not a member any more.")
    return locked


def _role_given_by(by: Actor, role: Role | str) -> Role:
    if role not in Role.values:
        raise ApiError(422, "invalid_parameter", f"Unknown role. There are {', '.join(Role.values)}.", param="role")
    if role == Role.OWNER and not may(by.role, Right.MANAGE_OWNERS):
        raise ApiError(403, "owner_required", "Only an owner makes somebody an owner.", param="role")
    return Role(role)


def _refuse_touching_owner(membership: Membership, by: Actor) -> None:
    if membership.role == Role.OWNER and not may(by.role, Right.MANAGE_OWNERS):
        raise ApiError(403, "owner_required", "Only an owner changes or removes an owner.")


def _refuse_last_owner(membership: Membership, consequence: str) -> None:
    if membership.role != Role.OWNER:
        return
    # Locked in one order, so that two owners who leave at once do so one after the other.
    owners = Membership.objects.select_for_update().filter(role=Role.OWNER, ended_at=None).order_by("pk")
    if [owner.pk for owner in owners] == [membership.pk]:
        raise ApiError(409, "last_owner", f"The only owner {consequence}. Make somebody else an owner first.")
