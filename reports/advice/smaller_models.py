"""Which model is offered in place of which: the same maker's own smaller model of the same generation, or of the next
one where the maker made none of that.

Makers sell these beside the larger one for short, plain work, and calls of the same maker need no other key, contract
or place of processing. A pair is offered only where the price book has the smaller model and the very calls would have
cost less with it; nothing is said of quality, which only trials on one's own calls tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# The price book's names, without dates: larger → smaller.
SMALLER: Mapping[str, str] = {
    # OpenAI: "mini" beside each generation, "nano" below that.
    "gpt-4": "gpt-4o-mini",
    "gpt-4-turbo": "gpt-4o-mini",
    "gpt-4o": "gpt-4o-mini",
    "chatgpt-4o-latest": "gpt-4o-mini",
    "gpt-3.5-turbo": "gpt-4o-mini",
    "gpt-4.1": "gpt-4.1-mini",
    "gpt-4.1-mini": "gpt-4.1-nano",
    "gpt-4.5-preview": "gpt-4.1-mini",
    "gpt-5": "gpt-5-mini",
    "gpt-5-mini": "gpt-5-nano",
    "gpt-5.1": "gpt-5-mini",
    "gpt-5.2": "gpt-5-mini",
    "gpt-5.4": "gpt-5.4-mini",
    "gpt-5.4-mini": "gpt-5.4-nano",
    "gpt-5.5": "gpt-5.4-mini",
    "gpt-5.6-sol": "gpt-5.6-luna",
    "gpt-5.6-terra": "gpt-5.6-luna",
    "gpt-6-sol": "gpt-6-luna",
    "gpt-6.1-sol": "gpt-6-luna",
    "gpt-6.1-terra": "gpt-6-luna",
    # Anthropic: Opus and Sonnet to the Haiku of their generation.
    "claude-3-opus": "claude-3-5-haiku",
    "claude-3-opus-latest": "claude-3-5-haiku",
    "claude-3-sonnet": "claude-3-5-haiku",
    "claude-3-5-sonnet": "claude-3-5-haiku",
    "claude-3-7-sonnet-latest": "claude-haiku-4-5",
    "claude-opus-4-0": "claude-haiku-4-5",
    "claude-opus-4-1": "claude-haiku-4-5",
    "claude-opus-4-5": "claude-haiku-4-5",
    "claude-opus-4-6": "claude-haiku-4-5",
    "claude-opus-4-7": "claude-haiku-4-5",
    "claude-opus-4-8": "claude-haiku-4-5",
    "claude-sonnet-4-0": "claude-haiku-4-5",
    "claude-sonnet-4-5": "claude-haiku-4-5",
    "claude-sonnet-4-6": "claude-haiku-4-5",
    "claude-opus-5-5": "claude-haiku-5-5",
    "claude-sonnet-5-5": "claude-haiku-5-5",
    # Google: Pro to Flash, Flash to Flash-Lite.
    "gemini-1.5-pro": "gemini-2.0-flash",
    "gemini-1.5-flash": "gemini-2.0-flash-lite",
    "gemini-2.0-flash": "gemini-2.0-flash-lite",
    "gemini-2.5-pro": "gemini-2.5-flash",
    "gemini-2.5-flash": "gemini-2.5-flash-lite",
    "gemini-3-pro-preview": "gemini-3-flash-preview",
    "gemini-3.1-pro-preview": "gemini-3.1-flash-lite",
    "gemini-3.5-flash": "gemini-3.5-flash-lite",
    # Mistral, xAI, Amazon, Cohere.
    "mistral-large": "mistral-small-latest",
    "mistral-large-latest": "mistral-small-latest",
    "mistral-medium-latest": "mistral-small-latest",
    "grok-3": "grok-3-mini",
    "grok-4-0709": "grok-4-fast-non-reasoning",
    "amazon.nova-premier-v1:0": "amazon.nova-lite-v1:0",
    "amazon.nova-pro-v1:0": "amazon.nova-lite-v1:0",
    "amazon.nova-lite-v1:0": "amazon.nova-micro-v1:0",
    "command-r-plus": "command-r",
    "command-a": "command-r7b",
}

_DATED = re.compile(r"-20\d\d-?\d\d-?\d\d$")


def smaller_than(model: str) -> str | None:
    """What is offered in the place of a model of the price book, if anything is."""
    return SMALLER.get(model) or SMALLER.get(_DATED.sub("", model))
