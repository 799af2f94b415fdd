"""What a call may take at most, seen from its request, before it is forwarded.

For the event loop: does not block, does not raise on any JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from metering.estimate.contents import Reading
from metering.estimate.count import frame_tokens, is_exact_chat
from metering.estimate.media import AUDIO_TOKENS_PER_SECOND
from metering.estimate.quick import quick_count, quick_definitions
from metering.estimate.tokenizers import tokenizer_of
from metering.events import MAX_COUNT

DEFAULT_OUTPUT_TOKENS = 4_096
# What the APIs themselves do without a limit in the request.
COMPLETION_OUTPUT_TOKENS = 16
TRANSCRIPTION_OUTPUT_TOKENS = 2_000
# What Anthropic adds when a model shall think, or answer by a schema.
CLAUDE_THINKING_TOKENS = 28
CLAUDE_FORMAT_TOKENS = 180

PICTURES = "/v1/images/generations"
# As the lenient among the servers read it: "4096", "4e3".
_NUMBER = re.compile(r"\s*\+?[0-9]{1,30}(\.[0-9]{0,30})?(e\+?[0-9]{1,3})?\s*", re.ASCII | re.IGNORECASE)

# What the provider adds or remembers by itself.
_HIDDEN_FIELDS = (
    "previous_response_id", "conversation", "prompt", "instructions", "context_management", "mcp_servers",
    "web_search_options", "container",
)  # fmt: skip
_LIMIT_FIELDS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_REPEAT_FIELDS = ("n", "best_of")

# OpenAI's picture models that are paid by tokens: quality → tokens of a square and of a longer picture.
_PICTURE_TOKENS = {"low": (272, 408), "medium": (1_056, 1_584), "high": (4_160, 6_240)}
_SQUARE = "1024x1024"


class CallEstimate(msgspec.Struct, frozen=True):
    """`max_output_tokens` is what the request allows in all its answers together, which may be so many `images`."""

    input_tokens: int
    max_output_tokens: int
    is_exact: bool
    tokenizer: str
    images: int = 0


def estimate_call(endpoint: str, body: Mapping[str, Any], *, provider: str | None = None) -> CallEstimate:
    """`endpoint` is the path of the API, `body` its decoded request."""
    model = model_of(body)
    tokenizer = tokenizer_of(model, provider)
    reading = Reading(model, tokenizer)
    read, most = _ENDPOINTS.get(endpoint, (_read_anything, _most_of_chat))
    is_chat, answers = read(reading, body)
    contents = reading.contents
    quick = quick_count(contents.texts, tokenizer)
    tokens = quick.tokens + quick_definitions(contents.definitions, tokenizer) + contents.tokens
    is_exact = quick.is_exact and contents.is_plain
    if is_chat:
        tokens += frame_tokens(contents, tokenizer)
        is_exact = quick.is_exact and is_exact_chat(contents, tokenizer)
    images = min(answers, MAX_COUNT) if endpoint == PICTURES else 0
    output = min(most(body) * answers, MAX_COUNT)
    return CallEstimate(min(tokens, MAX_COUNT), output, is_exact, quick.tokenizer, images)


def recording_tokens(model: str, milliseconds: int) -> int:
    """Tokens of a recording that is to be transcribed: none where its length is what is charged."""
    if "whisper" in model:
        return 0
    return min(-(-milliseconds * AUDIO_TOKENS_PER_SECOND // 1_000), MAX_COUNT)


def count_output(text: str, model: str, provider: str | None = None) -> int:
    """Tokens of an answer whose usage never arrived."""
    return min(quick_count((text,), tokenizer_of(model, provider)).tokens, MAX_COUNT)


def model_of(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    return model[:200] if isinstance(model, str) else ""


# ── Input: reads the body, says whether it is a chat and how many answers there are ──

_Read = Callable[[Reading, Mapping[str, Any]], tuple[bool, int]]


def _read_chat(reading: Reading, body: Mapping[str, Any]) -> tuple[bool, int]:
    """Chat completions and Anthropic's messages."""
    reading.system(body.get("system"))
    reading.messages(body.get("messages"))
    reading.tools(body.get("tools"))
    reading.tools(body.get("functions"))
    _read_formats(reading, body)
    thinking = body.get("thinking")
    if reading.tokenizer.is_claude and isinstance(thinking, dict) and thinking.get("type") != "disabled":
        reading.contents.tokens += CLAUDE_THINKING_TOKENS
    return True, _repeats(body)


def _read_formats(reading: Reading, body: Mapping[str, Any]) -> None:
    """The form the answer shall have, where the APIs take it; and what is not to be seen of the prompt."""
    text, config = body.get("text"), body.get("output_config")
    formats = (
        body.get("response_format"),
        body.get("output_format"),
        text.get("format") if isinstance(text, dict) else None,
        config.get("format") if isinstance(config, dict) else None,
    )
    for form in formats:
        if isinstance(form, dict) and form.get("type") == "json_schema":
            reading.define(form)
            if reading.tokenizer.is_claude:
                reading.contents.tokens += CLAUDE_FORMAT_TOKENS
    if any(body.get(field) for field in _HIDDEN_FIELDS):
        reading.contents.is_plain = False


def _read_responses(reading: Reading, body: Mapping[str, Any]) -> tuple[bool, int]:
    reading.system(body.get("instructions"))
    reading.messages(body.get("input"))
    reading.tools(body.get("tools"))
    _read_formats(reading, body)
    return True, 1


def _read_completion(reading: Reading, body: Mapping[str, Any]) -> tuple[bool, int]:
    return False, reading.prompts(body.get("prompt")) * _repeats(body)


def _read_embedding(reading: Reading, body: Mapping[str, Any]) -> tuple[bool, int]:
    reading.prompts(body.get("input"))
    return False, 0


def _read_prompt(reading: Reading, body: Mapping[str, Any]) -> tuple[bool, int]:
    """The prompt beside a file: of pictures, of a transcription. What the file counts as is not known here."""
    reading.parts(body.get("prompt"))
    reading.contents.is_plain = False
    return False, _repeats(body)


def _read_anything(reading: Reading, body: Mapping[str, Any]) -> tuple[bool, int]:
    reading.parts(dict(body))
    return True, 1


def _repeats(body: Mapping[str, Any]) -> int:
    return max(1, *(_count(body.get(field)) or 1 for field in _REPEAT_FIELDS))


# ── Output: the most tokens of one answer ──


def _most_of_chat(body: Mapping[str, Any]) -> int:
    return _limit(body, DEFAULT_OUTPUT_TOKENS)


def _most_of_completion(body: Mapping[str, Any]) -> int:
    return _limit(body, COMPLETION_OUTPUT_TOKENS)


def _most_of_embedding(_: Mapping[str, Any]) -> int:
    return 0


def _most_of_picture(body: Mapping[str, Any]) -> int:
    if "gpt-image" not in model_of(body):
        return 0
    square, longer = _PICTURE_TOKENS.get(str(body.get("quality")), _PICTURE_TOKENS["high"])
    return square if body.get("size") == _SQUARE else longer


def _most_of_transcription(body: Mapping[str, Any]) -> int:
    return 0 if "whisper" in model_of(body) else TRANSCRIPTION_OUTPUT_TOKENS


def _limit(body: Mapping[str, Any], default: int) -> int:
    """The largest of the limits that are numbers: which one holds is the provider's to say."""
    limits = [count for field in _LIMIT_FIELDS if (count := _count(body.get(field))) is not None]
    return max(limits, default=default)


def _count(value: Any) -> int | None:
    """A number of tokens or answers as a client may write it, or None. No provider goes beyond the largest count."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return None
    return int(min(value, MAX_COUNT))


_ENDPOINTS: dict[str, tuple[_Read, Callable[[Mapping[str, Any]], int]]] = {
    "/v1/chat/completions": (_read_chat, _most_of_chat),
    "/v1/messages": (_read_chat, _most_of_chat),
    "/v1/responses": (_read_responses, _most_of_chat),
    "/v1/completions": (_read_completion, _most_of_completion),
    "/v1/embeddings": (_read_embedding, _most_of_embedding),
    PICTURES: (_read_prompt, _most_of_picture),
    "/v1/audio/transcriptions": (_read_prompt, _most_of_transcription),
}
