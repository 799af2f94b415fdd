"""A program that is told by the demo's webhook. Now and then it is busy at first, so that something is tried again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

PATH = "/demo-hooks"
MOST_REMEMBERED = 10_000
# Every eighth message, by the last digit of its id.
_BUSY_FOR = ("0", "8")
_seen: set[str] = set()


async def take(request: Request) -> Response:
    name = request.headers.get("webhook-id", "")
    if len(_seen) > MOST_REMEMBERED:
        _seen.clear()
    if name.endswith(_BUSY_FOR) and name not in _seen:
        _seen.add(name)
        return PlainTextResponse("The warehouse is loading. Come again.", 503, {"Retry-After": "5"})
    return PlainTextResponse("Loaded.")
