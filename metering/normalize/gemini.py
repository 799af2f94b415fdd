"""Google's Gemini API and Vertex AI.

Shape (`UsageMetadata` in the Gemini API reference, `GenerateContentResponse.usageMetadata` in Vertex's):
`promptTokenCount` (cached content included), `cachedContentTokenCount`, `candidatesTokenCount`
(`responseTokenCount` in the Live API), `thoughtsTokenCount`, `toolUsePromptTokenCount`,
`totalTokenCount`, and `…TokensDetails` lists of {`modality`, `tokenCount`}. The Python client's
snake_case spelling is read as well, and modalities as numbers, where a client prints the protobuf enum.

Total = prompt + tool use prompt + candidates + thoughts: thoughts and tool use stand beside, the
cached part inside. Details may name less than their whole; what they leave out is text. Images,
video frames and document pages are all seen as images and count as image tokens: Gemini 3 reports
pages as IMAGE itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.events import Normalized, Usage
from metering.normalize import openai
from metering.normalize.counts import OUT_OF_RANGE, count, optional, sections, within, word

MARKS = frozenset(
    {
        "promptTokenCount", "candidatesTokenCount", "totalTokenCount", "thoughtsTokenCount", "cachedContentTokenCount",
        "responseTokenCount", "toolUsePromptTokenCount", "promptTokensDetails", "candidatesTokensDetails",
        "trafficType",
    }
)  # fmt: skip
SNAKE = {
    "prompt_token_count": "promptTokenCount",
    "cached_content_token_count": "cachedContentTokenCount",
    "candidates_token_count": "candidatesTokenCount",
    "response_token_count": "responseTokenCount",
    "thoughts_token_count": "thoughtsTokenCount",
    "tool_use_prompt_token_count": "toolUsePromptTokenCount",
    "total_token_count": "totalTokenCount",
    "prompt_tokens_details": "promptTokensDetails",
    "candidates_tokens_details": "candidatesTokensDetails",
    "response_tokens_details": "responseTokensDetails",
    "cache_tokens_details": "cacheTokensDetails",
    "tool_use_prompt_tokens_details": "toolUsePromptTokensDetails",
    "traffic_type": "trafficType",
    "service_tier": "serviceTier",
}
SNAKE_MARKS = frozenset({"prompt_token_count", "candidates_token_count", "total_token_count", "traffic_type"})
AUDIBLE = ("AUDIO", 4)
VISIBLE = ("IMAGE", "VIDEO", "DOCUMENT", 2, 3, 5)
TIERS = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "provisioned",
    1: "standard",
    2: "provisioned",
}

Notes = tuple[str, ...]


def matches(raw: Mapping[str, Any]) -> bool:
    if not MARKS.isdisjoint(raw):
        return True
    if SNAKE_MARKS.isdisjoint(raw):
        return openai.matches(raw)
    return "generation_token_count" not in raw


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    if MARKS.isdisjoint(raw):
        if SNAKE_MARKS.isdisjoint(raw):
            # Google's OpenAI-compatible endpoint: thinking is in the total and in no part of it.
            return openai.read(raw, endpoint, excess="reasoning")
        raw = {SNAKE.get(name, name): value for name, value in raw.items()}
    get = raw.get
    prompt = get("promptTokenCount")
    candidates = get("candidatesTokenCount", 0)
    thoughts = get("thoughtsTokenCount", 0)
    cached = get("cachedContentTokenCount", 0)
    tool_use = get("toolUsePromptTokenCount", 0)
    total = get("totalTokenCount")
    notes: Notes = ()
    if not (
        type(prompt) is type(candidates) is type(thoughts) is type(cached) is type(tool_use) is type(total) is int
        and not (prompt | candidates | thoughts | cached | tool_use | total) & OUT_OF_RANGE
    ):
        prompt = count(prompt, "usage.promptTokenCount")
        candidates = optional(candidates, "usage.candidatesTokenCount")
        thoughts = optional(thoughts, "usage.thoughtsTokenCount")
        cached = optional(cached, "usage.cachedContentTokenCount")
        tool_use = optional(tool_use, "usage.toolUsePromptTokenCount")
        total = count(total, "usage.totalTokenCount")
    if not candidates and "responseTokenCount" in raw:
        candidates = optional(raw["responseTokenCount"], "usage.responseTokenCount")

    if prompt is None:
        beside = candidates + thoughts + tool_use
        if not beside and total is None:
            return Normalized(usage=None, service_tier=_tier(raw))
        prompt = 0 if total is None else max(0, total - beside)
        notes = (f"usage.promptTokenCount is absent; {prompt} is what the rest of the object leaves",)
    if total is not None and total != prompt + tool_use + candidates + thoughts:
        candidates, more = _settle(total, prompt + tool_use, candidates, thoughts)
        notes += more

    # Text alone is by far the usual prompt and needs no tally: what is not media is text anyway.
    details = get("promptTokensDetails")
    audio = image = 0
    if cached or tool_use or (details and details != [{"modality": "TEXT", "tokenCount": prompt}]):
        cached, audio, image, more = _prompt_parts(raw, prompt, cached, tool_use)
        notes += more

    heard = seen = 0
    details = get("candidatesTokensDetails") or get("responseTokensDetails")
    if details and details != [{"modality": "TEXT", "tokenCount": candidates}]:
        heard, seen, more = _media(details, candidates, "candidates")
        notes += more

    return Normalized(
        usage=Usage(
            input=within(prompt + tool_use - cached - audio - image, "usage.toolUsePromptTokenCount"),
            cache_read=cached,
            output=candidates - heard - seen,
            reasoning=thoughts,
            audio_input=audio,
            audio_output=heard,
            image_input=image,
            image_output=seen,
        ),
        service_tier=_tier(raw),
        notes=notes,
    )


def _settle(total: int, prompt: int, candidates: int, thoughts: int) -> tuple[int, Notes]:
    """(candidates, notes) where the total is not the sum of its parts."""
    if 0 < thoughts <= candidates and total == prompt + candidates:
        note = "by usage.totalTokenCount the thoughts are part of the candidates; they are counted once"
        return candidates - thoughts, (note,)
    parts = prompt + candidates + thoughts
    return candidates, (f"usage.totalTokenCount is {total}, its parts sum to {parts}; the parts are kept",)


def _tier(raw: Mapping[str, Any]) -> str | None:
    tier = raw.get("serviceTier")
    if tier is None and "trafficType" in raw:
        traffic = raw["trafficType"]
        return TIERS.get(traffic) if isinstance(traffic, int | str) else None
    return word(tier)


def _prompt_parts(raw: Mapping[str, Any], prompt: int, cached: int, tool_use: int) -> tuple[int, int, int, Notes]:
    """(cached, audio, image, notes). A cached token is a cached token: it leaves its modality, else text first."""
    audio, image, notes = _media(raw.get("promptTokensDetails"), prompt, "prompt")
    if cached > prompt:
        notes += (f"{cached} cached tokens exceed usage.promptTokenCount {prompt}; only as many are counted",)
        cached = prompt
    if cached:
        cached_audio, cached_image = _tally(raw.get("cacheTokensDetails"), "usage.cacheTokensDetails")
        audio = min(max(0, audio - cached_audio), prompt - cached)
        image = min(max(0, image - cached_image), prompt - cached - audio)
    if tool_use:
        tool_audio, tool_image, more = _media(raw.get("toolUsePromptTokensDetails"), tool_use, "toolUsePrompt")
        audio = within(audio + tool_audio, "usage.toolUsePromptTokensDetails")
        image = within(image + tool_image, "usage.toolUsePromptTokensDetails")
        notes += more
    return cached, audio, image, notes


def _media(details: object, whole: int, of: str) -> tuple[int, int, Notes]:
    """(audio, image, notes) of a list of modalities."""
    audio, image = _tally(details, f"usage.{of}TokensDetails")
    if audio + image <= whole:
        return audio, image, ()
    note = f"{audio} audio and {image} image tokens exceed usage.{of}TokenCount {whole}; only as many are counted"
    audio = min(audio, whole)
    return audio, min(image, whole - audio), (note,)


def _tally(details: object, path: str) -> tuple[int, int]:
    audio = image = 0
    for index, part in enumerate(sections(details, path)):
        modality = part.get("modality")
        if modality in AUDIBLE:
            audio += optional(part.get("tokenCount", part.get("token_count")), f"{path}[{index}].tokenCount")
        elif modality in VISIBLE:
            image += optional(part.get("tokenCount", part.get("token_count")), f"{path}[{index}].tokenCount")
    return audio, image
