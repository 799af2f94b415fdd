"""The form of a usage note, the same for who types with scripts, without, and for what a phone kept while offline."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from accounts.forms.fields import RowField
from accounts.models import Project
from core.money import nanos_from_usd
from metering.events import MAX_COUNT
from metering.ingest.document import EARLIEST, FUTURE_TOLERANCE, LONGEST_NAME
from metering.models.notes import LONGEST_TEXT
from metering.notes import NoteDraft

_TIME = "%Y-%m-%dT%H:%M"
_NUMERIC = {"inputmode": "numeric", "autocomplete": "off"}
# Where the contract speaks of an event's field, the form's.
_FIELDS = {"usage": "prompt_tokens"}


class NoteForm(forms.Form):
    """Times are the organization's zone's."""

    note_id = forms.UUIDField(widget=forms.HiddenInput)
    model = forms.CharField(
        max_length=LONGEST_NAME,
        widget=forms.TextInput({"list": "models", "autocomplete": "off", "spellcheck": "false"}),
    )
    prompt_tokens = forms.IntegerField(
        label="Tokens in", required=False, min_value=0, max_value=MAX_COUNT, widget=forms.NumberInput(_NUMERIC)
    )
    completion_tokens = forms.IntegerField(
        label="Tokens out", required=False, min_value=0, max_value=MAX_COUNT, widget=forms.NumberInput(_NUMERIC)
    )
    stated_cost = forms.DecimalField(
        label="Cost you were shown, $",
        required=False,
        min_value=Decimal(0),
        max_value=Decimal(1_000_000),
        decimal_places=9,
        widget=forms.NumberInput({"inputmode": "decimal", "autocomplete": "off", "step": "any"}),
        help_text="Kept beside the note. Totals have the cost that follows from tokens and price.",
    )
    occurred_at = forms.DateTimeField(
        label="When",
        input_formats=[_TIME, f"{_TIME}:%S"],
        widget=forms.DateTimeInput({"type": "datetime-local"}, format=_TIME),
    )
    project = RowField(
        lambda: Project.objects.filter(archived_at=None).order_by("name"),
        required=False,
        empty_label="None",
        to_field_name="slug",
    )
    feature = forms.CharField(required=False, max_length=LONGEST_NAME)
    text = forms.CharField(
        label="Note",
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea({"rows": 2}),
    )

    def __init__(self, data: Any, zone: ZoneInfo, at: dt.datetime) -> None:
        self._zone, self._at = zone, at
        local = at.astimezone(zone).replace(tzinfo=None)
        super().__init__(data, initial={"note_id": uuid.uuid4(), "occurred_at": local})

    def clean_occurred_at(self) -> dt.datetime:
        # The field has read it in the zone of the process.
        at: dt.datetime = self.cleaned_data["occurred_at"].replace(tzinfo=self._zone)
        if at < EARLIEST:
            raise forms.ValidationError(f"This is before {EARLIEST:%Y}.")
        if at > self._at + FUTURE_TOLERANCE:
            raise forms.ValidationError("This is in the future.")
        return at

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        missing = [name for name in ("prompt_tokens", "completion_tokens") if cleaned.get(name) is None]
        if self.errors:
            return cleaned
        if len(missing) == 1:
            # Half of what a call used would be priced as all of it.
            self.add_error(missing[0], "Say these too, 0 where there were none; or leave both empty.")
        elif missing and cleaned.get("stated_cost") is None:
            self.add_error("prompt_tokens", "Say the tokens, or what the call cost.")
        return cleaned

    def draft(self) -> NoteDraft:
        cleaned = self.cleaned_data
        return NoteDraft(
            note_id=cleaned["note_id"],
            model=cleaned["model"],
            occurred_at=cleaned["occurred_at"],
            prompt_tokens=cleaned["prompt_tokens"],
            completion_tokens=cleaned["completion_tokens"],
            project=cleaned["project"].slug if cleaned["project"] else None,
            feature=cleaned["feature"] or None,
            text=cleaned["text"],
            stated_cost_nanos=None if cleaned["stated_cost"] is None else nanos_from_usd(cleaned["stated_cost"]),
        )

    def refuse(self, message: str, param: str | None) -> None:
        """Say what the ledger said, at the field it spoke of."""
        field = _FIELDS.get(param or "", (param or "").partition(".")[0])
        self.add_error(field if field in self.fields else None, message)
