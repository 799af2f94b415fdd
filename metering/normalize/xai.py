"""xAI's Grok models.

Shape (`Usage` in xAI's API reference): OpenAI's, but in chat completions "reasoning token
consumption will be counted separately from completion_tokens, but will be counted in the
total_tokens" ("Consumption and rate limits"); in the Responses API reasoning is part of
`output_tokens`. The total tells which; without one the chat shape is read as the guide says.
`server_side_tool_usage_details` {`web_search_calls`, `x_search_calls`} are searches charged by call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.events import Normalized
from metering.normalize import openai
from metering.normalize.counts import optional, section, within

matches = openai.matches


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    normalized = openai.read(raw, endpoint, reasoning_beside="input_tokens" not in raw)
    path = "usage.server_side_tool_usage_details"
    calls = section(raw.get("server_side_tool_usage_details"), path)
    searches = optional(calls.get("web_search_calls"), f"{path}.web_search_calls")
    searches += optional(calls.get("x_search_calls"), f"{path}.x_search_calls")
    sources = optional(raw.get("num_sources_used"), "usage.num_sources_used")
    if sources:
        note = f"{sources} live search sources have no bucket and are not counted"
        normalized = msgspec.structs.replace(normalized, notes=(*normalized.notes, note))
    if not searches or normalized.usage is None:
        return normalized
    usage = msgspec.structs.replace(normalized.usage, web_searches=within(searches, path))
    return msgspec.structs.replace(normalized, usage=usage)
