"""Reading requests, and refusing those that no provider would take either."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request

OPENAI_CHAT = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano")
OPENAI_EMBEDDING = ("text-embedding-3-small", "text-embedding-3-large")
ANTHROPIC_CHAT = ("claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5")
# What the demo's upstreams are set up with; dated names belong to them.
OPENAI_PATTERNS = ("gpt-4o*", "gpt-4.1*", "text-embedding-3-*")
ANTHROPIC_PATTERNS = ("claude-*",)


class RefusedError(Exception):
    """Answered with `status` in the shape of the protocol that was spoken."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


async def read(request: Request, patterns: tuple[str, ...]) -> dict[str, Any]:
    """The request's object, for one of the models. Raises RefusedError."""
    try:
        body: Any = json.loads(await request.body())
        # Half of a surrogate pair is JSON, and no text that could be answered.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "The body is no JSON.") from error
    if not isinstance(body, dict):
        raise RefusedError(400, "The body is no JSON object.")
    model = body.get("model")
    if not isinstance(model, str):
        raise RefusedError(400, "Name a model.")
    if not any(fnmatchcase(model, pattern) for pattern in patterns):
        raise RefusedError(404, f"The demo's model answers for {', '.join(patterns)}; not {model}.", "model_not_found")
    return body


def messages_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise RefusedError(400, "messages is a list of messages.")
    return messages


def limit_of(body: dict[str, Any], *names: str) -> int | None:
    """The asker's limit on tokens, under the first of `names` that is there."""
    value = next((body[name] for name in names if body.get(name) is not None), None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RefusedError(400, f"{' or '.join(names)} is a whole number from 1.")
    return value
