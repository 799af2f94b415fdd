"""OpenAI, Azure OpenAI and everything that speaks OpenAI's language.

Shapes, by their names in OpenAI's API reference:

- `CompletionUsage` (chat, completions, embeddings): `prompt_tokens`, `completion_tokens`,
  `total_tokens`, `prompt_tokens_details` {cached, cache_write, audio, image}, `completion_tokens_details`
  {reasoning, audio, image, accepted and rejected prediction}.
- `ResponseUsage` (Responses): the same under `input_tokens…` and `output_tokens…`.
- `RealtimeResponseUsage`: `input_token_details` (singular) with `cached_tokens_details` by modality.
- `ImagesResponse.usage`: `input_tokens_details` {text, image}; the output is image tokens.
- `Transcription.usage`: `{"type": "tokens", …}` or `{"type": "duration", "seconds": 12.4}`.

Every detail is a subset of its whole: cached, written, audio and image tokens of the prompt;
reasoning, audio and image tokens of the completion. Predictions, accepted or rejected, are output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from metering.events import Normalized, Usage
from metering.normalize.counts import NOTHING, OUT_OF_RANGE, count, milliseconds, optional, section, word

ANTHROPIC_MARKS = frozenset(
    {"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", "server_tool_use", "iterations"}
)
OTHERS_MARKS = ANTHROPIC_MARKS | {"input", "output"}
CHAT = ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details")
RESPONSES = ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")

# Compatible servers put the cached part beside the counts instead of into the details, each under its own name.
CACHED_BESIDE = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cache_read_input_tokens")
CACHE_BESIDE = frozenset((*CACHED_BESIDE, "cache_creation_input_tokens"))

Names = tuple[str, str, str, str]
Notes = tuple[str, ...]


def matches(raw: Mapping[str, Any]) -> bool:
    if "prompt_tokens" in raw or "completion_tokens" in raw or "input_tokens_details" in raw:
        return True
    if not OTHERS_MARKS.isdisjoint(raw):
        return False
    if "total_tokens" in raw or "input_token_details" in raw or "output_token_details" in raw:
        return True
    details = raw.get("output_tokens_details")
    return raw.get("type") in ("duration", "tokens") or (isinstance(details, Mapping) and "reasoning_tokens" in details)


def normalize(raw: Mapping[str, Any], endpoint: str | None = None) -> Normalized:
    return read(raw, endpoint)


def read(
    raw: Mapping[str, Any],
    endpoint: str | None = None,
    *,
    reasoning_beside: bool = False,
    excess: Literal["", "reasoning", "audio_input"] = "",
) -> Normalized:
    """The buckets of an OpenAI-shaped object; the keywords say how a compatible provider differs.

    `reasoning_beside`: reasoning is not part of the completion where no total tells.
    `excess`: what the tokens are by which the total passes prompt and completion.
    """
    get = raw.get
    names = CHAT
    prompt = get("prompt_tokens")
    completion = get("completion_tokens")
    if prompt is None and completion is None:
        names = RESPONSES
        prompt = get("input_tokens")
        completion = get("output_tokens")
        inside_prompt = get("input_tokens_details") or get("input_token_details") or NOTHING
        inside_completion = get("output_tokens_details") or get("output_token_details") or NOTHING
    else:
        inside_prompt = get("prompt_tokens_details") or get("prompt_token_details") or NOTHING
        inside_completion = get("completion_tokens_details") or get("completion_token_details") or NOTHING
    total = get("total_tokens")

    notes: Notes = ()
    if not (
        type(prompt) is type(completion) is type(total) is int and not (prompt | completion | total) & OUT_OF_RANGE
    ):
        prompt = count(prompt, f"usage.{names[0]}")
        completion = count(completion, f"usage.{names[1]}")
        total = count(total, "usage.total_tokens")
        if prompt is None and completion is None and total is None:
            return _without_tokens(raw)
        prompt, completion, notes = _complete(prompt, completion, total, names)

    cached, written, audio, image = _prompt_parts(inside_prompt, names) if inside_prompt else (0, 0, 0, 0)
    reasoning, heard, seen = _completion_parts(inside_completion, names) if inside_completion else (0, 0, 0)

    if total is None:
        if reasoning_beside:
            completion += reasoning
    elif total != prompt + completion:
        gap = total - prompt - completion
        if gap > 0 and excess == "audio_input" and gap != reasoning:
            prompt += gap
            audio = audio or gap
        else:
            completion, reasoning, more = _settle(gap, total, prompt, completion, reasoning, reasoning_beside, excess)
            notes += more

    hour = 0
    if not CACHE_BESIDE.isdisjoint(raw) or "cache_creation_tokens" in inside_prompt:
        cached, written, hour = _cache_beside(raw, inside_prompt, cached, written)
    text = prompt - cached - written - audio - image
    if text < 0 or "cached_tokens_details" in inside_prompt:
        cached, written, audio, image, more = _fit_prompt(names, prompt, cached, written, audio, image, inside_prompt)
        hour = min(hour, written)
        text = prompt - cached - written - audio - image
        notes += more

    output = completion - reasoning - heard - seen
    if output < 0:
        reasoning, heard, seen, more = _fit_completion(names, completion, reasoning, heard, seen)
        output = completion - reasoning - heard - seen
        notes += more
    if not inside_completion and (endpoint is not None or names is RESPONSES):
        output, heard, seen = _unsaid_modality(raw, endpoint, names, inside_prompt, output)

    tier = get("service_tier")
    return Normalized(
        usage=Usage(
            input=text,
            cache_read=cached,
            cache_write_5m=written - hour,
            cache_write_1h=hour,
            output=output,
            reasoning=reasoning,
            audio_input=audio,
            audio_output=heard,
            image_input=image,
            image_output=seen,
        ),
        service_tier=tier if tier is None else word(tier),
        notes=notes,
    )


def _without_tokens(raw: Mapping[str, Any]) -> Normalized:
    """Transcription charged by duration, or nothing known at all."""
    if raw.get("seconds") is None:
        return Normalized(usage=None)
    return Normalized(usage=Usage(media_ms=milliseconds(raw["seconds"], "usage.seconds")))


def _complete(prompt: int | None, completion: int | None, total: int | None, names: Names) -> tuple[int, int, Notes]:
    """Embeddings name no completion, some only a total; any other gap is filled aloud."""
    if prompt is None and completion is None:
        return total or 0, 0, ()
    if prompt is None:
        completion = completion or 0
        prompt = 0 if total is None else max(0, total - completion)
        return prompt, completion, (f"usage.{names[0]} is absent; {prompt} is what the rest of the object leaves",)
    if completion is None:
        completion = 0 if total is None else max(0, total - prompt)
        if completion:
            return prompt, completion, (f"usage.{names[1]} is absent; {completion} is what usage.total_tokens leaves",)
    return prompt, completion, ()


def _prompt_parts(inside: Any, names: Names) -> tuple[int, int, int, int]:
    """(cached, written, audio, image); video tokens are seen frames."""
    if type(inside) is not dict:
        inside = section(inside, f"usage.{names[2]}")
    get = inside.get
    cached = get("cached_tokens", 0)
    written = get("cache_write_tokens", 0)
    audio = get("audio_tokens", 0)
    image = get("image_tokens", 0)
    if not (
        type(cached) is type(written) is type(audio) is type(image) is int
        and not (cached | written | audio | image) & OUT_OF_RANGE
    ):
        path = f"usage.{names[2]}"
        cached = optional(cached, f"{path}.cached_tokens")
        written = optional(written, f"{path}.cache_write_tokens")
        audio = optional(audio, f"{path}.audio_tokens")
        image = optional(image, f"{path}.image_tokens")
    if "video_tokens" in inside:
        image += optional(inside["video_tokens"], f"usage.{names[2]}.video_tokens")
    return cached, written, audio, image


def _completion_parts(inside: Any, names: Names) -> tuple[int, int, int]:
    """(reasoning, audio, image)"""
    if type(inside) is not dict:
        inside = section(inside, f"usage.{names[3]}")
    get = inside.get
    reasoning = get("reasoning_tokens", 0)
    audio = get("audio_tokens", 0)
    image = get("image_tokens", 0)
    if not (type(reasoning) is type(audio) is type(image) is int and not (reasoning | audio | image) & OUT_OF_RANGE):
        path = f"usage.{names[3]}"
        reasoning = optional(reasoning, f"{path}.reasoning_tokens")
        audio = optional(audio, f"{path}.audio_tokens")
        image = optional(image, f"{path}.image_tokens")
    return reasoning, audio, image


def _settle(
    gap: int, total: int, prompt: int, completion: int, reasoning: int, reasoning_beside: bool, excess: str
) -> tuple[int, int, Notes]:
    """(completion, reasoning, notes) where the total is not prompt + completion."""
    if reasoning and gap == reasoning:
        return completion + reasoning, reasoning, ()
    if gap > 0 and excess == "reasoning":
        note = f"{gap} tokens of usage.total_tokens are in no part; they are counted as reasoning"
        return completion + gap, reasoning + gap, (note,)
    if reasoning_beside:
        completion += reasoning
    parts = prompt + completion
    return completion, reasoning, (f"usage.total_tokens is {total}, its parts sum to {parts}; the parts are kept",)


def _cache_beside(raw: Mapping[str, Any], inside: Any, cached: int, written: int) -> tuple[int, int, int]:
    """(read, written, for an hour) where compatible servers and proxies name them."""
    for name in CACHED_BESIDE:
        cached = cached or optional(raw.get(name), f"usage.{name}")
    beside = optional(raw.get("cache_creation_input_tokens"), "usage.cache_creation_input_tokens")
    path = "usage.prompt_tokens_details.cache_creation_token"
    written = written or optional(inside.get("cache_creation_tokens"), f"{path}s") or beside
    split = section(inside.get("cache_creation_token_details"), f"{path}_details")
    hour = optional(split.get("ephemeral_1h_input_tokens"), f"{path}_details.ephemeral_1h_input_tokens")
    return cached, written, min(hour, written)


def _fit_prompt(
    names: Names, prompt: int, cached: int, written: int, audio: int, image: int, inside: Any
) -> tuple[int, int, int, int, Notes]:
    """A cached token is a cached token, whatever its modality; no part is larger than the prompt."""
    path = f"usage.{names[2]}.cached_tokens_details"
    by_modality = section(inside.get("cached_tokens_details"), path)
    notes = tuple(
        f"{part} {name} tokens exceed usage.{names[0]} {prompt}; only as many are counted"
        for name, part in (("cached", cached), ("cache write", written), ("audio", audio), ("image", image))
        if part > prompt
    )
    if by_modality:
        audio = max(0, audio - optional(by_modality.get("audio_tokens"), f"{path}.audio_tokens"))
        image = max(0, image - optional(by_modality.get("image_tokens"), f"{path}.image_tokens"))
    cached = min(cached, prompt)
    if prompt >= written > prompt - cached:
        notes += (f"cached and cache write tokens together exceed usage.{names[0]} {prompt}; the cached are kept",)
    written = min(written, prompt - cached)
    audio = min(audio, prompt - cached - written)
    image = min(image, prompt - cached - written - audio)
    return cached, written, audio, image, notes


def _fit_completion(
    names: Names, completion: int, reasoning: int, audio: int, image: int
) -> tuple[int, int, int, Notes]:
    """Media before reasoning: they carry their own price, reasoning that of text."""
    parts = f"{reasoning} reasoning, {audio} audio and {image} image tokens"
    note = f"{parts} exceed usage.{names[1]} {completion}; only as many are counted"
    audio = min(audio, completion)
    image = min(image, completion - audio)
    return min(reasoning, completion - audio - image), audio, image, (note,)


def _unsaid_modality(
    raw: Mapping[str, Any], endpoint: str | None, names: Names, inside_prompt: Any, output: int
) -> tuple[int, int, int]:
    """(text, audio, image) of an output without details: what makes images or speech puts out nothing else."""
    if endpoint is not None and "images" in endpoint:
        return 0, 0, output
    if endpoint is not None and "audio/speech" in endpoint:
        return 0, output, 0
    # The Images API splits its input into text and image and knows no cache; the Responses API is the reverse.
    images_api = names is RESPONSES and "input_tokens_details" in raw and "image_tokens" in inside_prompt
    if images_api and "cached_tokens" not in inside_prompt:
        return 0, 0, output
    return output, 0, 0
