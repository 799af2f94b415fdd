"""Where allauth asks us: who may sign up, and where people land."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from accounts.invitation_link import invitation_of


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Everybody, unless the installation is closed; the invited always."""
        return settings.SIGNUP_IS_OPEN or invitation_of(request) is not None


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Signing up through a provider follows the same rule (allauth asks AccountAdapter)."""
