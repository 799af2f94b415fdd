"""One request to an address that somebody entered: what its name leads to is judged when it is connected to.

No redirect is followed, no proxy variable obeyed, no cookie kept; time and size of the answer are bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import aiohttp
import msgspec
from django.conf import settings
from yarl import URL

from core.net import is_public
from core.outbound import PublicResolver, RefusedAddressError, check_literal

ANSWER_SECONDS = 15.0
# An answer's body is for the log alone: the status has been said by then.
BODY_SECONDS = 2.0
MOST_BODY_BYTES = 2048
MOST_HEADERS = 40
LONGEST_HEADER = 300
USER_AGENT = "Tokenledger-Webhooks/1"


class Answer(msgspec.Struct, frozen=True):
    """`status` is None where none came; `problem` is empty where the message was taken."""

    duration_ms: int
    status: int | None = None
    headers: dict[str, str] = {}
    body: str = ""
    problem: str = ""


class Request(msgspec.Struct, frozen=True):
    url: str
    headers: dict[str, str]
    body: str


def post_all(requests: list[Request]) -> list[Answer]:
    """At once; an answer for each, in their order."""

    async def all_of_them() -> list[Answer]:
        connector = aiohttp.TCPConnector(resolver=PublicResolver(_is_allowed))
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        ) as session:
            return list(await asyncio.gather(*(_post(session, request) for request in requests)))

    return asyncio.run(all_of_them())


async def _post(session: aiohttp.ClientSession, request: Request) -> Answer:
    begin = time.monotonic()
    try:
        check_literal(request.url, _is_allowed)
        async with asyncio.timeout(ANSWER_SECONDS) as bound:
            sent = session.post(
                # As it was entered: some have a token in it that may not be spelled another way.
                URL(request.url, encoded=True),
                data=request.body.encode(),
                headers={"Accept-Encoding": "identity", **request.headers},
                allow_redirects=False,
            )
            async with sent as response:
                duration = _milliseconds(begin)
                bound.reschedule(asyncio.get_running_loop().time() + BODY_SECONDS + 1)
                body = await _beginning(response)
                response.close()
                return Answer(duration, response.status, _written(response.headers), body, _problem_of(response.status))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return Answer(_milliseconds(begin), problem=_words(error))


async def _beginning(response: aiohttp.ClientResponse) -> str:
    found = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while len(found) < MOST_BODY_BYTES and (part := await response.content.read(MOST_BODY_BYTES - len(found))):
                found += part
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        pass
    return _plain(found.decode(errors="replace"))


def _written(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        _plain(name.lower()): _plain(value)[:LONGEST_HEADER] for name, value in list(headers.items())[:MOST_HEADERS]
    }


def _plain(text: str) -> str:
    """As the database can keep it: no NUL, no half of a pair."""
    return text.replace("\0", "�").encode(errors="replace").decode()


def _problem_of(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answered {status}. Redirects are not followed: enter the address they lead to."
    return f"It answered {status}."


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"It did not answer within {ANSWER_SECONDS:.0f} seconds."
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, RefusedAddressError):
        return "Its name leads to no address of the public Internet."
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "Its name is not known."
    if isinstance(error, aiohttp.ClientSSLError):
        return "Its certificate is not one to trust."
    if isinstance(error, aiohttp.ClientConnectorError):
        return "It cannot be connected to."
    return f"It broke off ({type(error).__name__})."


def _milliseconds(begin: float) -> int:
    return round((time.monotonic() - begin) * 1000)


def _is_allowed(address: str) -> bool:
    return settings.WEBHOOKS_ALLOW_PRIVATE or is_public(address)
