"""Ollama's own API; its OpenAI-compatible endpoint is read by shape.

Shape ("Generate a completion", "Generate embeddings" in Ollama's API reference): the counts
`prompt_eval_count` and `eval_count` stand at the top level of the body. A prompt that was still in
memory is not evaluated again and older versions then leave its count out: it is unknown, which a
note says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.events import Normalized, Usage
from metering.normalize.counts import count


def matches(raw: Mapping[str, Any]) -> bool:
    return "prompt_eval_count" in raw or "eval_count" in raw


def normalize(raw: Mapping[str, Any], _endpoint: str | None = None) -> Normalized:
    prompt = count(raw.get("prompt_eval_count"), "usage.prompt_eval_count")
    output = count(raw.get("eval_count"), "usage.eval_count")
    if prompt is None and output is None:
        return Normalized(usage=None)
    notes = ("usage.prompt_eval_count is absent; the prompt is counted as 0",) if prompt is None else ()
    return Normalized(usage=Usage(input=prompt or 0, output=output or 0), notes=notes)
