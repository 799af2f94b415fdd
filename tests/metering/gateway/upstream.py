"""A provider that says what the test has written for it, chunk by chunk; it remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

# Put between chunks: the connection breaks here.
BREAK = None


class Script(msgspec.Struct, frozen=True):
    """One answer. `pause` seconds lie before each chunk after the first; `wait` before the head."""

    chunks: Sequence[bytes | None]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = {}
    pause: float = 0.0
    wait: float = 0.0


class Asked(msgspec.Struct, frozen=True):
    path: str
    headers: dict[str, str]
    body: bytes
    # Every header by its name in lower case, each as often as it came.
    all: dict[str, list[str]]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def whole(document: Any, status: int = 200, **headers: str) -> Script:
    return Script([json.dumps(document).encode()], status, headers=headers)


def stream(*chunks: bytes | None, pause: float = 0.0) -> Script:
    return Script(chunks, content_type="text/event-stream; charset=utf-8", pause=pause)


def events(*documents: Any, done: bool = True) -> list[bytes]:
    """OpenAI's way: a data line each."""
    said = [f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode() for document in documents]
    return [*said, b"data: [DONE]\n\n"] if done else said


def named_events(*documents: dict[str, Any]) -> list[bytes]:
    """Anthropic's way and that of OpenAI's responses: the type stands beside the data as well."""
    return [
        f"event: {document['type']}\ndata: {json.dumps(document, ensure_ascii=False)}\n\n".encode()
        for document in documents
    ]


class Upstream:
    """Scripts are found by path; a list of them is gone through call by call, the last one stays."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Script]] = {}
        self.asked: list[Asked] = []
        self.gone: list[float] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, path: str, *scripts: Script) -> None:
        self.scripts[path] = list(scripts)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        every: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            every.setdefault(name.lower(), []).append(value)
        self.asked.append(Asked(request.path, dict(request.headers), await request.read(), every))
        scripts = self.scripts.get(request.path)
        if not scripts:
            return web.json_response({"error": {"message": "no script", "code": "not_found"}}, status=404)
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        try:
            return await _perform(request, script)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.append(time.monotonic())
            raise


async def _perform(request: web.Request, script: Script) -> web.StreamResponse:
    await asyncio.sleep(script.wait)
    if script.content_type == "application/json" and BREAK not in script.chunks:
        body = b"".join(chunk for chunk in script.chunks if chunk)
        return web.Response(body=body, status=script.status, headers=script.headers, content_type="application/json")
    response = web.StreamResponse(status=script.status, headers={**script.headers, "content-type": script.content_type})
    await response.prepare(request)
    for number, chunk in enumerate(script.chunks):
        if number:
            await asyncio.sleep(script.pause)
        if chunk is BREAK:
            assert request.transport
            request.transport.abort()
            return response
        await response.write(chunk)
    await response.write_eof()
    return response


@contextmanager
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What the condition says as soon as it says something."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)


# ── What providers say, written for the tests ──

ANSWER = "Grüße aus dem Testlabor: 🙂 fertig."


def completion(prompt: int = 12, completed: int = 7, **fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-test", "object": "chat.completion", "created": 1_780_000_000, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completed, "total_tokens": prompt + completed,
                  "prompt_tokens_details": {"cached_tokens": 4}},
    } | fields  # fmt: skip


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-test", "object": "chat.completion.chunk", "created": 1_780_000_000,
        "model": "gpt-4o-2024-08-06", "choices": choices,
    } | fields  # fmt: skip


def chat_chunks(prompt: int = 12, completed: int = 7) -> list[dict[str, Any]]:
    """As they come when usage was asked for."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completed, "total_tokens": prompt + completed}
    words = [word + " " for word in ANSWER.split(" ")]
    return [
        chunk({"role": "assistant", "content": ""}, usage=None),
        *(chunk({"content": word}, usage=None) for word in words),
        chunk({}, "stop", usage=None),
        chunk(usage=usage),
    ]


def message(prompt: int = 15, completed: int = 9) -> dict[str, Any]:
    return {
        "id": "msg_test", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": ANSWER}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": prompt, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5,
                  "output_tokens": completed},
    }  # fmt: skip


def message_events(prompt: int = 15, completed: int = 9) -> list[dict[str, Any]]:
    start = message(prompt, 1) | {"content": [], "stop_reason": None}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word + " "}}
          for word in ANSWER.split(" ")),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": completed}},
        {"type": "message_stop"},
    ]  # fmt: skip
