"""Forms of the import pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from accounts.forms.fields import RowField, zone_choices
from accounts.models import Project
from metering.imports.course import Sample
from metering.imports.mapping import ColumnMap, MappingError, check, shown, value_at
from metering.imports.recognize import check_start
from metering.imports.records import LARGEST_UPLOAD

SHOWN_VALUES = 2


class UploadForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text=f"CSV or JSON lines, also compressed with gzip, up to {LARGEST_UPLOAD // 1024 // 1024} MB. "
        "Larger ones go in by the command import_usage.",
        widget=forms.ClearableFileInput({"accept": ".csv,.tsv,.jsonl,.ndjson,.gz,text/csv,application/gzip"}),
    )

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        size = file.size or 0
        if size > LARGEST_UPLOAD:
            raise forms.ValidationError(
                f"The file has {filesizeformat(size)}; at most {filesizeformat(LARGEST_UPLOAD)} can be uploaded."
            )
        return file


class ColumnRow:
    """A column on the page: its name, its first values, and the field to say what it is."""

    def __init__(self, column: str, values: Sequence[str], bound: forms.BoundField) -> None:
        self.column = column
        self.values = values
        self.bound = bound


class MappingForm(forms.Form):
    """What each column is, and what the file does not say. Begins with the mapping it is given."""

    constants = forms.CharField(
        label="Where a row does not say",
        required=False,
        widget=forms.Textarea({"rows": 2, "spellcheck": "false", "class": "tl-mono"}),
        help_text="One a line: field = text, such as model = gpt-4o. {column} stands for the row's value.",
    )
    only = forms.CharField(
        label="Only rows with",
        required=False,
        widget=forms.Textarea({"rows": 1, "spellcheck": "false", "class": "tl-mono"}),
        help_text="One a line: column = value.",
    )
    zone_name = forms.ChoiceField(
        label="Time zone of times without one", choices=zone_choices, help_text="Times with an offset keep theirs."
    )
    start = forms.CharField(
        label="Start of the recording",
        required=False,
        help_text="For times that count from a start: 2026-11-01T00:00:00Z.",
    )
    project = RowField(
        lambda: Project.objects.filter(archived_at=None).order_by("name"),
        label="Project",
        required=False,
        empty_label="None",
        to_field_name="slug",
        help_text="Of rows that name none.",
    )

    def __init__(self, data: Any, sample: Sample, mapping: ColumnMap, project: str) -> None:
        self._sample = sample
        self._proposed = mapping
        proposed = dict(mapping.columns)
        self.columns = list(dict.fromkeys((*sample.columns, *proposed)))
        initial = {
            "constants": "\n".join(f"{field} = {text}" for field, text in mapping.constants),
            "only": "\n".join(f"{column} = {value}" for column, value in mapping.only),
            "zone_name": mapping.zone_name,
            "start": mapping.start.isoformat().replace("+00:00", "Z") if mapping.start else "",
            "project": project or None,
        }
        super().__init__(data, initial=initial)
        for place, column in enumerate(self.columns):
            self.fields[f"column_{place}"] = forms.CharField(
                label=f"What {column} is",
                required=False,
                max_length=200,
                initial=proposed.get(column, ""),
                widget=forms.TextInput(
                    {"list": "fields", "autocomplete": "off", "placeholder": "Left out", "class": "form-control"}
                ),
            )

    @property
    def rows(self) -> list[ColumnRow]:
        found = []
        for place, column in enumerate(self.columns):
            values = (shown(value_at(row, column)) for row in self._sample.values)
            first = list(dict.fromkeys(value for value in values if value))[:SHOWN_VALUES]
            bound = self[f"column_{place}"]
            if bound.errors:
                bound.field.widget.attrs["class"] = "form-control is-invalid"
            found.append(ColumnRow(column, first, bound))
        return found

    @property
    def general(self) -> list[forms.BoundField]:
        return [self[name] for name in ("constants", "zone_name", "start", "project", "only")]

    def clean_start(self) -> dt.datetime | None:
        text: str = self.cleaned_data["start"].strip()
        if not text:
            return None
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            raise forms.ValidationError("This is no time. Write 2026-11-01T00:00:00Z.") from None
        if moment.tzinfo is None:
            raise forms.ValidationError("The start needs its offset: 2026-11-01T00:00:00Z.")
        return moment

    def clean_constants(self) -> tuple[tuple[str, str], ...]:
        return tuple(_pairs(self.cleaned_data["constants"], "field = text"))

    def clean_only(self) -> tuple[tuple[str, str], ...]:
        return tuple(_pairs(self.cleaned_data["only"], "column = value"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        mapping = self._mapping(cleaned)
        try:
            check(mapping, self._sample.columns)
            check_start(mapping, self._sample.values)
        except MappingError as error:
            place = self.columns.index(error.column) if error.column in self.columns else None
            self.add_error(None if place is None else f"column_{place}", error.message)
        cleaned["mapping"] = mapping
        return cleaned

    def _mapping(self, cleaned: dict[str, Any]) -> ColumnMap:
        named = {column: cleaned[f"column_{place}"].strip() for place, column in enumerate(self.columns)}
        # Where several columns give one field, the proposal's order of preference holds.
        order = {pair: place for place, pair in enumerate(self._proposed.columns)}
        pairs = [(column, field) for column, field in named.items() if field]
        pairs.sort(key=lambda pair: order.get(pair, len(order)))
        return msgspec.structs.replace(
            self._proposed,
            columns=tuple(pairs),
            constants=cleaned["constants"],
            only=cleaned["only"],
            zone_name=cleaned["zone_name"],
            start=cleaned["start"],
        )


def _pairs(text: str, form: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        if not line.strip():
            continue
        left, sign, right = line.partition("=")
        if not sign or not left.strip():
            raise forms.ValidationError(f"Write {form}, not {line.strip()[:80]}.")
        yield left.strip(), right.strip()
