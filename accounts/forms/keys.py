"""Forms of API keys and of the audit log's filter."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from accounts.forms.fields import MemberField, RowField
from accounts.keys import OWN_KEY_SCOPES
from accounts.members import active_members
from accounts.models import Project, Scope
from core.days import DayField

OVERLAPS = [
    (0, "At once"),
    (3600, "For an hour"),
    (86400, "For a day"),
    (604800, "For a week"),
    (2592000, "For 30 days"),
]


class KeyForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="Where it is used, such as search-prod.")
    scopes = forms.MultipleChoiceField(
        label="What it may do", choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=[Scope.USAGE_WRITE]
    )
    project = RowField(
        lambda: Project.objects.filter(archived_at=None).order_by("name"),
        required=False,
        empty_label="None",
        help_text="Usage that names no project counts for this one.",
    )
    member = MemberField(
        lambda: active_members().order_by("user__email"),
        required=False,
        empty_label="Nobody, a service",
        label="Belongs to",
        help_text="The key ends with their membership.",
    )
    expires_on = DayField(
        label="Works until",
        required=False,
        help_text="The end of this day in the organization's zone.",
    )
    requests_per_minute = forms.IntegerField(
        label="Requests per minute",
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        help_text="Through the gateway. Empty is unlimited, 0 lets nothing through.",
    )
    tokens_per_minute = forms.IntegerField(label="Tokens per minute", required=False, min_value=0, max_value=2**31 - 1)

    def __init__(self, *args: Any, zone: ZoneInfo, is_own: bool, **kwargs: Any) -> None:
        """`is_own`: a member makes a key for themselves, which cannot read everybody's usage."""
        super().__init__(*args, **kwargs)
        self.zone = zone
        if is_own:
            del self.fields["member"]
            self.fields["scopes"].choices = [  # type: ignore[attr-defined]
                (scope.value, scope.label) for scope in Scope if scope in OWN_KEY_SCOPES
            ]

    def values(self) -> dict[str, Any]:
        """As keys.create_key and keys.update_key take them."""
        values = {name: self.cleaned_data[name] for name in self.fields if name != "expires_on"}
        values["expires_at"] = _end_of_day(self.cleaned_data["expires_on"], self.zone)
        return values


class KeyChangeForm(KeyForm):
    """A key's owner does not change."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("member", None)


class RotationForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label="The old key keeps working", choices=OVERLAPS, coerce=int, initial=86400, widget=forms.RadioSelect
    )

    def span(self) -> timedelta:
        return timedelta(seconds=self.cleaned_data["overlap"])


_CONTROL = {"class": "form-control"}
# What the log's actions begin with, or are, as people look for them.
AUDITED = [
    ("", "Everything"),
    (
        "Organization",
        [
            ("organization", "Organization"),
            ("member", "Members"),
            ("invitation", "Invitations"),
            ("team", "Teams"),
            ("department", "Departments"),
            ("project", "Projects"),
            ("key", "Keys"),
            ("view", "Views"),
            ("impersonation", "Operator in a member’s place"),
        ],
    ),
    (
        "Money",
        [
            ("subscription", "Plan"),
            ("plan", "Terms of the plan"),
            ("suspension", "Calls suspended by the operator"),
            ("budget", "Budgets"),
            ("credits", "Credits"),
            ("invoice", "Invoices"),
            ("invoice.payment", "Payments"),
            ("billing", "Billing details and tax"),
            ("provider_statement", "Reconciliation"),
        ],
    ),
    (
        "Usage",
        [
            ("price", "Prices"),
            ("price_alias", "Names of models"),
            ("prices", "Repricing"),
            ("upstream", "Upstreams"),
            ("webhook", "Webhooks"),
            ("usage", "Imports"),
        ],
    ),
]


class AuditFilterForm(forms.Form):
    """Draws the filter; accounts.audit_log.Filter reads it."""

    start = DayField(label="From", required=False, widget=forms.DateInput({"type": "date", **_CONTROL}))
    end = DayField(label="To", required=False, widget=forms.DateInput({"type": "date", **_CONTROL}))
    actor = forms.CharField(label="Who", required=False, max_length=254, widget=forms.TextInput(_CONTROL))
    action = forms.ChoiceField(label="What", required=False, choices=(), widget=forms.Select({"class": "form-select"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The query string uses the API's names.
        for name, parameter in (("start", "from"), ("end", "to")):
            self.fields[parameter] = self.fields.pop(name)
        # A field has choices where it is one of choices; Django's types say only Field.
        self.fields["action"].choices = AUDITED  # type: ignore[attr-defined]
        self.order_fields(["from", "to", "actor", "action"])


def _end_of_day(day: date | None, zone: ZoneInfo) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
