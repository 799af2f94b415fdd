"""What a provider's answer, or the chunks of a stream, tell about a call.

Answers are the SDKs' objects or plain dictionaries; both are read alike, and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from tokenledger.events import as_object

_WRITTEN = "cache_creation_input_tokens"


def get(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)


class Told:
    """`usage` is the provider's own object; None is unknown, as long as the stream has not told."""

    endpoint = ""
    # Chat completions stream their usage only when asked to.
    needs_asking = False

    def __init__(self) -> None:
        self.model: Optional[str] = None
        self.usage: Optional[Mapping[str, Any]] = None
        self.finish_reason: Optional[str] = None
        self.service_tier: Optional[str] = None
        self.error_code: Optional[str] = None

    def whole(self, answer: Any) -> None:
        """A complete answer."""
        self.model = get(answer, "model") or self.model
        self.service_tier = get(answer, "service_tier") or self.service_tier
        usage = get(answer, "usage")
        if usage is not None:
            self.usage = as_object(usage)

    def chunk(self, chunk: Any) -> bool:
        """One chunk of a stream; whether it holds something the model has generated."""
        raise NotImplementedError

    def is_about_usage_only(self, chunk: Any) -> bool:  # noqa: ARG002 (of those whose streams need asking)
        """Whether this chunk is there only because usage was asked for."""
        return False


class EmbeddingsTold(Told):
    endpoint = "/v1/embeddings"


class ChatTold(Told):
    endpoint = "/v1/chat/completions"
    needs_asking = True

    def whole(self, answer: Any) -> None:
        super().whole(answer)
        for choice in get(answer, "choices") or ():
            self.finish_reason = get(choice, "finish_reason") or self.finish_reason

    def chunk(self, chunk: Any) -> bool:
        self.whole(chunk)
        choices = get(chunk, "choices") or ()
        return any(_has_content(get(choice, "delta")) for choice in choices)

    def is_about_usage_only(self, chunk: Any) -> bool:
        return get(chunk, "usage") is not None and not get(chunk, "choices")


def _has_content(delta: Any) -> bool:
    """A first chunk often holds a role and an empty text."""
    names = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "audio")
    return any(get(delta, name) for name in names)


class ResponsesTold(Told):
    endpoint = "/v1/responses"
    _final = ("response.completed", "response.incomplete", "response.failed")

    def whole(self, answer: Any) -> None:
        super().whole(answer)
        status = get(answer, "status")
        self.finish_reason = get(get(answer, "incomplete_details"), "reason") or status or self.finish_reason
        if status == "failed":
            self.error_code = str(get(get(answer, "error"), "code") or "failed")

    def chunk(self, chunk: Any) -> bool:
        kind = str(get(chunk, "type"))
        if kind in self._final:
            self.whole(get(chunk, "response"))
        elif kind == "error":
            self.error_code = str(get(chunk, "code") or "error")
        return kind.endswith(".delta")


class MessagesTold(Told):
    endpoint = "/v1/messages"

    def __init__(self) -> None:
        super().__init__()
        self._begun: Optional[Mapping[str, Any]] = None

    def whole(self, answer: Any) -> None:
        super().whole(answer)
        self.finish_reason = get(answer, "stop_reason") or self.finish_reason

    def chunk(self, chunk: Any) -> bool:
        kind = get(chunk, "type")
        if kind == "message_start":
            message = get(chunk, "message")
            self.model = get(message, "model") or self.model
            self._begun = as_object(get(message, "usage"))
        elif kind == "message_delta":
            self.finish_reason = get(get(chunk, "delta"), "stop_reason") or self.finish_reason
            # Only now is the output known: what the start said of it was a beginning.
            self.usage = merge_usage(self._begun, as_object(get(chunk, "usage")))
            self._begun = self.usage or self._begun
        return bool(kind == "content_block_delta")


def merge_usage(begun: Optional[Mapping[str, Any]], later: Optional[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    """The usage of a stream that tells it in pieces: counts are cumulative, and null replaces nothing."""
    if begun is None or later is None:
        return later
    merged = dict(begun)
    if later.get(_WRITTEN) is not None and later[_WRITTEN] != begun.get(_WRITTEN):
        # The split by lifetime belongs to the count it came with; beside another one it would contradict it.
        merged.pop("cache_creation", None)
    merged.update((name, value) for name, value in later.items() if value is not None)
    return merged
