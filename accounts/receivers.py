"""What this app does when somebody has signed up or logged out."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import user_signed_up
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import impersonation
from accounts.invitation_link import accept_pending
from accounts.models import User


@receiver(user_signed_up)
def join_by_invitation(request: HttpRequest, user: User, **_: Any) -> None:
    accept_pending(request, user)


@receiver(user_logged_out)
def leave_the_place(request: HttpRequest | None, **_: Any) -> None:
    row = getattr(request, "impersonation", None)
    if request is not None and row is not None:
        impersonation.end(request, row, row.operator)
