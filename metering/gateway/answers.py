"""An upstream's answer on its way to the client: whole, or event by event as it is generated.

Once the head is sent nothing can be refused any more: an upstream that breaks off in the middle becomes an error event
in the stream, as the client's own protocol has it. The client's going away ends the upstream's work as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import aiohttp
import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from metering.gateway.streams import OversizedEventError, StreamReader
from metering.gateway.upstream import BROKEN
from metering.models.upstreams import Protocol
from metering.telemetry import GATEWAY_OPEN_STREAMS

logger = structlog.get_logger(__name__)

RawHeader = tuple[bytes, bytes]
RawHeaders = Iterable[RawHeader]
# A client that leaves when the model has said its last word need not hide what the provider counts right after it.
LAST_COUNT_SECONDS = 5.0

# Headers about the connection between upstream and gateway, or that would speak for us.
_NOT_PASSED = frozenset(
    {
        b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-authenticate",
        b"proxy-authorization", b"content-length", b"content-encoding", b"set-cookie", b"server", b"date", b"alt-svc",
        b"strict-transport-security",
        b"x-ratelimit-limit-rpm", b"x-ratelimit-remaining-rpm", b"x-ratelimit-reset-rpm",
        b"x-ratelimit-limit-tpm", b"x-ratelimit-remaining-tpm", b"x-ratelimit-reset-tpm", b"x-credits-remaining",
    }
)  # fmt: skip


def passed_headers(upstream: RawHeaders, own: Mapping[str, str]) -> list[RawHeader]:
    """An upstream's headers as the client gets them, byte for byte, and ours."""
    lowered = [(name.lower(), value) for name, value in upstream]
    named = {name.strip() for name, value in lowered if name == b"connection" for name in value.lower().split(b",")}
    passed = [(name, value) for name, value in lowered if name not in _NOT_PASSED and name not in named]
    return passed + [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in own.items()]


class WholeAnswer(Response):
    """A body that is here already. `then` is told when the client has it."""

    def __init__(self, body: bytes, status: int, headers: list[RawHeader], then: Callable[[], None]) -> None:
        super().__init__(body, status)
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._then()


class StreamedAnswer(Response):
    """Chunks as they come. `then` is told who cut the stream off ("client", "upstream"), None when it ended well.

    `leaving` ends when the client has gone.
    """

    def __init__(
        self,
        upstream: aiohttp.ClientResponse,
        reader: StreamReader,
        protocol: str,
        headers: list[RawHeader],
        leaving: asyncio.Task[None],
        then: Callable[[str | None], None],
    ) -> None:
        super().__init__(None, upstream.status)
        # Proxies in between should not wait for more, either.
        self.raw_headers = [*headers, (b"x-accel-buffering", b"no")]
        self._upstream = upstream
        self._reader = reader
        self._protocol = protocol
        self._leaving = leaving
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's)
        cut_by: str | None = "client"
        self._leaving.add_done_callback(self._left)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with GATEWAY_OPEN_STREAMS.track_inprogress():
                cut_by = await self._pass_on(send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._leaving.cancel()
            self._upstream.close()
            self._then(cut_by)

    def _left(self, leaving: asyncio.Task[None]) -> None:
        if self._reader.is_finished and not leaving.cancelled():
            asyncio.get_running_loop().call_later(LAST_COUNT_SECONDS, self._upstream.close)
        else:
            self._upstream.close()

    async def _pass_on(self, send: Send) -> str | None:
        reader = self._reader
        try:
            async for chunk in self._upstream.content.iter_any():
                passed = reader.feed(chunk)
                if passed:
                    await send({"type": "http.response.body", "body": passed, "more_body": True})
        except (*BROKEN, OversizedEventError) as error:
            reader.finish()
            if self._leaving.done():
                return "client"
            logger.warning("upstream_broke_off", error=repr(error))
            await send({"type": "http.response.body", "body": broken_off(self._protocol), "more_body": True})
            return "upstream"
        rest = reader.finish()
        if rest:
            await send({"type": "http.response.body", "body": rest, "more_body": True})
        return "client" if self._leaving.done() and not reader.is_complete else None


async def leave(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def broken_off(protocol: str) -> bytes:
    """The event that tells a client of this protocol that its answer ends here, unfinished."""
    message = "The upstream broke off before its answer was complete."
    error = {"type": "api_error", "code": "upstream_disconnected", "message": message, "param": None}
    if protocol == Protocol.ANTHROPIC:
        return b"\n\nevent: error\ndata: " + msgspec.json.encode({"type": "error", "error": error}) + b"\n\n"
    return b"\n\ndata: " + msgspec.json.encode({"error": error}) + b"\n\n"
