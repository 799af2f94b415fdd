"""Where allauth asks us: who may sign up, and what its mails call this installation."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from accounts.invitation_link import invitation_of


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Everybody, unless the installation is closed; the invited always."""
        return settings.SIGNUP_IS_OPEN or invitation_of(request) is not None

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        names = {"site_name": settings.SITE_NAME, "base_url": settings.BASE_URL}
        super().send_mail(template_prefix, email, {**names, **context})


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Signing up through a provider follows the same rule (allauth asks AccountAdapter)."""
