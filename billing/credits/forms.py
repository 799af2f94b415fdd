"""What people type in about credits: how many to buy, what is low, and what the operator gives and corrects."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from billing.models import Wallet
from core.days import DayField
from core.money import nanos_from_usd, usd_from_nanos
from core.periods import day_start

_MONEY = {"inputmode": "decimal", "autocomplete": "off"}


class DollarsField(forms.DecimalField):
    """Whole cents, unless told otherwise; cleans to nano-dollars."""

    def __init__(self, decimal_places: int = 2, **given: Any) -> None:
        super().__init__(
            max_digits=12 + decimal_places, decimal_places=decimal_places, widget=forms.TextInput(_MONEY), **given
        )

    def clean(self, value: Any) -> Any:
        dollars = super().clean(value)
        return None if dollars is None else nanos_from_usd(dollars)


class BuyForm(forms.Form):
    amount = DollarsField(label="Amount in US dollars", initial=Decimal(50))


class HandPaymentForm(forms.Form):
    """A purchase that was paid outside of the product."""

    reference = forms.CharField(
        max_length=200,
        help_text="As on the bank statement, for your books.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )


class RulesForm(forms.Form):
    low_below_usd = DollarsField(
        9, label="Credits are low below", required=False, help_text="In US dollars. Empty: it is never told."
    )
    is_automatic = forms.BooleanField(label="Buy credits automatically", required=False)
    below = DollarsField(9, label="Below what they are bought", required=False, help_text="In US dollars.")
    amount = DollarsField(
        label="How much is bought then",
        required=False,
        help_text="In US dollars; as often as it takes to reach the threshold.",
    )

    @classmethod
    def of(cls, wallet: Wallet) -> RulesForm:
        return cls(
            initial={
                "low_below_usd": _typed(wallet.low_below_nanos),
                "is_automatic": wallet.top_up_nanos is not None,
                "below": _typed(wallet.top_up_below_nanos),
                "amount": _typed(wallet.top_up_nanos),
            }
        )

    def without_top_up(self) -> None:
        """Nothing is asked about buying automatically."""
        for name in ("is_automatic", "below", "amount"):
            del self.fields[name]

    def rules(self) -> dict[str, int | None]:
        """What was typed, as billing.credits.wallets.set_rules takes it."""
        given = self.cleaned_data
        is_automatic = given.get("is_automatic", False)
        return {
            "low_below_nanos": given["low_below_usd"],
            "top_up_below_nanos": given["below"] if is_automatic else None,
            "top_up_nanos": given["amount"] if is_automatic else None,
        }

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for name in ("low_below_usd", "below", "amount"):
            if name in given and given[name] is not None and given[name] <= 0:
                self.add_error(name, "More than nothing.")
        if given.get("is_automatic"):
            for name in ("below", "amount"):
                if name in given and given[name] is None:
                    self.add_error(name, "Needed to buy automatically.")
        return given


# ── The operator's ──


class CreditActForm(forms.Form):
    """`token` is made with the form: one that is sent twice counts once."""

    amount = DollarsField(label="Amount in US dollars")
    note = forms.CharField(
        label="Reason",
        max_length=200,
        help_text="Its members read it in their ledger.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    token = forms.UUIDField(widget=forms.HiddenInput)

    @classmethod
    def blank(cls, **initial: Any) -> CreditActForm:
        return cls(initial={"token": uuid.uuid4(), **initial})

    @property
    def source(self) -> str:
        return f"entered {self.cleaned_data['token']}"

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if amount <= 0:
            raise forms.ValidationError("More than nothing.")
        return amount


class GrantForm(CreditActForm):
    last_day = DayField(
        label="Last day",
        required=False,
        help_text="In the organization’s time zone. Empty: they do not expire. Invoices are stated two days after "
        "their period: what is meant for one has to last until then.",
    )
    field_order = ("amount", "last_day", "note", "token")

    def expires_at(self, zone: ZoneInfo) -> dt.datetime | None:
        """The end of the last day."""
        day: dt.date | None = self.cleaned_data["last_day"]
        return None if day is None else day_start(day + dt.timedelta(days=1), zone)


class AdjustForm(CreditActForm):
    """Upwards or downwards."""

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if not amount:
            raise forms.ValidationError("More or less than nothing.")
        return amount

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].help_text = "Below 0 takes credits away."


def _typed(nanos: int | None) -> Decimal | None:
    """Without needless zeros, at least cents."""
    if nanos is None:
        return None
    dollars = usd_from_nanos(nanos).normalize()
    return dollars.quantize(Decimal("0.01")) if -int(dollars.as_tuple().exponent) <= 2 else dollars
