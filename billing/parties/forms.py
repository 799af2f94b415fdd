"""What the operator types in about who sells, and an organization about who buys."""

from __future__ import annotations

from decimal import Decimal

from django import forms

from accounts.countries import COUNTRIES
from accounts.models import Organization
from billing.models import EnteredTaxRate, Seller
from core.days import DayField


class SellerForm(forms.ModelForm):  # type: ignore[type-arg]
    country = forms.ChoiceField(choices=[("", "Choose"), *COUNTRIES])
    payment_days = forms.IntegerField(
        label="Days to pay", min_value=0, max_value=365, help_text="From an invoice’s day to the day it is due."
    )

    class Meta:
        model = Seller
        fields = [
            "name",
            "email",
            "street",
            "postal_code",
            "city",
            "country",
            "tax_number",
            "payment_days",
            "is_registered",
            "uses_one_stop_shop",
            "prices_include_tax",
        ]
        labels = {
            "name": "Legal name",
            "email": "E-mail for questions",
            "street": "Street and number",
            "postal_code": "Postal code",
            "tax_number": "Tax number",
            "is_registered": "Registered for value added tax",
            "uses_one_stop_shop": "Pays foreign consumers’ tax through the one-stop shop",
            "prices_include_tax": "Prices include tax",
        }
        help_texts = {
            "tax_number": "The VAT number, where there is value added tax.",
            "is_registered": "Without it no value added tax is charged; entered rates are.",
            "uses_one_stop_shop": "Consumers in other countries of the Union are charged their own country’s rate.",
            "prices_include_tax": "What is charged stays the same whatever the tax. Otherwise tax is added to it.",
        }
        widgets = {"street": forms.TextInput}


class TaxRateForm(forms.ModelForm):  # type: ignore[type-arg]
    country = forms.ChoiceField(choices=[("", "Choose"), *COUNTRIES])
    percent = forms.DecimalField(
        min_value=0,
        max_value=Decimal("99.999"),
        decimal_places=3,
        widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}),
    )

    class Meta:
        model = EnteredTaxRate
        fields = ["country", "region", "name", "percent", "since"]
        labels = {"since": "First day"}
        help_texts = {
            "region": "Empty for the whole country. As organizations write theirs in their billing details.",
            "name": "As invoices call the tax: “Sales tax”, “MVA”.",
            "since": "Goes before the product’s own table from that day on. Invoices already stated keep their tax.",
        }
        field_classes = {"since": DayField}

    def clean_region(self) -> str:
        region: str = self.cleaned_data["region"]
        return region.strip().upper()


class RateEndForm(forms.Form):
    until = DayField(label="First day without it")


class DetailsForm(forms.ModelForm):  # type: ignore[type-arg]
    """Of an organization and its BillingProfile."""

    country = forms.ChoiceField(choices=[("", "Choose"), *COUNTRIES])
    region = forms.CharField(
        required=False, max_length=10, help_text="State or province, where its tax is another: “CA”, “QC”."
    )
    tax_number = forms.CharField(
        label="VAT number", required=False, max_length=40, help_text="With it, or without, its country first."
    )
    reference = forms.CharField(required=False, max_length=60, help_text="Printed on invoices: an order’s number.")

    class Meta:
        model = Organization
        fields = ["billing_name", "billing_email", "billing_address", "billing_postal_code", "billing_city", "country"]
        labels = {
            "billing_name": "Legal name",
            "billing_email": "Invoices go to",
            "billing_address": "Street and number",
            "billing_postal_code": "Postal code",
            "billing_city": "City",
        }
        widgets = {"billing_address": forms.TextInput}

    def clean_region(self) -> str:
        region: str = self.cleaned_data["region"]
        return region.upper()


class TaxDecisionForm(forms.Form):
    """`number` is the one the operator saw: another is not confirmed by it."""

    number = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)
    is_confirmed = forms.BooleanField(
        label="The tax number is confirmed",
        required=False,
        help_text="By what you saw yourself, or the register told. A business abroad is charged no tax then. "
        "Without it the register decides, where one is asked.",
    )
    exemption = forms.CharField(
        label="Exemption",
        required=False,
        max_length=200,
        help_text="The words of its certificate, as invoices state them. With them no tax is charged.",
    )
