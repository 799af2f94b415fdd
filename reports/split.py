"""What a call's tokens are made of: message, context and files going in, answer and tool output coming out."""

from __future__ import annotations

from typing import Any

import msgspec

from core import figures as words
from metering.events import COMPLETION_BUCKETS, PROMPT_BUCKETS, Usage
from metering.query.events import EventRow

BUCKET_LABELS = {
    "input": "Input",
    "cache_read": "Cache read",
    "cache_write_5m": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h",
    "audio_input": "Audio in",
    "image_input": "Images in",
    "output": "Output",
    "reasoning": "Reasoning",
    "audio_output": "Audio out",
    "image_output": "Images out",
}
UNIT_LABELS = {
    "web_searches": "Web searches",
    "images": "Images",
    "media_hours": "Audio or video",
    "gpu_hours": "GPU time",
    "requests": "Requests",
}
# How a sender's parts are drawn and called; a part of another name is drawn as what the provider did not tell apart.
INPUT_PARTS = {"message": ("input", "Message"), "context": ("context", "Context"), "files": ("files", "Files")}
OUTPUT_PARTS = {"answer": ("output", "Answer"), "tool_output": ("tool", "Tool output"), "tool": ("tool", "Tool output")}
LEGEND = (*INPUT_PARTS.values(), ("cached", "Cache and other input"), *list(OUTPUT_PARTS.values())[:2],
          ("reasoning", "Reasoning and other output"))  # fmt: skip
_OTHER_INPUT, _OTHER_OUTPUT = "cached", "reasoning"
_BUCKET_KINDS = {"input": "input", "output": "output"}


class Part(msgspec.Struct, frozen=True):
    """`kind` is its color, as in series.css."""

    kind: str
    label: str
    tokens: int


class Split(msgspec.Struct, frozen=True):
    """The parts of a prompt and of an answer: as the sender told them if `is_told`, else the provider's buckets."""

    input: tuple[Part, ...]
    output: tuple[Part, ...]
    is_told: bool

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.input + self.output

    @property
    def drawn(self) -> list[tuple[str, int]]:
        return [(part.kind, part.tokens) for part in self.parts]

    @property
    def words(self) -> str:
        return ", ".join(f"{part.label.lower()} {words.tokens(part.tokens)}" for part in self.parts)

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.parts)


def split_of(event: EventRow) -> Split | None:
    """None when it is not known what the call used, or it used no tokens."""
    usage = event.usage
    if usage is None or not usage.total_tokens:
        return None
    told_in, told_out = event.detail.get("input_parts"), event.detail.get("output_parts")
    return Split(
        _told(told_in, INPUT_PARTS, _OTHER_INPUT, usage.prompt_tokens, "Other input")
        or _buckets(usage, PROMPT_BUCKETS, _OTHER_INPUT),
        _told(told_out, OUTPUT_PARTS, _OTHER_OUTPUT, usage.completion_tokens, _rest_of_answer(usage))
        or _buckets(usage, COMPLETION_BUCKETS, _OTHER_OUTPUT),
        is_told=bool(told_in or told_out),
    )


def _told(
    parts: dict[str, Any] | None, known: dict[str, tuple[str, str]], other: str, tokens: int, rest_label: str
) -> tuple[Part, ...]:
    """The sender's parts, and what the provider counted beyond them."""
    if not parts:
        return ()
    rest = tokens - sum(parts.values())
    named = [
        Part(*known.get(name, (other, name.replace("_", " ").capitalize())), parts[name])
        for name in (*(n for n in known if n in parts), *sorted(parts.keys() - known.keys()))
        if parts[name]
    ]
    return (*named, Part(other, rest_label, rest)) if rest > 0 else tuple(named)


def _rest_of_answer(usage: Usage) -> str:
    return "Reasoning" if usage.reasoning else "Other output"


def _buckets(usage: Usage, names: tuple[str, ...], other: str) -> tuple[Part, ...]:
    return tuple(
        Part(_BUCKET_KINDS.get(name, other), BUCKET_LABELS[name], getattr(usage, name))
        for name in names
        if getattr(usage, name)
    )
