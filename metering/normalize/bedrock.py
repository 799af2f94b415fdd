"""Amazon Bedrock: Converse, InvokeModel and their streams.

Shapes, by their names in the Bedrock guides:

- `TokenUsage` (Converse): `inputTokens`, `outputTokens`, `totalTokens`, `cacheReadInputTokens`,
  `cacheWriteInputTokens` (both beside `inputTokens`), `cacheDetails` [{`ttl`, `inputTokens`}].
- `amazon-bedrock-invocationMetrics` (last chunk of a stream): `inputTokenCount`, `outputTokenCount`, …
- Titan: `inputTextTokenCount`, `results` [{`tokenCount`}] or `totalOutputTextTokenCount` in a stream.
- Llama: `prompt_token_count`, `generation_token_count`.
- Response headers `x-amzn-bedrock-input-token-count`, …, whose values are strings by nature.

Claude, Mistral, Cohere and OpenAI models answer InvokeModel in their own shape and are read by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.events import Normalized, Usage
from metering.normalize.counts import count, optional, sections, within

HEADER = "x-amzn-bedrock-"
INPUT = ("inputTokens", "inputTokenCount", "inputTextTokenCount", "prompt_token_count", f"{HEADER}input-token-count")
OUTPUT = (
    "outputTokens", "outputTokenCount", "totalOutputTextTokenCount", "generation_token_count",
    f"{HEADER}output-token-count",
)  # fmt: skip
CACHE_READ = ("cacheReadInputTokens", "cacheReadInputTokenCount", f"{HEADER}cache-read-input-token-count")
CACHE_WRITE = ("cacheWriteInputTokens", "cacheWriteInputTokenCount", f"{HEADER}cache-write-input-token-count")
MARKS = frozenset(name for name in INPUT + OUTPUT + CACHE_READ + CACHE_WRITE if not name.startswith(HEADER))

Notes = tuple[str, ...]


def matches(raw: Mapping[str, Any]) -> bool:
    if "candidates_token_count" in raw or "total_token_count" in raw:
        return False
    return not MARKS.isdisjoint(raw) or any(_is_header(name) for name in raw)


def normalize(raw: Mapping[str, Any], _endpoint: str | None = None) -> Normalized:
    if MARKS.isdisjoint(raw):
        raw = {name.lower(): _number(value) for name, value in raw.items() if _is_header(name)}
    fresh, notes = _first(raw, INPUT)
    output, more = _first(raw, OUTPUT)
    notes += more
    cached, more = _first(raw, CACHE_READ)
    notes += more
    written, more = _first(raw, CACHE_WRITE)
    notes += more
    if output is None and "results" in raw:
        output = _titan_output(raw["results"])
    if fresh is None and output is None and cached is None and written is None:
        return Normalized(usage=None)
    if fresh is None:
        notes += ("the input tokens are absent; they are counted as 0",)
    fresh, output, cached, written = fresh or 0, output or 0, cached or 0, written or 0

    hour = 0
    for index, detail in enumerate(sections(raw.get("cacheDetails"), "usage.cacheDetails")):
        if detail.get("ttl") == "1h":
            hour += optional(detail.get("inputTokens"), f"usage.cacheDetails[{index}].inputTokens")
    if hour > written:
        notes += (f"{hour} tokens written for an hour exceed the {written} written; only as many are counted",)
        hour = written

    total = count(raw.get("totalTokens"), "usage.totalTokens")
    parts = fresh + output + cached + written
    if total is not None and total != parts:
        notes += (f"usage.totalTokens is {total}, its parts sum to {parts}; the parts are kept",)
    return Normalized(
        usage=Usage(input=fresh, cache_read=cached, cache_write_5m=written - hour, cache_write_1h=hour, output=output),
        notes=notes,
    )


def _first(raw: Mapping[str, Any], names: tuple[str, ...]) -> tuple[int | None, Notes]:
    """One fact under several names: Converse sends the cache counts twice."""
    found: int | None = None
    for name in names:
        value = count(raw.get(name), f"usage.{name}")
        if value is None:
            continue
        if found is not None and value != found:
            return found, (f"usage.{name} is {value}, under its other name {found}; {found} is kept",)
        found = value
    return found, ()


def _titan_output(results: object) -> int | None:
    counts = [
        count(result.get("tokenCount"), f"usage.results[{index}].tokenCount")
        for index, result in enumerate(sections(results, "usage.results"))
    ]
    known = [each for each in counts if each is not None]
    return within(sum(known), "usage.results") if known else None


def _is_header(name: object) -> bool:
    return isinstance(name, str) and name.lower().startswith(HEADER)


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else value
