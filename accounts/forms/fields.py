"""Form fields that know about organizations."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable
from typing import Any

from django import forms
from django.db import models
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString


class RowField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """A choice among rows of the organization. `rows` is asked for each form, because a class is in no scope."""

    def __init__(self, rows: Callable[[], models.QuerySet[Any]], **kwargs: Any) -> None:
        super().__init__(queryset=None, **kwargs)
        self.rows = rows

    def __deepcopy__(self, memo: dict[int, Any]) -> RowField:
        field: RowField = super().__deepcopy__(memo)
        field.queryset = self.rows()
        return field


class MemberField(RowField):
    """A choice among memberships, shown by the person's name."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.user)


@functools.cache
def zone_choices() -> list[tuple[str, str]]:
    """The zones people live in; aliases and the like stay valid but are not offered."""
    regions = (
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    )
    names = sorted(name for name in zoneinfo.available_timezones() if name.startswith(regions))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


class GuessingSelect(forms.Select):
    """A select of zones that brings the script which chooses the visitor's own."""

    def __init__(self) -> None:
        super().__init__({"data-timezone": "guess"})

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        return super().render(*args, **kwargs) + format_html(
            '<script defer src="{}"></script>', static("js/timezone.js")
        )


class TimezoneField(forms.ChoiceField):
    """A choice of IANA zone."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", "Time zone")
        kwargs.setdefault("initial", "UTC")
        kwargs.setdefault("widget", GuessingSelect)
        super().__init__(choices=zone_choices, **kwargs)

    def valid_value(self, value: object) -> bool:
        return value in zoneinfo.available_timezones()
