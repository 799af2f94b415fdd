"""What people fill in. allauth finds its sign-up form here by name."""

from accounts.forms.signup import OrganizationSignupForm

__all__ = ["OrganizationSignupForm"]
