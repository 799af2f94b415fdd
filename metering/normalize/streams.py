"""The usage of a whole stream, from its chunks.

Counts in streams are cumulative, so the last object wins. Some providers send it in pieces: Anthropic
the prompt in `message_start` and the output in `message_delta`, Gemini, Llama and Titan whatever they
know by then. Those are merged, a later count replacing an earlier one and null replacing nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from metering.normalize.locate import INVOCATION_METRICS, usage_in

ANTHROPIC_EVENTS = ("message_start", "message_delta")
WHOLE = ("prompt_tokens", "total_tokens", "totalTokens")


def fold_stream(chunks: Iterable[object], *, provider: str | None = None) -> Mapping[str, Any] | None:
    """The raw usage object of a stream, None where no chunk says anything: unknown, never 0.

    Of an Anthropic stream that was cut off before `message_delta` it holds what `message_start`
    knew: the prompt, and an output count that is only a beginning.
    `provider` is accepted for symmetry with `normalize`; every shape is told by its own names.
    """
    del provider
    folded: Mapping[str, Any] | None = None
    platform: Mapping[str, Any] | None = None
    for chunk in chunks:
        if not isinstance(chunk, Mapping):
            continue
        found = usage_in(chunk)
        if found is None:
            continue
        if found is chunk.get(INVOCATION_METRICS):
            platform = found
        elif folded is None or _is_whole(chunk, found):
            folded = found
        else:
            folded = _merge(folded, found)
    return platform if folded is None else folded


def _is_whole(chunk: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return chunk.get("type") not in ANTHROPIC_EVENTS and any(name in found for name in WHOLE)


def _merge(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(earlier)
    written = later.get("cache_creation_input_tokens")
    if written is not None and written != earlier.get("cache_creation_input_tokens"):
        # The start's split by lifetime belongs to the start's count; beside another one it would contradict it.
        merged.pop("cache_creation", None)
    merged.update((name, value) for name, value in later.items() if value is not None)
    return merged
