"""Replicate and IBM watsonx: `input_token_count` beside an output count of each one's own name.

Shapes: Replicate's prediction `metrics` {`input_token_count`, `output_token_count`, `predict_time`};
watsonx text generation `results` [{`input_token_count`, `generated_token_count`}], whole or one
result. Replicate's `predict_time` is hardware time, which no bucket holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.events import Normalized, Usage
from metering.normalize import openai
from metering.normalize.counts import count, sections, within

MARKS = frozenset({"input_token_count", "output_token_count", "generated_token_count"})


def matches(raw: Mapping[str, Any]) -> bool:
    return not MARKS.isdisjoint(raw) or "predict_time" in raw or _is_watsonx(raw) or openai.matches(raw)


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    if openai.matches(raw):
        return openai.read(raw, endpoint)
    results = sections(raw["results"], "usage.results") if _is_watsonx(raw) else [raw]
    prompts: list[int] = []
    outputs: list[int] = []
    for result in results:
        prompt = count(result.get("input_token_count"), "usage.input_token_count")
        output = count(result.get("output_token_count"), "usage.output_token_count")
        if output is None:
            output = count(result.get("generated_token_count"), "usage.generated_token_count")
        prompts += [] if prompt is None else [prompt]
        outputs += [] if output is None else [output]
    if not prompts and not outputs:
        return Normalized(usage=None)
    return Normalized(
        usage=Usage(
            input=within(sum(prompts), "usage.input_token_count"),
            output=within(sum(outputs), "usage.output_token_count"),
        ),
        notes=() if prompts else ("usage.input_token_count is absent; the input is counted as 0",),
    )


def _is_watsonx(raw: Mapping[str, Any]) -> bool:
    results = raw.get("results")
    return isinstance(results, list) and any(
        isinstance(result, Mapping) and not MARKS.isdisjoint(result) for result in results
    )
