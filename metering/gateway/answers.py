"""An upstream's answer on its way to the client: whole, or event by event as it is generated.

Once the head is sent nothing can be refused any more: an upstream that breaks off in the middle becomes an error event
in the stream, as the client's own protocol has it. The client's going away ends the upstream's work as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

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

# Headers about the connection between upstream and gateway, or that would speak for us.
_NOT_PASSED = frozenset(
    {
        "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-authenticate",
        "proxy-authorization", "content-length", "content-encoding", "set-cookie", "server", "date", "alt-svc",
        "strict-transport-security",
        "x-ratelimit-limit-rpm", "x-ratelimit-remaining-rpm", "x-ratelimit-reset-rpm",
        "x-ratelimit-limit-tpm", "x-ratelimit-remaining-tpm", "x-ratelimit-reset-tpm", "x-credits-remaining",
    }
)  # fmt: skip


def passed_headers(upstream: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """An upstream's headers as the client gets them, and ours."""
    passed = {name.lower(): value for name, value in upstream.items() if name.lower() not in _NOT_PASSED}
    return passed | dict(own)


class WholeAnswer(Response):
    """A body that is here already. `then` is told when the client has it."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str], then: Callable[[], None]) -> None:
        super().__init__(body, status, headers)
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._then()


class StreamedAnswer(Response):
    """Chunks as they come. `then` is told who cut the stream off ("client", "upstream"), None when it ended well."""

    def __init__(
        self,
        upstream: aiohttp.ClientResponse,
        reader: StreamReader,
        protocol: str,
        headers: Mapping[str, str],
        then: Callable[[str | None], None],
    ) -> None:
        super().__init__(None, upstream.status, headers)
        # Without it, Response counts an empty body.
        del self.headers["content-length"]
        self._upstream = upstream
        self._reader = reader
        self._protocol = protocol
        self._then = then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's)
        cut_by: str | None = "client"
        leaving = asyncio.create_task(_leave(receive))
        leaving.add_done_callback(lambda _: self._upstream.close())
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with GATEWAY_OPEN_STREAMS.track_inprogress():
                cut_by = await self._pass_on(send, leaving)
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._upstream.close()
            self._then(cut_by)

    async def _pass_on(self, send: Send, leaving: asyncio.Task[None]) -> str | None:
        reader = self._reader
        try:
            async for chunk in self._upstream.content.iter_any():
                passed = reader.feed(chunk)
                if passed:
                    await send({"type": "http.response.body", "body": passed, "more_body": True})
        except (*BROKEN, OversizedEventError) as error:
            if leaving.done():
                return "client"
            logger.warning("upstream_broke_off", error=repr(error))
            body = reader.finish() + broken_off(self._protocol)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            return "upstream"
        rest = reader.finish()
        if rest:
            await send({"type": "http.response.body", "body": rest, "more_body": True})
        return "client" if leaving.done() and not reader.is_complete else None


async def _leave(receive: Receive) -> None:
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
