"""The least a proxy in Python does with the usual libraries: Starlette in, httpx out, chunk by chunk, and nothing else.

Serves what it finds at `UPSTREAM`, an address without a path.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

_PASSED = ("content-type", "content-length", "cache-control")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=os.environ["UPSTREAM"], limits=limits, timeout=60, trust_env=False) as client:
        app.state.client = client
        yield


async def _forward(request: Request) -> Response:
    client: httpx.AsyncClient = request.app.state.client
    headers = {name: request.headers[name] for name in ("content-type", "authorization")}
    asked = client.build_request("POST", request.url.path, content=await request.body(), headers=headers)
    answer = await client.send(asked, stream=True)
    passed = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
    return StreamingResponse(answer.aiter_raw(), answer.status_code, passed, background=BackgroundTask(answer.aclose))


application = Starlette(routes=[Route("/{path:path}", _forward, methods=["POST"])], lifespan=_lifespan)
