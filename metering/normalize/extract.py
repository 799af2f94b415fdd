"""What a complete provider response says about itself, read in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from metering.normalize.counts import NOTHING, word
from metering.normalize.locate import usage_in

# Responses and predictions are also returned while they are queued or running, which is no reason to finish.
FINAL_STATUSES = ("completed", "incomplete", "failed", "cancelled", "canceled", "succeeded")


class Extract(msgspec.Struct, frozen=True, kw_only=True):
    """`raw_usage` is the provider's own object, ready for `normalize`; None is unknown."""

    response_id: str | None = None
    model: str | None = None
    raw_usage: Mapping[str, Any] | None = None
    service_tier: str | None = None
    finish_reason: str | None = None


def extract(body: Mapping[str, Any], *, provider: str | None = None) -> Extract:
    """Finds usage, identity and outcome in a response body of any provider.

    `provider` is accepted for symmetry with `normalize`; every shape is told by its own names.
    """
    del provider
    usage = usage_in(body)
    inner = _inner(body)
    return Extract(
        response_id=_word_of(inner, "id", "responseId", "response_id", "generation_id", "generationId"),
        model=_word_of(inner, "model", "modelVersion", "model_version", "model_id"),
        raw_usage=usage,
        service_tier=_tier(inner, usage),
        finish_reason=_finish_reason(inner),
    )


def _inner(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The response inside an event that wraps it (`response.completed`, `message_start`)."""
    for name in ("response", "message"):
        wrapped = body.get(name)
        if "id" not in body and isinstance(wrapped, Mapping) and ("id" in wrapped or "usage" in wrapped):
            return wrapped
    response = body.get("response")
    if isinstance(response, Mapping) and str(body.get("type", "")).startswith("response."):
        return response
    return body


def _tier(body: Mapping[str, Any], usage: Mapping[str, Any] | None) -> str | None:
    """The tier a call was served in; Anthropic and Gemini say so inside the usage object."""
    nested = body.get("serviceTier")
    said = _word_of(body, "service_tier") or (_word_of(nested, "type") if isinstance(nested, Mapping) else word(nested))
    return said or _word_of(usage or NOTHING, "service_tier", "serviceTier")


def _finish_reason(body: Mapping[str, Any]) -> str | None:
    said = _word_of(body, "stop_reason", "stopReason", "finish_reason", "done_reason", "completionReason")
    if said:
        return said
    for name in ("choices", "candidates", "results"):
        items = body.get(name)
        first = items[0] if isinstance(items, list) and items else None
        if isinstance(first, Mapping):
            said = _word_of(first, "finish_reason", "finishReason", "completionReason", "stop_reason")
            if said:
                return said
    delta = body.get("delta")
    said = _word_of(delta, "stop_reason") if isinstance(delta, Mapping) else None  # Anthropic's message_delta
    if said:
        return said
    incomplete = body.get("incomplete_details")
    said = _word_of(incomplete, "reason") if isinstance(incomplete, Mapping) else None
    status = body.get("status")
    return said or (word(status) if status in FINAL_STATUSES else None)


def _word_of(body: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        said = word(body.get(name))
        if said:
            return said
    return None
