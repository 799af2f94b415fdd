"""What is read of LiteLLM's StandardLoggingPayload: what a call used and for whom, and nothing that was said."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

T = TypeVar("T")

# What calls a model, by LiteLLM's name for it without the "a" of asynchronous. Everything else it logs (files, threads,
# lists, tools of others) is a call only where it comes with a count.
ENDPOINTS: dict[str, str | None] = {
    "completion": "/v1/chat/completions",
    "text_completion": "/v1/completions",
    "responses": "/v1/responses",
    "_responses_websocket": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "generate_content": None,
    "generate_content_stream": None,
    "embedding": "/v1/embeddings",
    "image_generation": "/v1/images/generations",
    "image_edit": "/v1/images/edits",
    "moderation": "/v1/moderations",
    "transcription": "/v1/audio/transcriptions",
    "speech": "/v1/audio/speech",
    "rerank": "/v1/rerank",
    "ocr": None,
    "_realtime": "/v1/realtime",
    "llm_passthrough_route": None,
    "create_video": "/v1/videos",
    "video_generation": "/v1/videos",
}
BATCH_CALLS = frozenset({"retrieve_batch"})


class Metadata(Struct):
    """Who called, as LiteLLM's proxy knows them; and the usage object."""

    usage_object: dict[str, Any] | None = None
    user_api_key_alias: Any = None
    user_api_key_user_id: Any = None
    user_api_key_user_email: Any = None
    user_api_key_team_id: Any = None
    user_api_key_team_alias: Any = None
    user_api_key_org_id: Any = None
    user_api_key_org_alias: Any = None
    user_api_key_project_id: Any = None
    user_api_key_project_alias: Any = None
    user_api_key_end_user_id: Any = None


class ErrorInformation(Struct):
    error_code: Any = None
    error_class: Any = None
    llm_provider: Any = None


class Parameters(Struct):
    """What the caller asked for, as far as it says on whose behalf."""

    user: Any = None


class Payload(Struct):
    """The part of a StandardLoggingPayload that says what a call used."""

    id: str
    call_type: str
    status: str
    started_at: float = field(name="startTime")
    ended_at: float | None = field(name="endTime", default=None)
    first_token_at: float | None = field(name="completionStartTime", default=None)
    model: Any = None
    model_group: Any = None
    custom_llm_provider: Any = None
    stream: bool | None = None
    cache_hit: Any = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    session_id: Any = None
    end_user: Any = None
    model_parameters: Parameters | None = None
    request_tags: Any = None
    metadata: Metadata | None = None
    error_information: ErrorInformation | None = None
    # Decoded on its own: it may be a text, or anything else that was answered.
    response: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def name(self) -> str:
        """What was called, asynchronously or not."""
        known = self.call_type.removeprefix("a")
        if known in ENDPOINTS or known in BATCH_CALLS:
            return known
        # "_arealtime", "_aresponses_websocket"
        return "_" + self.call_type[2:] if self.call_type.startswith("_a") else self.call_type


class Choice(Struct):
    finish_reason: str | None = None


class Answer(Struct):
    """What is read of an answer: everything but what it says."""

    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None


RAW = msgspec.json.Decoder(msgspec.Raw)
_PAYLOAD = msgspec.json.Decoder(Payload)
_ANSWER = msgspec.json.Decoder(Answer)
# An escape of JSON: a surrogate pair, half of one (the group), or any other.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def mending(read: Callable[[bytes], T], body: bytes) -> T:
    """What `read` makes of a body; halves of characters, which Python writes and nobody reads, are replaced for it."""
    try:
        return read(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda found: found[0] if found[1] is None else rb"\ufffd", body)
        if mended == body:
            raise
        return read(mended)


def decode_payload(item: bytes) -> Payload:
    """Raises msgspec.ValidationError for what is no payload, msgspec.DecodeError for what is no JSON."""
    return mending(_PAYLOAD.decode, item)


def answer_in(response: msgspec.Raw) -> Answer:
    """What an answer says beside its content; nothing where it has another shape."""
    try:
        return _ANSWER.decode(response)
    except msgspec.ValidationError:
        return Answer()
