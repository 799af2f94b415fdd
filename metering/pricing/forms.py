"""The form of a price: by tokens, by the hour of GPUs, or nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from core.days import within_years
from core.errors import ApiError
from metering.events import BUCKETS
from metering.models import PRICED_UNITS
from metering.pricing.overrides import gpu_rate, rate
from metering.pricing.rate import Rate

TOKENS, GPU, FREE = "tokens", "gpu", "free"
HOW = ((TOKENS, "By tokens and units"), (GPU, "By the hour of the GPUs that serve it"), (FREE, "It costs nothing"))
# What most price lists quote; the others unfold.
USUAL = ("input", "cache_read", "output")
UNITS = tuple(unit for unit in PRICED_UNITS if unit != "gpu_hours")
LABELS = {
    "input": "Input",
    "cache_read": "Cached input",
    "cache_write_5m": "Cache write, 5 minutes",
    "cache_write_1h": "Cache write, 1 hour",
    "output": "Output",
    "reasoning": "Reasoning",
    "audio_input": "Audio input",
    "audio_output": "Audio output",
    "image_input": "Image input",
    "image_output": "Image output",
    "web_searches": "A search",
    "images": "An image",
    "requests": "A request",
    "media_hours": "An hour of audio or video",
    "gpu_hours": "A GPU-hour",
}
_MOST_USD = Decimal(10**9)


def _usd(label: str, help_text: str = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=Decimal(0),
        max_value=_MOST_USD,
        decimal_places=9,
        max_digits=19,
        help_text=help_text,
        widget=forms.NumberInput({"inputmode": "decimal", "step": "any"}),
    )


class PriceForm(forms.Form):
    """`values()` are the rates and the period; which fields count is said by `how`."""

    provider = forms.CharField(
        max_length=60, required=False, help_text="As calls name it. Empty: the model of whichever provider."
    )
    model = forms.CharField(max_length=200, help_text="Exactly as calls name it.")
    how = forms.ChoiceField(label="How it is charged", choices=HOW, initial=TOKENS, widget=forms.RadioSelect)
    gpu_usd = _usd("US dollars per GPU-hour")
    gpus = forms.IntegerField(label="GPUs that serve it", required=False, min_value=1, max_value=10_000, initial=1)
    calls_at_once = forms.IntegerField(
        label="Calls that share them",
        required=False,
        min_value=1,
        max_value=100_000,
        initial=1,
        help_text="A call is charged for its own duration, by its share of the GPUs.",
    )
    keeps_list_rates = forms.BooleanField(
        label="Keep the list’s rates of what is left empty",
        required=False,
        initial=True,
        help_text="As they are when this price begins. Without it, what is left empty has no price of its own.",
    )
    valid_from = forms.DateTimeField(
        label="From",
        validators=[within_years],
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    valid_to = forms.DateTimeField(
        label="Until",
        required=False,
        validators=[within_years],
        help_text="Empty: until another price begins.",
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, zone: ZoneInfo, is_listed: bool, **kwargs: Any) -> None:
        """`is_listed`: a price list knows the model, so its rates can be kept."""
        super().__init__(*args, **kwargs)
        self._zone = zone
        self.fields["valid_from"].help_text = f"In the time zone {zone.key}."
        for bucket in BUCKETS:
            self.fields[f"rate_{bucket}"] = _usd(LABELS[bucket])
        for unit in UNITS:
            self.fields[f"rate_{unit}"] = _usd(LABELS[unit])
        if not is_listed:
            del self.fields["keeps_list_rates"]

    @property
    def usual(self) -> list[forms.BoundField]:
        return [self[f"rate_{bucket}"] for bucket in USUAL]

    @property
    def unusual(self) -> list[forms.BoundField]:
        return [self[f"rate_{bucket}"] for bucket in BUCKETS if bucket not in USUAL]

    @property
    def units(self) -> list[forms.BoundField]:
        return [self[f"rate_{unit}"] for unit in UNITS]

    @property
    def has_unusual(self) -> bool:
        """Whether what is folded away has a value or a mistake."""
        return any(bound.value() not in (None, "") or bound.errors for bound in (*self.unusual, *self.units))

    def clean_valid_from(self) -> dt.datetime:
        return self._local(self.cleaned_data["valid_from"])

    def clean_valid_to(self) -> dt.datetime | None:
        at = self.cleaned_data["valid_to"]
        return None if at is None else self._local(at)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        if cleaned["how"] == GPU and cleaned["gpu_usd"] is None:
            self.add_error("gpu_usd", "Say what a GPU-hour costs.")
            return cleaned
        try:
            cleaned["rates"] = tuple(self._rates(cleaned))
        except ApiError as error:
            self.add_error(None, error.message)
        return cleaned

    def _rates(self, cleaned: dict[str, Any]) -> Iterable[Rate]:
        if cleaned["how"] == GPU:
            yield gpu_rate(cleaned["gpu_usd"], gpus=cleaned["gpus"] or 1, calls_at_once=cleaned["calls_at_once"] or 1)
        elif cleaned["how"] == TOKENS:
            for bucket in (*BUCKETS, *UNITS):
                usd = cleaned[f"rate_{bucket}"]
                if usd is not None:
                    yield rate(bucket, usd)

    def _local(self, at: dt.datetime) -> dt.datetime:
        """Fields of date and time carry no offset: what was typed is the organization's clock."""
        return at.replace(tzinfo=self._zone)
