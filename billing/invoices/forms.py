"""What finance types in when money came for an invoice."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from django import forms

from core.days import DayField

METHODS = ("bank transfer", "direct debit", "check", "cash", "other")


class PaymentForm(forms.Form):
    """`token` is made with the form: one that is sent twice counts once."""

    amount = forms.DecimalField(
        label="Amount in US dollars",
        max_digits=14,
        decimal_places=2,
        help_text="Below 0 for money that went back.",
        widget=forms.TextInput({"inputmode": "decimal"}),
    )
    received_on = DayField(label="Came on")
    method = forms.ChoiceField(label="How", choices=[(one, one.capitalize()) for one in METHODS])
    note = forms.CharField(
        label="Reference", required=False, max_length=200, help_text="As on the bank statement, for your books."
    )
    token = forms.UUIDField(widget=forms.HiddenInput)

    @classmethod
    def blank(cls, due: int, today: dt.date) -> PaymentForm:
        initial: dict[str, Any] = {"amount": Decimal(due).scaleb(-2), "received_on": today, "token": uuid.uuid4()}
        return cls(initial=initial)

    @property
    def minor_units(self) -> int:
        return int(self.cleaned_data["amount"].scaleb(2))

    @property
    def source(self) -> str:
        return f"entered {self.cleaned_data['token']}"
