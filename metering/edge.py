"""The lean ASGI application of the doors: no Django handler, no middleware, the same domain modules.

`Idempotency-Key` is accepted and needs no memory: an event's id already makes sending it again safe, whoever sends
it, for ever, and from any process. Where an admission has no id, the key is it.
"""

from __future__ import annotations

import gc
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter

import psycopg
import structlog
from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from core.errors import ApiError, error_body
from core.requests import request_id
from metering import telemetry
from metering.door import json_response, note_refusal
from metering.estimate import api as estimates
from metering.gateway import endpoints as gateway_endpoints
from metering.gateway.gateway import Gateway
from metering.group_commit import StorageUnavailableError, UnstorableError
from metering.ingest import api, litellm
from metering.ingest.otlp import api as otlp
from metering.limits import api as admissions
from metering.limits.admission import Admission
from metering.recorder import Recorder
from metering.scraping import api as scraping

logger = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 2
# Events are made and dropped by the thousand and hold no cycles: looking for some so often finds nothing, and what is
# there from the start need not be looked through again.
GC_THRESHOLDS = (50_000, 20, 50)

_UNREACHABLE = (
    StorageUnavailableError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError,
    OperationalError, InterfaceError,
)  # fmt: skip
_UNAVAILABLE = "The ledger's storage cannot be reached. Nothing was acknowledged; send it again."

Endpoint = Callable[[Request], Awaitable[Response]]


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Every answer has its request id, every failure the contract's shape."""

    async def guarded(request: Request) -> Response:
        own_id = request.state.id = request_id(request.headers.get("x-request-id"))
        try:
            response = await endpoint(request)
        except ApiError as error:
            note_refusal(request, error)
            response = _refusal(error, own_id)
        except ClientDisconnect:
            return Response(status_code=499)
        except _UNREACHABLE as error:
            logger.warning("storage_unavailable", request_id=own_id, error=repr(error))
            response = _refusal(
                ApiError(503, "storage_unavailable", _UNAVAILABLE, retry_after=RETRY_AFTER_SECONDS), own_id
            )
        except RecursionError:
            response = _refusal(ApiError(400, "too_deep", "The body is nested too deeply."), own_id)
        except UnstorableError:
            response = _refusal(ApiError(422, "unstorable", "The database refuses these values."), own_id)
        except Exception:
            logger.exception("edge_failed", request_id=own_id, path=request.url.path)
            response = _refusal(
                ApiError(500, "internal_error", "This is our mistake. It is logged under the request id."), own_id
            )
        # An upstream's own id is what its support asks for.
        response.headers.setdefault("x-request-id", own_id)
        return response

    return guarded


def _measured(endpoint: Endpoint, name: str) -> Endpoint:
    route = telemetry.Route(name)

    async def measured(request: Request) -> Response:
        began = perf_counter()
        response = await endpoint(request)
        route.answered(response.status_code, perf_counter() - began)
        return response

    return measured


def _refusal(error: ApiError, own_id: str) -> Response:
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = error_body(error.status, error.code, error.message, error.param, own_id)
    return json_response(body, error.status, headers)


# Method and path. `{name}` in a path is one segment, found in request.path_params.
ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/events"): api.events,
    ("POST", "/v1/admissions"): admissions.admit,
    ("POST", "/v1/admissions/{id}/settle"): admissions.settle,
    ("POST", "/v1/admissions/{id}/release"): admissions.release,
    ("POST", "/v1/estimate"): estimates.estimate,
    ("POST", "/v1/traces"): otlp.traces,
    ("POST", "/v1/metrics"): otlp.metrics,
    ("POST", "/v1/logs"): otlp.logs,
    ("POST", "/v1/litellm"): litellm.callback,
    **gateway_endpoints.ROUTES,
    ("GET", "/metrics"): scraping.metrics,
}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    recorder = app.state.recorder = Recorder()
    admission = app.state.admission = Admission(recorder)
    gateway = app.state.gateway = Gateway(recorder, admission)
    # Each needs the one before it, until its very end.
    for part in (recorder, admission, gateway):
        await part.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        for part in (gateway, admission, recorder):
            await part.stop()


async def _no_route(request: Request, error: Exception) -> Response:
    """Addresses and methods the edge does not have, when it stands alone."""
    own_id = request_id(request.headers.get("x-request-id"))
    if isinstance(error, HTTPException) and error.status_code == 405:
        response = _refusal(ApiError(405, "method_not_allowed", "This address does not take that method."), own_id)
        response.headers.update(error.headers or {})  # Allow
    else:
        response = _refusal(ApiError(404, "not_found", "There is nothing at this address."), own_id)
    response.headers["x-request-id"] = own_id
    return response


class App:
    """Requests for an address of `ROUTES` go straight to it; Starlette has the rest: start, stop and refusals."""

    def __init__(self) -> None:
        self._endpoints = {
            (method, path): _measured(_guarded(endpoint), f"{method} {path}")
            for (method, path), endpoint in ROUTES.items()
        }
        routes = [Route(path, endpoint, methods=[method]) for (method, path), endpoint in self._endpoints.items()]
        self._starlette = Starlette(routes=routes, exception_handlers={HTTPException: _no_route}, lifespan=lifespan)
        self._starlette.router.redirect_slashes = False

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._starlette(scope, receive, send)
            return
        scope["app"] = self._starlette
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)


app = App()


_PATTERNS = [
    (method, re.compile(re.sub(r"{\w+}", "[^/]+", re.sub(r"{\w+:path}", ".+", path))))
    for method, path in ROUTES
    if "{" in path
]


def serves(method: str, path: str) -> bool:
    """Whether a request is the edge's; the rest is Django's."""
    return (method, path) in ROUTES or any(method == taken and form.fullmatch(path) for taken, form in _PATTERNS)
