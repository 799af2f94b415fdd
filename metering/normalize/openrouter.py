"""OpenRouter.

Shape ("Usage accounting" in OpenRouter's docs): OpenAI's, with `cost` and `cost_details`, cache
writes inside the prompt, and `server_tool_use_details` (`server_tool_use` before) {`web_search_requests`}.
The cost it names is kept with the raw object and plays no part here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.events import Normalized
from metering.normalize import openai
from metering.normalize.counts import optional, section

matches = openai.matches


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    normalized = openai.read(raw, endpoint)
    name = "server_tool_use_details" if "server_tool_use_details" in raw else "server_tool_use"
    tools = section(raw.get(name), f"usage.{name}")
    searches = optional(tools.get("web_search_requests"), f"usage.{name}.web_search_requests")
    if not searches or normalized.usage is None:
        return normalized
    usage = msgspec.structs.replace(normalized.usage, web_searches=searches)
    return msgspec.structs.replace(normalized, usage=usage)
