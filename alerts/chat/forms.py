"""The form of a room in a chat program."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import Team
from alerts.catalogue import KINDS
from alerts.chat.rooms import LONGEST_ADDRESS, shown
from alerts.models import ChatChannel, Dialect

# What rooms are mostly for.
_USUAL = ("usage.threshold", "usage.anomaly", "rate_limit.frequent", "budget.threshold", "calls.suspended")


class RoomForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="How people here call it, such as #ml-costs.")
    dialect = forms.ChoiceField(
        label="Program", choices=Dialect.choices, widget=forms.RadioSelect, initial=Dialect.SLACK
    )
    address = forms.CharField(
        label="Address of the incoming webhook",
        max_length=LONGEST_ADDRESS,
        # A secret: browsers must neither offer nor keep it.
        widget=forms.PasswordInput({"autocomplete": "new-password", "spellcheck": "false", "placeholder": "https://"}),
        help_text="Stored encrypted and never shown again: who knows it can write into the room.",
    )
    kinds = forms.MultipleChoiceField(label="What is told there", widget=forms.CheckboxSelectMultiple, initial=_USUAL)
    team = forms.TypedChoiceField(
        label="Only about", required=False, coerce=int, empty_value=None, help_text="A team, its projects and people."
    )

    def __init__(self, *args: Any, room: ChatChannel | None = None, **kwargs: Any) -> None:
        """`room` is the one to change, None for a new one."""
        if room is not None:
            kwargs["initial"] = {
                "name": room.name, "dialect": room.dialect, "kinds": room.kinds, "team": room.team_ref,
            }  # fmt: skip
        super().__init__(*args, **kwargs)
        kinds: Any = self.fields["kinds"]
        kinds.choices = [(kind.name, kind.title) for kind in KINDS.values()]
        team: Any = self.fields["team"]
        teams = [(each.pk, each.name) for each in Team.objects.order_by("name")]
        team.choices = [("", "Everything"), *teams]
        if room is not None:
            if room.team_ref is not None and room.team_ref not in dict(teams):
                team.choices.append((room.team_ref, "A team that is gone: nothing"))
            self.fields["address"].required = False
            self.fields["address"].help_text = f"One is stored: {shown(room)}. Leave it empty to keep it."

    def values(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "name": given["name"], "dialect": given["dialect"], "kinds": given["kinds"], "team_ref": given["team"],
        }  # fmt: skip
