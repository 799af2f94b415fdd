"""Mistral's chat, embeddings, audio and OCR.

Shape (`UsageInfo` in Mistral's API reference): OpenAI's, with `num_cached_tokens` in older answers
and `prompt_audio_seconds` for Voxtral. Audio tokens stand beside `prompt_tokens` there and are only
in `total_tokens`, so the rest of the total is audio. OCR (`OCRUsageInfo`) counts pages, for which
there is no bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.events import Normalized, Usage
from metering.normalize import openai
from metering.normalize.counts import milliseconds, optional


def matches(raw: Mapping[str, Any]) -> bool:
    return openai.matches(raw) or "prompt_audio_seconds" in raw or "pages_processed" in raw


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    if "pages_processed" in raw:
        pages = optional(raw["pages_processed"], "usage.pages_processed")
        return Normalized(usage=None, notes=(f"{pages} pages have no bucket and are not counted",))
    seconds = raw.get("prompt_audio_seconds")
    # Mistral's own client prints an unset duration as an empty object.
    if seconds is None or seconds == {}:
        return openai.read(raw, endpoint)
    normalized = openai.read(raw, endpoint, excess="audio_input")
    media_ms = milliseconds(seconds, "usage.prompt_audio_seconds")
    if not media_ms:
        return normalized
    return msgspec.structs.replace(
        normalized, usage=msgspec.structs.replace(normalized.usage or Usage(), media_ms=media_ms)
    )
