"""What the operator types in about a plan."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import validate_slug

from billing.models import Feature, Overage, PlanVersion
from core.days import DayField
from core.money import nanos_from_usd, usd_text

_LARGEST_BIGINT = 2**63 - 1
_LARGEST_INT = 2**31 - 1
_MOST_TRIAL_DAYS = 365
# Words of the operator's addresses.
RESERVED = frozenset({"new", "none"})


def _whole(label: str, most: int, **fields: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label=label, min_value=0, max_value=most, widget=forms.TextInput({"inputmode": "numeric"}), **fields
    )


class TermsForm(forms.Form):
    """The fields of billing.plans.Terms; empty numbers that may be are unlimited."""

    name = forms.CharField(max_length=60)
    position = _whole("Place in the list", 32_767, help_text="Cheapest first.")
    base_fee_nanos = forms.DecimalField(
        label="Fee a period, US dollars",
        min_value=0,
        max_digits=18,
        decimal_places=9,
        widget=forms.TextInput({"inputmode": "decimal"}),
    )
    allowance_tokens = _whole(
        "Tokens a period", _LARGEST_BIGINT, required=False, help_text="Empty is unlimited; 0 includes none."
    )
    overage = forms.ChoiceField(label="Tokens beyond", choices=Overage.choices)
    requests_per_minute = _whole("Requests a minute", _LARGEST_INT, required=False, help_text="Empty is unlimited.")
    tokens_per_minute = _whole("Tokens a minute", _LARGEST_INT, required=False, help_text="Empty is unlimited.")
    trial_days = _whole("Days of trial", _MOST_TRIAL_DAYS, help_text="0 for none.")
    features = forms.MultipleChoiceField(
        label="Includes", choices=Feature.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    is_offered = forms.BooleanField(
        label="On sale",
        required=False,
        help_text="Organizations may choose it themselves. Otherwise the operator puts them on it.",
    )

    def terms(self) -> dict[str, Any]:
        """As billing.plans takes them."""
        given = {name: self.cleaned_data[name] for name in TermsForm.base_fields}
        return given | {
            "base_fee_nanos": nanos_from_usd(given["base_fee_nanos"]),
            "overage": Overage(given["overage"]),
            "features": tuple(sorted(given["features"])),
        }


class NewPlanForm(TermsForm):
    code = forms.CharField(
        max_length=40,
        validators=[validate_slug],
        help_text="For programs: lower-case letters, digits, hyphens. It stays.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    field_order = ("name", "code")

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if code != code.lower():
            raise forms.ValidationError("A code has no capitals.")
        if code in RESERVED:
            raise forms.ValidationError("This word stands for something else. Choose another.")
        return code


class NewVersionForm(TermsForm):
    """`seen` is the number that the version gets: another one that was made meanwhile has it."""

    effective_on = DayField(
        label="From",
        help_text="A day that has begun nowhere. Who has the plan gets it with their next period.",
    )
    seen = forms.IntegerField(widget=forms.HiddenInput)
    field_order = ("effective_on",)


class RetireForm(forms.Form):
    effective_on = DayField(label="First day it is not on sale")


def initial_of(version: PlanVersion) -> dict[str, Any]:
    values = {name: getattr(version, name) for name in TermsForm.base_fields}
    return values | {"base_fee_nanos": usd_text(version.base_fee_nanos)}
