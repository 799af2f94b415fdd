"""What OpenAI answers, in its own shapes, and the `openai` SDK's clients that ask a scripted server for it."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from pydantic import BaseModel

from recording import Ledger
from scripted import ScriptedServer, Step, data, named, stream

MODEL = "gpt-4o-2024-08-06"
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 30},
}
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def completion(content: str = "Hi", finish: str = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice],
        "usage": USAGE, "service_tier": "default",
    }  # fmt: skip


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}


ROLE, HEL, LO = chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"})
STOP = chunk({}, "stop")
LAST = {**chunk({}), "choices": [], "usage": USAGE}
CHAT = stream(*data(ROLE, HEL, LO, STOP, LAST, b"[DONE]"), pause=0.02)


def response(status: str = "completed", **fields: Any) -> dict[str, Any]:
    text = {"type": "output_text", "text": '{"city": "Rome"}', "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    usage = {
        "input_tokens": 20, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 30,
    }  # fmt: skip
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": MODEL, "output": [message],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage, "error": None,
        "incomplete_details": None, "service_tier": "default", **fields,
    }  # fmt: skip


def responses(last: dict[str, Any]) -> Step:
    delta = {
        "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
        "delta": "Ro", "sequence_number": 2, "logprobs": [],
    }  # fmt: skip
    begun = {
        "type": "response.created",
        "sequence_number": 0,
        "response": response("in_progress", usage=None, output=[]),
    }
    return stream(*named(begun, delta, {**last, "sequence_number": 3}), pause=0.02)


EMBEDDINGS = {
    "object": "list", "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8},
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
}  # fmt: skip


class City(BaseModel):
    city: str


def error_body(code: str) -> dict[str, Any]:
    return {"error": {"message": "No", "type": "t", "code": code, "param": None}}


class Provider:
    """A scripted provider, and the SDK's clients that talk to it."""

    def __init__(self, server: ScriptedServer, ledger: Ledger) -> None:
        self.server = server
        self._settings = {"api_key": "sk-test", "base_url": f"{server.url}/v1", "max_retries": 0}
        self.client = ledger.client.wrap(openai.OpenAI(**self._settings), provider="openai")
        self._ledger = ledger

    def asynchronous(self) -> openai.AsyncOpenAI:
        return self._ledger.client.wrap(openai.AsyncOpenAI(**self._settings), provider="openai")

    @property
    def asked(self) -> list[Any]:
        return [one.json for one in self.server.requests]


def doing(*steps: Any) -> Any:
    return pytest.mark.parametrize("provider", [list(steps)], indirect=True, ids=[""])


def texts(chunks: Any) -> list[Any]:
    return [one.choices[0].delta.content if one.choices else one.usage for one in chunks]
