"""Forms of an organization: founding, describing, dividing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.db import transaction

from accounts.countries import COUNTRIES
from accounts.forms.fields import MemberField, RowField, TimezoneField, zone_choices
from accounts.members import active_members
from accounts.models import Department, Organization, Project, Role, Team
from accounts.permissions import Right, may
from core.errors import ApiError


@contextmanager
def refusals_in(form: forms.BaseForm) -> Iterator[None]:
    """What a domain function refuses becomes an error of the form, and leaves no trace."""
    try:
        with transaction.atomic():
            yield
    except ApiError as error:
        form.add_error(error.param if error.param in form.fields else None, error.message)


class NewOrganizationForm(forms.Form):
    name = forms.CharField(label="Name", max_length=120, widget=forms.TextInput({"autocomplete": "organization"}))
    timezone = TimezoneField(help_text="Days, months and budgets begin at midnight here.")


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    timezone = TimezoneField(
        widget=forms.Select, help_text="Days begin at another moment when this changes; figures by day are made again."
    )
    country = forms.ChoiceField(choices=[("", "Not given"), *COUNTRIES], required=False)

    class Meta:
        model = Organization
        fields = [
            "name",
            "timezone",
            "billing_name",
            "billing_email",
            "billing_address",
            "billing_postal_code",
            "billing_city",
            "country",
        ]
        labels = {
            "billing_name": "Name on invoices",
            "billing_email": "Invoices go to",
            "billing_address": "Street and number",
            "billing_postal_code": "Postal code",
            "billing_city": "City",
        }
        widgets = {"billing_address": forms.Textarea({"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields["timezone"]
        if isinstance(zone, forms.ChoiceField) and self.instance.timezone not in dict(zone_choices()):
            zone.choices = [(self.instance.timezone, self.instance.timezone), *zone_choices()]


class InvitationForm(forms.Form):
    email = forms.EmailField(label="E-mail", widget=forms.EmailInput({"autocomplete": "off"}))
    role = forms.ChoiceField(choices=(), initial=Role.MEMBER)
    team = RowField(lambda: Team.objects.order_by("name"), required=False, empty_label="None")

    def __init__(self, *args: Any, giver: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices(giver)  # type: ignore[attr-defined]  # Django's types say Field


class MemberForm(forms.Form):
    role = forms.ChoiceField(choices=())
    external_id = forms.CharField(
        label="External id",
        required=False,
        max_length=200,
        help_text="How usage events call this person, if not by e-mail.",
    )

    def __init__(self, *args: Any, giver: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices(giver)  # type: ignore[attr-defined]  # Django's types say Field


def role_choices(giver: Role) -> list[tuple[str, str]]:
    """Only an owner makes owners."""
    meanings = {
        Role.OWNER: "Owner: everything",
        Role.ADMIN: "Admin: everything but ownership and plan",
        Role.FINANCE: "Finance: money, invoices and reports",
        Role.MEMBER: "Member: their own usage and keys",
        Role.VIEWER: "Viewer: all usage, changes nothing",
    }
    return [(role, text) for role, text in meanings.items() if role != Role.OWNER or may(giver, Right.MANAGE_OWNERS)]


class DepartmentForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = Department
        fields = ["name", "cost_center"]
        labels = {"cost_center": "Cost center"}


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    department = RowField(lambda: Department.objects.order_by("name"), required=False, empty_label="None")

    class Meta:
        model = Team
        fields = ["name", "department"]


class PlaceForm(forms.Form):
    """A member's place in a team."""

    member = MemberField(active_members, empty_label=None)
    is_admin = forms.BooleanField(label="Team admin", required=False, help_text="Looks after the team.")

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        free = active_members().exclude(places__team=team)
        self.fields["member"].queryset = free.order_by("user__email")  # type: ignore[attr-defined]  # Django's types say Field


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    slug = forms.SlugField(
        required=False, max_length=60, help_text="How programs call the project. Made from the name when left empty."
    )
    team = RowField(lambda: Team.objects.order_by("name"), required=False, empty_label="None")

    class Meta:
        model = Project
        fields = ["name", "slug", "team"]

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        return slug or self.instance.slug
