"""Groq.

Shape (`CompletionUsage` in Groq's API reference): OpenAI's, with times. The last chunk of a stream
carries it once more under `x_groq`, which is also read where a client hands that over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.events import Normalized
from metering.normalize import openai
from metering.normalize.counts import section


def matches(raw: Mapping[str, Any]) -> bool:
    return openai.matches(raw) or "x_groq" in raw


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    if not openai.matches(raw):
        raw = section(section(raw.get("x_groq"), "usage.x_groq").get("usage"), "usage.x_groq.usage")
    return openai.read(raw, endpoint)
