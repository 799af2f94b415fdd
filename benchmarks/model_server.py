"""A model server that spends next to nothing: answers of the chat completions API that are ready before they are asked.

    python -m benchmarks.model_server PORT

The model that a request names decides how a stream comes: `BURST` at once, `PACED` a chunk every 20 ms. The content of
each chunk is the moment (nanoseconds of the machine's monotonic clock) in which it was written, for paced ones.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from typing import cast

import msgspec
import uvloop

BURST, PACED = "gpt-4o-mini", "gpt-4.1-mini"
CHUNKS = 50
PAUSE_SECONDS = 0.02
TEXT = (
    "A ledger that counts what was used has to count it once. It writes down the call before it is made, and what"
    " became of it afterwards, and both under one name, so that whoever comes later finds one entry and not two. "
) * 2
USAGE = {
    "prompt_tokens": 230,
    "completion_tokens": CHUNKS,
    "total_tokens": 230 + CHUNKS,
    "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
TOKENS_PER_CALL = 230 + CHUNKS


class _Options(msgspec.Struct):
    include_usage: bool = False


class _Request(msgspec.Struct):
    model: str
    stream: bool = False
    stream_options: _Options | None = None


def _whole(model: str) -> bytes:
    answer = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    }
    body = msgspec.json.encode(answer)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(model: str, choices: list[object], **rest: object) -> bytes:
    """A chunk of a stream, framed as a chunk of HTTP."""
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
        "choices": choices,
    } | rest
    return _framed(b"data: " + msgspec.json.encode(chunk) + b"\n\n")


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> list[object]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _end(model: str, asked_for_usage: bool) -> bytes:
    usage = _event(model, [], usage=USAGE) if asked_for_usage else b""
    return _event(model, _choice({}, "stop")) + usage + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


_STAMP = b"0" * 19
_CHUNK = {model: _event(model, _choice({"content": _STAMP.decode()})) for model in (BURST, PACED)}
_ROLE = {model: _event(model, _choice({"role": "assistant", "content": ""})) for model in (BURST, PACED)}
_ENDS = {(model, asked): _end(model, asked) for model in (BURST, PACED) for asked in (False, True)}
_WHOLE = {model: _whole(model) for model in (BURST, PACED)}
_BURSTS = {asked: STREAM_HEAD + _ROLE[BURST] + _CHUNK[BURST] * CHUNKS + _ENDS[BURST, asked] for asked in (False, True)}
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_DECODER = msgspec.json.Decoder(_Request)


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Clients wait for each answer before they ask again."""
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._received[:head_end].lower()
        if not head.startswith(b"post "):
            self._received = b""
            self._transport.write(_NOT_FOUND)
            return
        at = head.index(b"content-length:") + 15
        end = head.find(b"\r\n", at)
        body_end = head_end + 4 + int(head[at : end if end >= 0 else len(head)])
        if len(self._received) < body_end:
            return
        request = _DECODER.decode(self._received[head_end + 4 : body_end])
        self._received = b""
        self._answer(request)

    def _answer(self, request: _Request) -> None:
        asked_for_usage = request.stream_options is not None and request.stream_options.include_usage
        if not request.stream:
            self._transport.write(_WHOLE[request.model])
        elif request.model == BURST:
            self._transport.write(_BURSTS[asked_for_usage])
        else:
            self._transport.write(STREAM_HEAD + _ROLE[PACED])
            self._pace(_ENDS[PACED, asked_for_usage], self._loop.time(), 1)

    def _pace(self, end: bytes, began: float, number: int) -> None:
        stamp = b"%019d" % time.monotonic_ns()
        chunk = _CHUNK[PACED].replace(_STAMP, stamp)
        if number == CHUNKS:
            self._transport.write(chunk + end)
        elif not self._transport.is_closing():
            self._transport.write(chunk)
            self._loop.call_at(began + number * PAUSE_SECONDS, partial(self._pace, end, began, number + 1))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
