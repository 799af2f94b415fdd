"""Perplexity's Sonar models.

Shape (`UsageInfo` in Perplexity's API reference): OpenAI's, with `citation_tokens`,
`reasoning_tokens` and `num_search_queries` at the top level. Deep Research charges all three
("Pricing") and leaves them out of `completion_tokens` and `total_tokens`, so they are added:
citations, which the model reads, to the input; reasoning to reasoning; queries to web searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.events import Normalized
from metering.normalize import openai
from metering.normalize.counts import optional, within

matches = openai.matches


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    normalized = openai.read(raw, endpoint)
    citations = optional(raw.get("citation_tokens"), "usage.citation_tokens")
    reasoning = optional(raw.get("reasoning_tokens"), "usage.reasoning_tokens")
    searches = optional(raw.get("num_search_queries"), "usage.num_search_queries")
    usage = normalized.usage
    if usage is None or not (citations or reasoning or searches):
        return normalized
    notes = normalized.notes
    if citations or reasoning:
        notes += (f"{citations} citation and {reasoning} reasoning tokens are charged beside the total; added",)
    return Normalized(
        usage=msgspec.structs.replace(
            usage,
            input=within(usage.input + citations, "usage.citation_tokens"),
            reasoning=within(usage.reasoning + reasoning, "usage.reasoning_tokens"),
            web_searches=searches,
        ),
        service_tier=normalized.service_tier,
        notes=notes,
    )
