"""What attributes are called, by whom, and how one of their values is read.

First come the names of the current GenAI conventions; then older ones, OpenInference's, Traceloop's, single SDKs'.
Only attributes named here are ever taken off the wire: prompts and answers stay where they are, but for OpenInference's
`output.value` and parameters, of which usage, id, model and little else are read; then they are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

# None stands for what OTLP can say and no attribute here is: bytes, maps, nothing.
Value = str | bool | int | float | list["Value"] | None
Attributes = Mapping[str, Value]

LONGEST_TEXT = 200

# ── What a span is ──
OPERATION = ("gen_ai.operation.name",)
OPENINFERENCE_KIND = ("openinference.span.kind",)
TRACELOOP_KIND = ("traceloop.span.kind",)
REQUEST_TYPE = ("llm.request.type",)

# ── Who answered what ──
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor")
REQUEST_MODEL = (
    "gen_ai.request.model", "llm.request.model_name", "llm.request.model", "llm.model_name", "embedding.model_name",
)  # fmt: skip
RESPONSE_MODEL = (
    "gen_ai.response.model", "llm.response.model_name", "llm.response.model", "llm.model_name", "embedding.model_name",
)  # fmt: skip
RESPONSE_ID = ("gen_ai.response.id", "llm.response.id")
SERVER = ("server.address", "gen_ai.openai.api_base", "llm.openai.api_base")
ENDPOINT = ("http.route", "url.path")
SERVICE_TIER = (
    "gen_ai.openai.response.service_tier", "openai.response.service_tier", "anthropic.response.service_tier",
    "gen_ai.response.service_tier",
    # Under this name an older OpenAI instrumentation reports what the response said.
    "gen_ai.openai.request.service_tier", "openai.request.service_tier",
)  # fmt: skip
FINISH_REASON = (
    "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason",
    "llm.response.finish_reason", "anthropic.message.stop_reason",
)  # fmt: skip
STREAMED = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming", "gen_ai.request.is_stream")
# Seconds.
TIME_TO_FIRST_TOKEN = (
    "gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_token", "gen_ai.server.time_to_first_token",
)  # fmt: skip
ERROR_TYPE = ("error.type", "exception.type")
HTTP_STATUS = ("http.response.status_code", "http.status_code")
OUTPUT_VALUE = ("output.value",)
# OpenInference's, JSON: the only place of the model's name when a call was refused.
INVOCATION = ("llm.invocation_parameters", "embedding.invocation_parameters")

# ── Tokens ──
INPUT = (
    "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens",
    "llm.usage.input_tokens",
)  # fmt: skip
OUTPUT = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
    "llm.usage.completion_tokens", "llm.usage.output_tokens",
)  # fmt: skip
TOTAL = ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens")
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached", "llm.token_count.prompt_details.cache_read",
    "llm.usage.cache_read_input_tokens", "gen_ai.usage.details.cache_read_tokens",
)  # fmt: skip
CACHE_WRITE = (
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.input_tokens.cache_write",
    "llm.token_count.prompt_details.cache_write", "llm.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
)  # fmt: skip
CACHE_WRITE_5M = ("anthropic.usage.cache_creation.ephemeral_5m_input_tokens",)
CACHE_WRITE_1H = ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning",
    "llm.token_count.completion_details.reasoning", "llm.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
)  # fmt: skip
AUDIO_INPUT = ("llm.token_count.prompt_details.audio", "gen_ai.usage.details.input_audio_tokens")
AUDIO_OUTPUT = ("llm.token_count.completion_details.audio", "gen_ai.usage.details.output_audio_tokens")

# ── Whose it is ──
_ASSOCIATED = "traceloop.association.properties."
_OWN = "tokenledger."
_TAGS = "tokenledger.tags."
CHAT = (
    "tokenledger.chat", "gen_ai.conversation.id", "session.id", _ASSOCIATED + "session_id", _ASSOCIATED + "chat_id",
    _ASSOCIATED + "conversation_id", _ASSOCIATED + "thread_id",
)  # fmt: skip
END_USER = ("tokenledger.end_user", "user.id", "enduser.id", _ASSOCIATED + "user_id")
PROJECT = ("tokenledger.project",)
USER = ("tokenledger.user",)
CHAT_TITLE = ("tokenledger.chat_title",)
MESSAGE = ("tokenledger.message",)
FEATURE = ("tokenledger.feature",)
TOOL = ("tokenledger.tool",)
INTEGRATION = ("tokenledger.integration",)
METADATA = ("metadata",)
# Attribute → tag.
NAMED_TAGS = {
    "service.name": "service",
    "deployment.environment.name": "environment",
    "deployment.environment": "environment",
    "gen_ai.agent.name": "agent",
}
# What a span without these takes from the spans around it, then from the resource.
CONTEXT = CHAT + END_USER + PROJECT + USER + CHAT_TITLE + MESSAGE + FEATURE + TOOL + INTEGRATION

_WANTED = frozenset(
    (
        *OPERATION, *OPENINFERENCE_KIND, *TRACELOOP_KIND, *REQUEST_TYPE, *PROVIDER, *REQUEST_MODEL, *RESPONSE_MODEL,
        *RESPONSE_ID, *SERVER, *ENDPOINT, *SERVICE_TIER, *FINISH_REASON, *STREAMED, *TIME_TO_FIRST_TOKEN, *ERROR_TYPE,
        *HTTP_STATUS, *OUTPUT_VALUE, *INVOCATION, *INPUT, *OUTPUT, *TOTAL, *CACHE_READ, *CACHE_WRITE,
        *CACHE_WRITE_5M, *CACHE_WRITE_1H, *REASONING, *AUDIO_INPUT, *AUDIO_OUTPUT, *CONTEXT, *METADATA, *NAMED_TAGS,
    )
)  # fmt: skip
# Events of a span that mark the first piece of a streamed answer.
FIRST_TOKEN_EVENTS = frozenset(
    {"First Token Stream Event", "gen_ai.content.completion.chunk", "llm.content.completion.chunk"}
)
EXCEPTION_EVENT = "exception"


def is_wanted(name: str) -> bool:
    return name in _WANTED or name.startswith((_OWN, _ASSOCIATED))


def text(attributes: Attributes, names: tuple[str, ...]) -> str | None:
    """The first of these that says something, at most 200 characters of it. A list speaks by its first element."""
    for name in names:
        found = as_text(attributes.get(name))
        if found:
            return found
    return None


def as_text(value: Value) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None or isinstance(value, list):
        return None
    said = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    # PostgreSQL cannot store NUL.
    return said.replace("\0", "").strip()[:LONGEST_TEXT] or None


def in_json(attributes: Attributes, names: tuple[str, ...]) -> dict[str, Any]:
    """The object in an attribute that holds JSON; {} where there is none, or one cut off by a limit on attributes."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.startswith("{"):
            try:
                return msgspec.json.decode(value, type=dict[str, Any])
            except (msgspec.DecodeError, RecursionError):
                return {}
    return {}


def tags(attributes: Attributes) -> dict[str, str]:
    """Named tags, `tokenledger.tags.…`, and what Traceloop associates that is nothing else here."""
    found: dict[str, str] = {}
    for name, value in attributes.items():
        tag = NAMED_TAGS.get(name)
        if tag is None and name.startswith(_TAGS):
            tag = name.removeprefix(_TAGS)
        elif tag is None and name.startswith(_ASSOCIATED) and name not in _WANTED:
            tag = name.removeprefix(_ASSOCIATED)
        said = as_text(value)
        if tag and said:
            found.setdefault(tag.replace("\0", "")[:64], said)
    return found
