"""Asking an upstream for its list of models: is it there, does the credential hold, what does it serve?

The question goes the way calls go: the same connections, the same judgement of addresses, no redirects.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

import aiohttp
import msgspec

from core.outbound import RefusedAddressError
from metering.gateway import upstream
from metering.gateway.upstreams import Route, serves_model
from metering.models import Protocol

# Somebody is waiting for the page.
LONGEST_SECONDS = 10.0
MOST_BYTES = 4 * 2**20
MOST_CHARACTERS = 300
ANTHROPIC_VERSION = "2023-06-01"


class Probe(msgspec.Struct, frozen=True):
    """What an upstream said. `problem` is empty when it listed its models; `served` of them its own patterns name."""

    problem: str
    latency_ms: int | None = None
    models: int = 0
    served: int = 0


class _UnlistedError(Exception):
    """It answered, and not with a list of models; the message says with what."""


def probe(route: Route) -> Probe:
    """Ask, from a thread without an event loop, for at most LONGEST_SECONDS."""
    if route.is_locked:
        return Probe("Its credential was stored with another SECRET_KEY. Enter it again.")
    return asyncio.run(_probe(route))


async def _probe(route: Route) -> Probe:
    seconds = min(LONGEST_SECONDS, route.timeout_seconds)
    started = time.perf_counter()
    session = upstream.new_session()
    try:
        async with asyncio.timeout(seconds):
            names = await _models(session, route)
    except TimeoutError:
        return Probe(f"It did not answer within {seconds:g} seconds.")
    except _UnlistedError as error:
        return Probe(str(error), _since(started))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Probe(_words_of(error))
    finally:
        await upstream.close(session)
    latency = _since(started)
    return Probe("", latency, len(names), sum(serves_model(route, name) for name in names))


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


async def _models(session: aiohttp.ClientSession, route: Route) -> list[str]:
    upstream.check_literal(route.base_url)
    headers = {"accept": "application/json", "accept-encoding": "identity", **upstream.credential_headers(route)}
    address = f"{route.base_url}/models"
    if route.protocol == Protocol.ANTHROPIC:
        headers["anthropic-version"] = ANTHROPIC_VERSION
        address = f"{route.base_url}/v1/models?limit=1000"
    async with session.get(address, headers=headers, allow_redirects=False) as response:
        if 300 <= response.status < 400:
            raise _UnlistedError(f"It answered {response.status}, a redirect. Enter the address it leads to.")
        body = await _read(response)
    if response.status != 200:
        said = _said(body).replace(route.credential or "\0", "…")
        raise _UnlistedError(f"It answered {response.status}{': ' if said else ''}{said}.{_hint(response.status)}")
    return _names(body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in response.content.iter_any():
        body += part
        if len(body) > MOST_BYTES:
            raise _UnlistedError("Its list of models does not end.")
    return body


def _names(body: bytes) -> list[str]:
    """The models' ids: of `{"data": […]}`, or of a bare list, as some servers answer."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _UnlistedError("It answered 200 with something else than JSON. Is this the address of an API?") from error
    rows = found.get("data") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        raise _UnlistedError("It answered 200 with something else than a list of models.")
    return [row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _said(body: bytes) -> str:
    """An error's own words, in one of the shapes providers use; else the beginning of what came."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    text = found if isinstance(found, str) else "" if body.lstrip().startswith(b"<") else body.decode(errors="replace")
    return " ".join(text.split())[:MOST_CHARACTERS].rstrip(".")


def _hint(status: int) -> str:
    if status == 404:
        return " Look at the address: it ends before /models. A few servers have no list, and work even so."
    if status in (401, 403):
        return " Look at the credential."
    return ""


def _words_of(error: BaseException) -> str:
    if isinstance(cause := error.__cause__ or error, RefusedAddressError):
        return f"{cause}."
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"Its name, {error.host}, is not known."
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"Its certificate does not hold: {error.certificate_error}."
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"It speaks no TLS that can be trusted: {getattr(error.os_error, 'reason', error.os_error)}."
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return f"It cannot be reached: {os.strerror(error.os_error.errno)}."
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "It hung up without an answer."
    return f"It cannot be asked: {error}."
