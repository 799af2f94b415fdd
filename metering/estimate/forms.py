"""The form of the estimate page: a text, a chat or a file, and which models are asked about."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from metering.estimate.count import Prompt
from metering.events import MAX_COUNT

LARGEST_FILE = LONGEST_TEXT = 5 * 1024 * 1024
MOST_OTHERS = 20
LONGEST_MODEL = 200
_ENDINGS = ".txt,.md,.csv,.tsv,.json,.jsonl,.xml,.html,.css,.js,.ts,.py,.java,.go,.rs,.sql,.yaml,.yml,.log,text/*"
_TEXT, _CHAT = "text", "chat"
_NO_TEXT = (
    "This is no text file. Save a PDF or a document of an office program as text, or paste what it says: "
    "how many tokens a page of it takes is each provider's own affair."
)


class EstimateForm(forms.Form):
    kind = forms.ChoiceField(
        label="What it is",
        choices=[(_TEXT, "A text"), (_CHAT, "A chat: messages as JSON")],
        initial=_TEXT,
        widget=forms.RadioSelect,
    )
    text = forms.CharField(
        label="Text or chat",
        required=False,
        strip=False,
        max_length=LONGEST_TEXT,
        widget=forms.Textarea({"rows": 9, "spellcheck": "false", "class": "tl-mono"}),
        help_text="A chat is a list of messages, or a whole request with messages, system and tools.",
    )
    file = forms.FileField(
        label="Or a file",
        required=False,
        allow_empty_file=True,
        widget=forms.ClearableFileInput({"accept": _ENDINGS}),
        help_text=f"Any text file up to {LARGEST_FILE // 1024 // 1024} MB, instead of the above.",
    )
    model = forms.CharField(
        label="Model",
        max_length=LONGEST_MODEL,
        widget=forms.TextInput({"list": "models", "autocomplete": "off", "spellcheck": "false"}),
        help_text="With its provider where several sell it: groq/llama-3.3-70b-versatile.",
    )
    output_tokens = forms.IntegerField(
        label="Expected output tokens", min_value=0, max_value=MAX_COUNT, initial=500, localize=False
    )
    others = forms.CharField(
        label="Compare with",
        required=False,
        max_length=MOST_OTHERS * LONGEST_MODEL,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false"}),
        help_text=f"Names of models with commas between, at most {MOST_OTHERS}.",
    )

    def clean_file(self) -> UploadedFile[Any] | None:
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        if file is not None and (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(
                f"The file has {filesizeformat(file.size or 0)}; at most {filesizeformat(LARGEST_FILE)} can be read."
            )
        return file

    def clean_model(self) -> str:
        return _known_text(self.cleaned_data["model"])

    def clean_others(self) -> list[str]:
        names = [name.strip() for name in self.cleaned_data["others"].replace("\n", ",").split(",")]
        names = list(dict.fromkeys(_known_text(name) for name in names if name))
        if len(names) > MOST_OTHERS:
            raise forms.ValidationError(f"These are {len(names)} models; at most {MOST_OTHERS} are compared.")
        return names

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        file: UploadedFile[Any] | None = cleaned["file"]
        place = "text" if file is None else "file"
        try:
            text = cleaned["text"] if file is None else _decoded(file.read())
            cleaned["prompt"] = _prompt_of(text, cleaned["kind"])
        except forms.ValidationError as error:
            self.add_error(place, error)
        return cleaned


def _known_text(name: str) -> str:
    # A name is looked up in the database, which refuses this one character.
    return name.replace("\0", "")


def _decoded(data: bytes) -> str:
    """A text file's text. Raises ValidationError for anything else."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = _decoded_western(data)
    if "\0" in text or text.startswith("%PDF-"):
        raise forms.ValidationError(_NO_TEXT)
    return text


def _decoded_western(data: bytes) -> str:
    """Windows-1252, as older programs of Western Europe save texts: hardly any control characters in it."""
    controls = sum(byte < 32 and byte not in b"\t\n\f\r" for byte in data[:65_536])
    try:
        if controls:
            raise forms.ValidationError(_NO_TEXT)
        return data.decode("cp1252")
    except UnicodeDecodeError:
        raise forms.ValidationError(_NO_TEXT) from None


def _prompt_of(text: str, kind: str) -> Prompt:
    if not text.strip():
        raise forms.ValidationError("Paste a text, or choose a file with one.")
    return _chat_of(text) if kind == _CHAT else Prompt(text=text)


def _chat_of(text: str) -> Prompt:
    """Raises ValidationError for what is no chat."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise forms.ValidationError(f"This is no JSON: {error}.") from None
    request = value if isinstance(value, dict) else {"messages": value}
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise forms.ValidationError(
            'A chat is a list of messages such as [{"role": "user", "content": "Hello"}], or an object with messages.'
        )
    return Prompt(messages=messages, system=request.get("system"), tools=request.get("tools"))
