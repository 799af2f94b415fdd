"""Days that are typed or sent: within the years of core/periods.py, or refused where they are read."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from core.periods import FIRST_DAY, LAST_DAY

OUTSIDE = f"This lies outside of the years {FIRST_DAY.year} to {LAST_DAY.year}."


def is_within_years(day: dt.date) -> bool:
    """Of a day, or of a moment by the day it is written with."""
    return FIRST_DAY.year <= day.year <= LAST_DAY.year


def within_years(day: dt.date) -> None:
    """A validator of form, model and serializer fields of days and of moments. Raises ValidationError."""
    if not is_within_years(day):
        raise ValidationError(OUTSIDE, code="outside_of_years")


class DayField(forms.DateField):
    """A day that is chosen from a calendar, or typed."""

    default_validators = [within_years]

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"widget": forms.DateInput({"type": "date"}, format="%Y-%m-%d"), **given})

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return super().widget_attrs(widget) | {"min": FIRST_DAY.isoformat(), "max": LAST_DAY.isoformat()}
