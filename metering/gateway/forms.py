"""The form of an upstream."""

from __future__ import annotations

from typing import Any

from django import forms

from metering.gateway.upstreams import EVERYTHING, LONGEST_CREDENTIAL
from metering.models import Protocol, Upstream

# What a new upstream begins with, by the protocol asked for.
BEGINNINGS: dict[str, dict[str, str]] = {
    Protocol.OPENAI: {"name": "OpenAI", "base_url": "https://api.openai.com/v1"},
    Protocol.ANTHROPIC: {"name": "Anthropic", "base_url": "https://api.anthropic.com"},
}


class UpstreamForm(forms.Form):
    name = forms.CharField(max_length=60, help_text="How people here call it.")
    protocol = forms.ChoiceField(
        choices=[
            (Protocol.OPENAI, "OpenAI: chat completions, responses, embeddings; most servers and providers"),
            (Protocol.ANTHROPIC, "Anthropic: messages"),
        ],
        widget=forms.RadioSelect,
        initial=Protocol.OPENAI,
    )
    base_url = forms.CharField(
        label="Address",
        max_length=500,
        widget=forms.URLInput({"placeholder": "https://", "spellcheck": "false"}),
        help_text="With the version for OpenAI’s protocol (https://api.openai.com/v1), "
        "without for Anthropic’s (https://api.anthropic.com).",
    )
    credential = forms.CharField(
        required=False,
        max_length=LONGEST_CREDENTIAL,
        # Not a log-in: browsers must neither offer nor keep it.
        widget=forms.PasswordInput({"autocomplete": "new-password", "spellcheck": "false"}),
        help_text="The provider’s API key. Stored encrypted and never shown again. A server of your own may need none.",
    )
    removes_credential = forms.BooleanField(label="Remove the stored credential", required=False)
    models = forms.CharField(
        max_length=40_000,
        initial=EVERYTHING,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false", "class": "tl-mono"}),
        help_text="One a line, with * for any characters: gpt-4o*. A lone * takes every model.",
    )
    provider = forms.CharField(
        required=False,
        max_length=60,
        widget=forms.TextInput({"spellcheck": "false", "autocapitalize": "none"}),
        help_text="Whose prices apply, such as openai or together. Left empty, the address tells.",
    )
    timeout_seconds = forms.IntegerField(
        label="Longest silence, in seconds",
        min_value=1,
        max_value=3600,
        initial=600,
        help_text="After it the call is given up, or goes to the next upstream while nothing has come back.",
    )

    def __init__(self, *args: Any, upstream: Upstream | None = None, **kwargs: Any) -> None:
        """`upstream` is the one to change, None for a new one."""
        if upstream is not None:
            kwargs["initial"] = {
                "name": upstream.name,
                "protocol": upstream.protocol,
                "base_url": upstream.base_url,
                "models": "\n".join(upstream.models),
                "provider": upstream.provider,
                "timeout_seconds": upstream.timeout_seconds,
            }
        super().__init__(*args, **kwargs)
        if upstream is None or upstream.credential is None:
            del self.fields["removes_credential"]
        else:
            self.fields["credential"].help_text = (
                f"One is stored{f', …{upstream.credential_hint}' if upstream.credential_hint else ''}. "
                "Left empty, it stays. Another server needs it again."
            )

    def clean_models(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["models"].splitlines() if line.strip()]

    def values(self) -> dict[str, Any]:
        """For create_upstream and update_upstream: a credential only where one was entered or removed."""
        values = dict(self.cleaned_data)
        is_removed = values.pop("removes_credential", False)
        if not values["credential"]:
            del values["credential"]
            if is_removed:
                values["credential"] = None
        return values
