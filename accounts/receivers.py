"""What this app does when allauth says that somebody has signed up."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import user_signed_up
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.invitation_link import accept_pending
from accounts.models import User


@receiver(user_signed_up)
def join_by_invitation(request: HttpRequest, user: User, **_: Any) -> None:
    accept_pending(request, user)
