"""The form of when somebody wants to be told."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from accounts.forms.fields import zone_choices
from accounts.models import Organization, validate_timezone
from alerts.models import Rhythm, Timing

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class _Clock(forms.TimeField):
    """A clock time to the minute, shown by the browser's own control."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.TimeInput({"type": "time"}, format="%H:%M"), **kwargs)


class TimingForm(forms.Form):
    timezone = forms.ChoiceField(label="Time zone", required=False)
    quiet_from = _Clock(label="Quiet from", required=False)
    quiet_until = _Clock(label="Quiet until", required=False)
    rhythm = forms.ChoiceField(label="E-mail", choices=Rhythm.choices, widget=forms.RadioSelect)
    digest_at = _Clock(label="Digests go out at")
    digest_weekday = forms.TypedChoiceField(
        label="Weekly ones on", choices=list(enumerate(_WEEKDAYS)), coerce=int, required=False, empty_value="0"
    )

    def __init__(self, data: Any, timing: Timing, organization: Organization) -> None:
        initial = {name: getattr(timing, name) for name in self.base_fields}
        super().__init__(data, initial=initial)
        zones = dict(zone_choices())
        kept = [] if not timing.timezone or timing.timezone in zones else [(timing.timezone, timing.timezone)]
        own = ("", f"The organization’s: {organization.timezone}")
        field: Any = self.fields["timezone"]
        field.choices = [own, *kept, *zones.items()]

    def clean_timezone(self) -> str:
        zone: str = self.cleaned_data["timezone"]
        if zone:
            validate_timezone(zone)
        return zone

    def clean(self) -> None:
        begins: dt.time | None = self.cleaned_data.get("quiet_from")
        ends: dt.time | None = self.cleaned_data.get("quiet_until")
        if "quiet_from" in self.errors or "quiet_until" in self.errors:
            return
        if (begins is None) != (ends is None):
            self.add_error("quiet_until" if ends is None else "quiet_from", "Quiet hours have a beginning and an end.")
        elif begins is not None and begins == ends:
            self.add_error("quiet_until", "Quiet hours end at another time than they begin.")
