"""Cohere's Chat, Embed, Rerank and Classify, v1 and v2.

Shapes (`ApiMeta` and `Usage` in Cohere's API reference): v2 `usage` and v1 `meta`, each with
`billed_units` {`input_tokens`, `output_tokens`, `image_tokens`, `search_units`, `classifications`,
`images`} and `tokens` {`input_tokens`, `output_tokens`}; v2 adds `cached_tokens`.

`tokens` is what the model read and wrote, Cohere's own preamble and markup included; `billed_units`
is what is paid for. The billed units are counted wherever they are given. `cached_tokens` is a part
of `tokens`, not of the billed units, and earns no discount there, so it is not set apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.events import Normalized, Usage
from metering.normalize.counts import count, optional, section

BARE = frozenset({"image_tokens", "search_units", "classifications"})


def matches(raw: Mapping[str, Any]) -> bool:
    if "billed_units" in raw or isinstance(raw.get("tokens"), Mapping):
        return True
    return not BARE.isdisjoint(raw) and "prompt_tokens" not in raw and "total_tokens" not in raw


def normalize(raw: Mapping[str, Any], _endpoint: str | None = None) -> Normalized:
    path = "usage.billed_units"
    units = section(raw.get("billed_units"), path)
    tokens = section(raw.get("tokens"), "usage.tokens")
    if not units and not tokens:
        units, path = raw, "usage"
    fresh = count(units.get("input_tokens"), f"{path}.input_tokens")
    output = count(units.get("output_tokens"), f"{path}.output_tokens")
    images = count(units.get("image_tokens"), f"{path}.image_tokens")
    pictures = count(units.get("images"), f"{path}.images")
    notes = tuple(
        f"{number} {name} have no bucket and are not counted"
        for name in ("search_units", "classifications")
        if (number := optional(units.get(name), f"{path}.{name}"))
    )
    if fresh is None and output is None and images is None and pictures is None:
        fresh = count(tokens.get("input_tokens"), "usage.tokens.input_tokens")
        output = count(tokens.get("output_tokens"), "usage.tokens.output_tokens")
        if fresh is None and output is None:
            return Normalized(usage=None, notes=notes)
        if not notes:
            notes = ("usage.billed_units is absent; usage.tokens is counted",)
    return Normalized(
        usage=Usage(input=fresh or 0, output=output or 0, image_input=images or 0, images=pictures or 0), notes=notes
    )
