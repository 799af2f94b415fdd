"""Asking an upstream: pooled connections to public addresses only, a client's headers as far as they are its business.

Gateway (endpoints.py) → ask(routes, call) → the first upstream that answers, or the last one's refusal
"""

from __future__ import annotations

import asyncio
import io
import socket
import time
from collections.abc import Sequence
from functools import lru_cache

import aiohttp
import msgspec
import structlog
from django.conf import settings
from multidict import CIMultiDict
from starlette.datastructures import Headers

from core import outbound
from core.errors import ApiError
from core.net import is_public
from core.outbound import PublicResolver, RefusedAddressError
from metering.gateway.calls import HEADER, Call, decoded
from metering.gateway.upstreams import Route
from metering.models.upstreams import Protocol

logger = structlog.get_logger(__name__)

CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 30.0
DNS_SECONDS = 60
# Beyond it a body is sent in pieces, so that the others get their turns.
LARGE_BYTES = 1024 * 1024
# Of a client's headers these are about its own connection, its own credential, or for the gateway.
_KEPT_BACK = frozenset(
    {
        "authorization", "x-api-key", "api-key", "cookie", "host", "content-length", "content-encoding",
        "accept-encoding", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect",
        "proxy-authorization", "proxy-connection", "forwarded", "via", "x-real-ip", "true-client-ip", "cdn-loop",
        "x-request-id", "traceparent", "tracestate", "baggage",
        # Whom the credential bills, which is the organization's business and not the client's.
        "x-goog-api-key", "openai-organization", "openai-project",
    }
)  # fmt: skip
_KEPT_BACK_STARTS = (HEADER, "x-forwarded-", "cf-", "sec-")
# Another upstream may do better where one is busy, broken or does not have the model.
_NEXT_MAY_DO_BETTER = frozenset({404, 408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_UNREACHABLE = (aiohttp.ClientError, OSError, ValueError)
# What may happen to an answer that has begun.
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)


def is_allowed(address: str) -> bool:
    return settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS or is_public(address)


def new_session() -> aiohttp.ClientSession:
    """To be made on the event loop that uses it. Follows no redirects, keeps no cookies, obeys no proxy variables."""
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        ttl_dns_cache=DNS_SECONDS,
        resolver=PublicResolver(is_allowed),
        family=socket.AF_UNSPEC,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
        trust_env=False,
        # Large answers arrive in fewer pieces; small ones are not held back by it.
        read_bufsize=2**18,
    )


class Attempt(msgspec.Struct, frozen=True):
    """An upstream that was asked in vain."""

    upstream: str
    status: int | None
    error: str | None = None


class Answered(msgspec.Struct):
    """An upstream's answer: its head is here, its body on the way."""

    response: aiohttp.ClientResponse
    route: Route
    attempts: list[Attempt]
    # Seconds from asking this upstream to the head of its answer.
    waited: float


class NoUpstreamError(ApiError):
    """None of the upstreams could be reached: 502 or 504."""

    def __init__(self, attempts: list[Attempt], route: Route, *, is_timeout: bool) -> None:
        what = "did not answer in time" if is_timeout else "cannot be reached"
        code = "upstream_timeout" if is_timeout else "upstream_unreachable"
        names = ", ".join(dict.fromkeys(attempt.upstream for attempt in attempts))
        super().__init__(504 if is_timeout else 502, code, f"The upstream {what}: {names}.", retry_after=5)
        self.attempts = attempts
        self.route = route
        self.is_timeout = is_timeout


async def ask(
    session: aiohttp.ClientSession, routes: Sequence[Route], call: Call, headers: CIMultiDict[str]
) -> Answered:
    """Send a call to the first of the routes that takes it.

    The next one is tried while no byte has come back to the client: when a route cannot be reached, is overloaded or
    broken. The last one's answer stands, whatever it is. Raises NoUpstreamError.
    """
    attempts: list[Attempt] = []
    is_timeout = False
    for number, route in enumerate(routes, start=1):
        started = time.perf_counter()
        try:
            response = await post(session, route, call.endpoint.upstream_path, call.body, headers)
        except TimeoutError:
            is_timeout = True
            attempts.append(Attempt(route.name, None, "timeout"))
        except _UNREACHABLE as error:
            is_timeout = False
            logger.warning("upstream_unreachable", upstream=route.id, error=repr(error))
            attempts.append(Attempt(route.name, None, _reason(error)))
        else:
            if 300 <= response.status < 400:
                attempts.append(Attempt(route.name, response.status, "redirect"))
            elif response.status in _NEXT_MAY_DO_BETTER and number < len(routes):
                attempts.append(Attempt(route.name, response.status))
            else:
                return Answered(response, route, attempts, time.perf_counter() - started)
            response.close()
    raise NoUpstreamError(attempts, routes[-1], is_timeout=is_timeout)


async def post(
    session: aiohttp.ClientSession, route: Route, path: str, body: bytes, headers: CIMultiDict[str]
) -> aiohttp.ClientResponse:
    check_literal(route.base_url)
    sent = CIMultiDict(headers)
    sent.update(credential_headers(route))
    return await session.post(
        route.base_url + path,
        data=body if len(body) <= LARGE_BYTES else io.BytesIO(body),
        headers=sent,
        allow_redirects=False,
        timeout=timeout_of(route.timeout_seconds),
    )


@lru_cache(maxsize=1_000)
def timeout_of(seconds: float) -> aiohttp.ClientTimeout:
    """An upstream may think for as long as it is allowed to, but must be reached soon."""
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=seconds)


def check_literal(base_url: str) -> None:
    """Raises RefusedAddressError for an address written as a number that is not allowed."""
    outbound.check_literal(base_url, is_allowed)


def credential_headers(route: Route) -> dict[str, str]:
    if route.credential is None:
        return {}
    if route.protocol == Protocol.ANTHROPIC:
        return {"x-api-key": route.credential}
    return {"authorization": f"Bearer {route.credential}"}


def passed_headers(headers: Headers, content_type: str) -> CIMultiDict[str]:
    """What of a client's headers an upstream gets, each as often as the client says it."""
    own = {name.strip().lower() for name in headers.get("connection", "").split(",")}
    passed = CIMultiDict(
        (name, decoded(value))
        for name, value in headers.items()
        if name not in _KEPT_BACK and name not in own and not name.startswith(_KEPT_BACK_STARTS)
    )
    passed["content-type"] = content_type
    # To be read on its way through; what comes compressed all the same is unpacked.
    passed["accept-encoding"] = "identity"
    return passed


def _reason(error: BaseException) -> str:
    """For the event and the log: what kind of failure, without addresses a member need not know."""
    if isinstance(error, RefusedAddressError) or isinstance(error.__cause__, RefusedAddressError):
        return "address_refused"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name_unknown"
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls_failed"
    return "connection_failed"


async def drain(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """The whole body. Raises ApiError 502 when it is larger than anything a model answers."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most_bytes:
            response.close()
            raise ApiError(502, "upstream_too_large", "The upstream's answer is too large.")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def close(session: aiohttp.ClientSession) -> None:
    await session.close()
    # TLS connections say good-bye in the background.
    await asyncio.sleep(0)
