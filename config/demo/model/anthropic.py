"""Anthropic's protocol: messages, their count of tokens, the list of models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from config.demo.model.asked import ANTHROPIC_CHAT, ANTHROPIC_PATTERNS, RefusedError, limit_of, messages_of, read
from config.demo.model.words import Answer, answer, count, text_in


def models() -> Response:
    rows = [
        {"type": "model", "id": name, "display_name": f"{name} (demo)", "created_at": "2025-01-01T00:00:00Z"}
        for name in ANTHROPIC_CHAT
    ]
    return JSONResponse({"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]})


async def messages(request: Request) -> Response:
    body = await read(request, ANTHROPIC_PATTERNS)
    prompt, question = _texts(body)
    most = limit_of(body, "max_tokens")
    if most is None:
        raise RefusedError(400, "max_tokens: Field required")
    said = answer(body["model"], prompt, question, most)
    if body.get("stream"):
        return StreamingResponse(_events(body["model"], said), media_type="text/event-stream")
    await asyncio.sleep(said.seconds)
    whole = _message(body["model"], said, len(said.tokens))
    return JSONResponse(
        whole | {"content": [{"type": "text", "text": said.text}], "stop_reason": _stop(said), "stop_sequence": None}
    )


async def count_tokens(request: Request) -> Response:
    body = await read(request, ANTHROPIC_PATTERNS)
    prompt, _ = _texts(body)
    return JSONResponse({"input_tokens": count(prompt)})


def _texts(body: dict[str, Any]) -> tuple[str, str]:
    """All that was said, and what was said last."""
    texts = [text_in(one.get("content")) for one in messages_of(body)]
    return "\n".join([text_in(body.get("system")), *texts]).strip(), texts[-1]


async def _events(model: str, said: Answer) -> AsyncIterator[str]:
    def event(name: str, **fields: Any) -> str:
        return f"event: {name}\ndata: {json.dumps({'type': name, **fields}, ensure_ascii=False)}\n\n"

    start = _message(model, said, 1) | {"content": [], "stop_reason": None, "stop_sequence": None}
    await asyncio.sleep(said.first_token_seconds)
    yield event("message_start", message=start)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for token in said.tokens:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": token})
        await asyncio.sleep(said.token_seconds)
    yield event("content_block_stop", index=0)
    usage = {"output_tokens": len(said.tokens)}
    yield event("message_delta", delta={"stop_reason": _stop(said), "stop_sequence": None}, usage=usage)
    yield event("message_stop")


def _message(model: str, said: Answer, output_tokens: int) -> dict[str, Any]:
    return {
        "id": f"msg_demo{said.id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "usage": {
            "input_tokens": said.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    }


def _stop(said: Answer) -> str:
    return "max_tokens" if said.is_cut else "end_turn"
