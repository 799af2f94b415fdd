"""OpenAI's protocol: chat completions, responses, embeddings, the list of models."""

from __future__ import annotations

import array
import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from config.demo.model.asked import (
    OPENAI_CHAT,
    OPENAI_EMBEDDING,
    OPENAI_PATTERNS,
    RefusedError,
    limit_of,
    messages_of,
    read,
)
from config.demo.model.words import Answer, answer, count, text_in, vector

MOST_INPUTS = 2048
DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


def models() -> Response:
    rows = [
        {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "tokenledger-demo"}
        for name in (*OPENAI_CHAT, *OPENAI_EMBEDDING)
    ]
    return JSONResponse({"object": "list", "data": rows})


# ── Chat completions ──


async def chat_completions(request: Request) -> Response:
    body = await read(request, OPENAI_PATTERNS)
    messages = messages_of(body)
    texts = [text_in(one.get("content")) for one in messages]
    said = answer(body["model"], "\n".join(texts), texts[-1], limit_of(body, "max_completion_tokens", "max_tokens"))
    if body.get("stream"):
        options = body.get("stream_options")
        tells_usage = isinstance(options, dict) and options.get("include_usage") is True
        return StreamingResponse(_chat_chunks(body["model"], said, tells_usage), media_type="text/event-stream")
    await asyncio.sleep(said.seconds)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": said.text, "refusal": None},
        "logprobs": None,
        "finish_reason": _finish(said),
    }
    return JSONResponse(
        _chat(body["model"], said, "chat.completion") | {"choices": [choice], "usage": _chat_usage(said)}
    )


async def _chat_chunks(model: str, said: Answer, tells_usage: bool) -> AsyncIterator[str]:
    head = _chat(model, said, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data(head | {"choices": [choice]} | ({"usage": None} if tells_usage else {}))

    await asyncio.sleep(said.first_token_seconds)
    yield chunk({"role": "assistant", "content": ""})
    for token in said.tokens:
        yield chunk({"content": token})
        await asyncio.sleep(said.token_seconds)
    yield chunk({}, _finish(said))
    if tells_usage:
        yield _data(head | {"choices": [], "usage": _chat_usage(said)})
    yield "data: [DONE]\n\n"


def _chat(model: str, said: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-demo{said.id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_tokenledger_demo",
    }


def _finish(said: Answer) -> str:
    return "length" if said.is_cut else "stop"


def _chat_usage(said: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": len(said.tokens),
        "total_tokens": said.prompt_tokens + len(said.tokens),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


# ── Responses ──


async def responses(request: Request) -> Response:
    body = await read(request, OPENAI_PATTERNS)
    if not isinstance(body.get("input"), str | list):
        raise RefusedError(400, "input is a text or a list of items.")
    question = text_in(body["input"][-1] if isinstance(body["input"], list) and body["input"] else body["input"])
    prompt = f"{text_in(body.get('instructions'))}\n{text_in(body['input'])}".strip()
    said = answer(body["model"], prompt, question, limit_of(body, "max_output_tokens"))
    if body.get("stream"):
        return StreamingResponse(_response_events(body, said), media_type="text/event-stream")
    await asyncio.sleep(said.seconds)
    return JSONResponse(_response(body, said, "incomplete" if said.is_cut else "completed"))


async def _response_events(body: dict[str, Any], said: Answer) -> AsyncIterator[str]:
    number = -1

    def event(name: str, **fields: Any) -> str:
        nonlocal number
        number += 1
        return f"event: {name}\n{_data({'type': name, 'sequence_number': number, **fields})}"

    place = {"item_id": f"msg_demo{said.id}", "output_index": 0, "content_index": 0}
    started = _response(body, said, "in_progress")
    yield event("response.created", response=started)
    yield event("response.in_progress", response=started)
    await asyncio.sleep(said.first_token_seconds)
    empty = _item(said, "in_progress") | {"content": []}
    yield event("response.output_item.added", output_index=0, item=empty)
    yield event("response.content_part.added", **place, part=_part(""))
    for token in said.tokens:
        yield event("response.output_text.delta", **place, delta=token, logprobs=[])
        await asyncio.sleep(said.token_seconds)
    state = "incomplete" if said.is_cut else "completed"
    yield event("response.output_text.done", **place, text=said.text, logprobs=[])
    yield event("response.content_part.done", **place, part=_part(said.text))
    yield event("response.output_item.done", output_index=0, item=_item(said, state))
    yield event(f"response.{state}", response=_response(body, said, state))


def _response(body: dict[str, Any], said: Answer, state: str) -> dict[str, Any]:
    is_over = state != "in_progress"
    usage = {
        "input_tokens": said.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": len(said.tokens),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": said.prompt_tokens + len(said.tokens),
    }
    return {
        "id": f"resp_demo{said.id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": state,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if state == "incomplete" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": [_item(said, state)] if is_over else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "service_tier": "default",
        "store": False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": usage if is_over else None,
        "metadata": body.get("metadata") or {},
    }


def _item(said: Answer, state: str) -> dict[str, Any]:
    return {
        "id": f"msg_demo{said.id}",
        "type": "message",
        "status": state,
        "role": "assistant",
        "content": [_part(said.text)],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


# ── Embeddings ──


async def embeddings(request: Request) -> Response:
    body = await read(request, OPENAI_PATTERNS)
    model, given = body["model"], body.get("input")
    if model not in DIMENSIONS:
        raise RefusedError(400, f"{model} makes no embeddings.")
    inputs: list[Any] = given if isinstance(given, list) and not _is_tokens(given) else [given]
    if not 1 <= len(inputs) <= MOST_INPUTS or not all(isinstance(one, str) or _is_tokens(one) for one in inputs):
        raise RefusedError(400, f"input is a text, a list of tokens, or a list of up to {MOST_INPUTS} of them.")
    dimensions = limit_of(body, "dimensions") or DIMENSIONS[model]
    if dimensions > DIMENSIONS[model]:
        raise RefusedError(400, f"{model} has at most {DIMENSIONS[model]} dimensions.")
    is_packed = body.get("encoding_format") == "base64"
    rows = []
    for number, one in enumerate(inputs):
        numbers = vector(one if isinstance(one, str) else str(one), dimensions)
        packed = base64.b64encode(array.array("f", numbers).tobytes()).decode() if is_packed else numbers
        rows.append({"object": "embedding", "index": number, "embedding": packed})
        # Other askers get their turn.
        await asyncio.sleep(0)
    used = sum(count(one) if isinstance(one, str) else len(one) for one in inputs)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return JSONResponse({"object": "list", "data": rows, "model": model, "usage": usage})


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)
