"""The e-mail that carries an invitation's link."""

from __future__ import annotations

from django.urls import reverse

from accounts.audit import Actor
from accounts.models import Invitation
from core import emails


def send_invitation(invitation: Invitation, token: str, *, by: Actor) -> None:
    emails.send(
        "invitation",
        invitation.email,
        {
            "invitation": invitation,
            "organization": invitation.organization,
            "inviter": str(by.user) if by.user else invitation.organization.name,
            "link": emails.absolute(reverse("accounts:invitation", args=[token])),
        },
    )
