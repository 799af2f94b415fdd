"""The streams' address: server-sent events beside the pages, for people who are logged in to them.

`LiveStreams` wraps the edge's application in every process that has one (config/edge.py, config/asgi.py). A stream is
a coroutine that waits: no thread and no connection is its own. docs/decisions/0008-live-figures.md has the reasons.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from types import FrameType
from typing import Any

import msgspec
import structlog
from django.conf import settings
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import ApiError, error_body
from core.requests import request_id
from reports.live.feeds import Feed, Feeds
from reports.live.reading import INBOX, PLACES, Watcher, admit

logger = structlog.get_logger(__name__)

# `reports:overview-stream` and its like; where they reach Django there is no stream.
_ADDRESS = re.compile(rf"/o/([-a-zA-Z0-9_]+)/({'|'.join((*PLACES, INBOX))})/stream")
MOST_STREAMS = 1_000
MOST_STREAMS_OF_A_PERSON = 20
# A proxy gives up on what says nothing for a minute.
BEAT_SECONDS = 15.0
# Whether session, membership and role still hold. With the beat between two looks that is within a minute.
CHECK_SECONDS = 30.0
RETRY_MILLISECONDS = 2_000
HEADERS = {
    "Cache-Control": "private, no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class LiveStreams:
    """An ASGI application that takes the streams and leaves the rest to another."""

    def __init__(self, rest: ASGIApp) -> None:
        self._rest = rest
        self._feeds: Feeds | None = None
        self._open: Counter[int] = Counter()

    @staticmethod
    def serves(path: str) -> bool:
        return _ADDRESS.fullmatch(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and self.serves(scope["path"]):
            await self._answer(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    # ── Streams ──

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        own_id = request_id(request.headers.get("x-request-id"))
        feeds = self._feeds = self._feeds or Feeds()
        try:
            watcher = await self._admit(feeds, request)
        except ApiError as error:
            refusal = _refusal(error, own_id)
        except Exception:
            logger.exception("live_stream_failed", request_id=own_id)
            refusal = _refusal(ApiError(503, "storage_unavailable", "Try again shortly.", retry_after=2), own_id)
        else:
            await self._stream(feeds, watcher, request, own_id, send)
            return
        await refusal(scope, receive, send)

    async def _admit(self, feeds: Feeds, request: Request) -> Watcher:
        if request.method != "GET":
            raise ApiError(
                405, "method_not_allowed", "This address does not take that method.", headers={"Allow": "GET"}
            )
        watcher = await feeds.threads.run(admit, *_asked(request))
        if feeds.has_ended:
            raise ApiError(503, "stopping", "This server is about to stop. Try again shortly.", retry_after=2)
        if self._open.total() >= MOST_STREAMS or self._open[watcher.user_id] >= MOST_STREAMS_OF_A_PERSON:
            raise ApiError(429, "too_many_streams", "Too many pages are open. Ask from time to time.", retry_after=30)
        return watcher

    async def _stream(self, feeds: Feeds, watcher: Watcher, request: Request, own_id: str, send: Send) -> None:
        self._open[watcher.user_id] += 1
        try:
            async with feeds.watching(watcher) as feed:
                events = _events(feeds, feed, watcher, request)
                response = StreamingResponse(
                    events, 200, HEADERS | {"X-Request-Id": own_id}, media_type="text/event-stream"
                )
                await response(request.scope, request.receive, send)
        finally:
            self._open[watcher.user_id] -= 1
            if not self._open[watcher.user_id]:
                del self._open[watcher.user_id]

    # ── Start and stop ──

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._hear_of_the_end()
            elif message["type"] == "lifespan.shutdown.complete" and self._feeds is not None:
                await self._feeds.stop()
            await send(message)

        await self._rest(scope, receive, sent)

    def _hear_of_the_end(self) -> None:
        """A server that is told to stop waits for its answers before it tells the application: these would not end."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if not callable(before):
                continue

            def ended(number: int, frame: FrameType | None, before: Any = before) -> None:
                loop.call_soon_threadsafe(self.end)
                before(number, frame)

            signal.signal(number, ended)

    def end(self) -> None:
        """Let every stream go. Their browsers come back, to whom listens then."""
        if self._feeds is not None:
            self._feeds.end()


def _asked(request: Request) -> tuple[str, str, str, str]:
    """Session, organization, page and view: what `admit` takes."""
    slug, place = _ADDRESS.fullmatch(request.url.path).groups()  # type: ignore[union-attr]
    return request.cookies.get(settings.SESSION_COOKIE_NAME, ""), slug, place, request.url.query


async def _events(feeds: Feeds, feed: Feed, watcher: Watcher, request: Request) -> AsyncIterator[bytes]:
    """Each frame the browser does not have, a comment when there is none for long, until the person may no more."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    number = 0
    shown = request.headers.get("last-event-id")
    check_at = _next_check()
    while not feed.has_ended:
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await feed.beyond(number)
        except TimeoutError:
            yield b": still here\n\n"
        if time.monotonic() >= check_at:
            if not await _still_holds(feeds, watcher, request):
                return
            check_at = _next_check()
        if feed.number > number and feed.frame is not None and not feed.has_ended:
            number, frame = feed.number, feed.frame
            if frame.digest != shown:
                shown = frame.digest
                yield b"id: %b\nevent: figures\ndata: %b\n\n" % (frame.digest.encode(), frame.body)


def _next_check() -> float:
    # Streams that opened together need not all ask together.
    return time.monotonic() + CHECK_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311


async def _still_holds(feeds: Feeds, watcher: Watcher, request: Request) -> bool:
    try:
        found = await feeds.threads.run(admit, *_asked(request))
    except ApiError:
        return False
    except Exception:
        logger.exception("live_check_failed")
        return False
    return found.watch == watcher.watch and found.user_id == watcher.user_id


def _refusal(error: ApiError, own_id: str) -> Response:
    headers = dict(error.headers) | {"X-Request-Id": own_id, "Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = error_body(error.status, error.code, error.message, error.param, own_id)
    return Response(msgspec.json.encode(body), error.status, headers, "application/json")
