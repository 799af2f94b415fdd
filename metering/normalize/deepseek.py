"""DeepSeek's chat and Responses APIs.

Shape (`usage` in DeepSeek's API reference): OpenAI's, with `prompt_cache_hit_tokens` and
`prompt_cache_miss_tokens`, which together are `prompt_tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.events import Normalized
from metering.normalize import openai
from metering.normalize.counts import count

matches = openai.matches


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    normalized = openai.read(raw, endpoint)
    hit = count(raw.get("prompt_cache_hit_tokens"), "usage.prompt_cache_hit_tokens")
    miss = count(raw.get("prompt_cache_miss_tokens"), "usage.prompt_cache_miss_tokens")
    usage = normalized.usage
    if hit is None or miss is None or usage is None or hit + miss == usage.prompt_tokens:
        return normalized
    note = f"{hit} cache hits and {miss} misses are not usage.prompt_tokens {usage.prompt_tokens}; the latter is kept"
    return msgspec.structs.replace(normalized, notes=(*normalized.notes, note))
