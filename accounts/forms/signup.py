"""What allauth's sign-up form asks beyond e-mail and password."""

from __future__ import annotations

from typing import Any

from allauth.core import context
from django import forms
from django.http import HttpRequest

from accounts.audit import Actor
from accounts.forms.fields import TimezoneField
from accounts.invitation_link import invitation_of
from accounts.models import Organization, Role, User
from accounts.organizations import create_organization


class OrganizationSignupForm(forms.Form):
    """Base of allauth's form. Who comes by an invitation joins that organization and founds none."""

    name = forms.CharField(label="Your name", max_length=150, widget=forms.TextInput({"autocomplete": "name"}))
    organization = forms.CharField(
        label="Organization",
        max_length=Organization._meta.get_field("name").max_length,  # noqa: SLF001  (Django's documented _meta)
        widget=forms.TextInput({"autocomplete": "organization"}),
    )
    timezone = TimezoneField(help_text="Days, months and budgets begin at midnight here.")

    field_order = ["name", "email", "password1", "organization", "timezone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation_of(context.request)
        if self.invitation is not None:
            del self.fields["organization"], self.fields["timezone"]
            self.initial["email"] = self.invitation.email

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        email = (self.cleaned_data.get("email") or "").lower()
        if self.invitation is not None and email and email != self.invitation.email.lower():
            self.add_error("email", f"The invitation is for {self.invitation.email}.")
        return cleaned

    def signup(self, request: HttpRequest, user: User) -> None:
        """allauth calls this once the user is saved."""
        user.name = self.cleaned_data["name"]
        user.save(update_fields=["name"])
        if self.invitation is None:
            create_organization(
                self.cleaned_data["organization"],
                user,
                by=Actor.of_person(user, request, Role.OWNER),
                timezone=self.cleaned_data["timezone"],
            )
