"""Forms of webhooks."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from alerts.catalogue import KINDS
from alerts.models import Webhook
from alerts.webhooks import records
from core.days import within_years

OVERLAPS = [
    (0, "At once"),
    (3600, "After an hour"),
    (86400, "After a day"),
    (604800, "After a week"),
]


class WebhookForm(forms.Form):
    url = forms.CharField(
        label="Address",
        max_length=records.LONGEST_URL,
        widget=forms.URLInput({"placeholder": "https://", "autocomplete": "off"}),
        help_text="Messages are sent here as POST requests, signed.",
    )
    description = forms.CharField(max_length=200, required=False, help_text="What it is for, in your words.")
    hears_all = forms.BooleanField(label="Every event, those to come included", required=False)
    events = forms.MultipleChoiceField(
        label="Events",
        choices=[(kind.name, f"{kind.name}: {kind.about}") for kind in KINDS.values()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    usage_threshold_percent = forms.IntegerField(
        label="Usage threshold, percent of the allowance",
        required=False,
        min_value=1,
        max_value=records.LARGEST["usage_threshold_percent"],
        help_text="Told usage.threshold when so much of the period’s allowance is used, beside your rules.",
    )
    credits_low_threshold = forms.IntegerField(
        label="Low credits",
        required=False,
        min_value=1,
        max_value=records.LARGEST["credits_low_threshold"],
        help_text="Told credits.low below so many credits, in place of what the organization calls low.",
    )

    def __init__(self, *args: Any, webhook: Webhook | None = None, **kwargs: Any) -> None:
        if webhook is not None:
            hears_all = records.EVERYTHING in webhook.events
            kwargs["initial"] = {name: getattr(webhook, name) for name in records.FIELDS} | {
                "hears_all": hears_all,
                "events": [] if hears_all else webhook.events,
            }
        super().__init__(*args, **kwargs)

    def values(self) -> dict[str, Any]:
        """As records.create and records.change take them."""
        events = [records.EVERYTHING] if self.cleaned_data["hears_all"] else self.cleaned_data["events"]
        return {name: self.cleaned_data[name] for name in records.FIELDS} | {"events": events}


class RotationForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label="The former secret ends", choices=OVERLAPS, coerce=int, initial=86400, widget=forms.RadioSelect
    )

    def span(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.cleaned_data["overlap"])


class ReplayForm(forms.Form):
    since = forms.DateTimeField(
        label="Since",
        validators=[within_years],
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="In the organization’s zone.",
    )
    with_delivered = forms.BooleanField(label="Also what was delivered", required=False)

    def since_in(self, zone: ZoneInfo) -> dt.datetime:
        """The field is in no zone: Django took it for one in UTC."""
        since: dt.datetime = self.cleaned_data["since"]
        return since.replace(tzinfo=zone)
