"""What POST /v1/estimate takes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.errors import ApiError
from metering.events import MAX_COUNT
from metering.ingest.batch import json_body, problem_of

MOST_MODELS = 20
_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Tokens = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class EstimateDocument(msgspec.Struct, forbid_unknown_fields=True):
    """What to estimate: one of `text`, `messages` and `input_tokens`."""

    model: _Name
    provider: _Name | None = None
    text: str | None = None
    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)] | None = None
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    input_tokens: _Tokens | None = None
    max_output_tokens: _Tokens | None = None
    models: Annotated[list[_Name], Meta(max_length=MOST_MODELS)] = []


_DECODER = msgspec.json.Decoder(EstimateDocument)


def read(body: bytes) -> EstimateDocument:
    """Raises ApiError 400 for no JSON, 422 for anything that cannot be estimated."""
    with json_body(body):
        try:
            document = _DECODER.decode(body)
        except msgspec.ValidationError as error:
            problem = problem_of(error)
            raise ApiError(422, problem.code, problem.message, param=problem.param) from error
    given = [name for name in ("messages", "text", "input_tokens") if getattr(document, name) is not None]
    if not given:
        raise ApiError(422, "missing_field", "One of messages, text and input_tokens is required.", param="messages")
    if len(given) > 1:
        message = f"Only one of messages, text and input_tokens is taken; there are {' and '.join(given)}."
        raise ApiError(422, "invalid_field", message, param=given[1])
    for name in ("system", "tools"):
        if getattr(document, name) is not None and document.messages is None:
            raise ApiError(422, "invalid_field", f"{name} goes with messages.", param=name)
    return document
