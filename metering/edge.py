"""The lean ASGI application of the doors: no Django handler, no middleware, the same domain modules.

What every request needs is kept in memory (metering/keyring.py); writing is shared (metering/group_commit.py).
`Idempotency-Key` is accepted and needs no memory: an event's id already makes sending it again safe, whoever sends
it, for ever, and from any process.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from accounts.keys import KeyGrant
from accounts.models import Scope
from core.errors import ApiError, error_body
from core.requests import request_id
from core.tenancy import APP_ROLE
from metering import pipeline
from metering.directory import Directory, learn
from metering.events import UsageEvent
from metering.group_commit import GroupCommit, StorageUnavailableError, UnstorableError
from metering.ingest import api
from metering.ingest.bodies import Intake
from metering.keyring import Keyring
from metering.store.postgres import StaleClockError
from metering.store.staging import IS_READY, MAKE_READY
from metering.store.steps import Steps, transact

logger = structlog.get_logger(__name__)

T = TypeVar("T")

SESSION = "-c lock_timeout=5s -c statement_timeout=60s -c jit=off -c work_mem=32MB"
RETRY_AFTER_SECONDS = 2
LONGEST_STOP_SECONDS = 20.0
# A name nobody knows may have been made a moment ago, and its announcement be under way.
YOUNG_SECONDS = 1.0
# Events are made and dropped by the thousand and hold no cycles: looking for some so often finds nothing, and what is
# there from the start need not be looked through again.
GC_THRESHOLDS = (50_000, 20, 50)


class Edge:
    """The state one process of the edge shares between its requests."""

    def __init__(self) -> None:
        database = settings.DATABASES["default"]
        query = {k: v for k, v in database["OPTIONS"].items() if k != "assume_role"}
        conninfo = psycopg.conninfo.make_conninfo(
            host=database["HOST"] or None, port=database["PORT"] or None, dbname=database["NAME"],
            user=database["USER"] or None, password=database["PASSWORD"] or None,
            keepalives_idle=10, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=15_000,
            **query | {"options": f"-c role={APP_ROLE} {SESSION}"},
        )  # fmt: skip
        self.pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            conninfo, kwargs={"autocommit": True}, configure=_configure,
            min_size=2, max_size=8, open=False, timeout=3, reconnect_timeout=10, name="edge",
        )  # fmt: skip
        self.commits = GroupCommit(self.pool)
        self.keyring = Keyring(conninfo)
        self.intake = Intake()

    async def start(self) -> None:
        self.pool.open(wait=False)
        self.commits.start()
        self.keyring.start()

    async def stop(self) -> None:
        """Answer everybody who is waiting, then let go."""
        try:
            async with asyncio.timeout(LONGEST_STOP_SECONDS):
                await self.commits.stop()
        except TimeoutError:
            logger.exception("edge_stopped_while_writing")
        await self.keyring.stop()
        await asyncio.to_thread(self.pool.close)

    async def record(self, grant: KeyGrant, events: list[UsageEvent], received_at: dt.datetime) -> list[pipeline.Rated]:
        """Rate and store one request's events; returns after their commit."""
        for attempt in (1, 2):
            try:
                return await self._record(grant, events, received_at)
            except StaleClockError:
                self.keyring.forget_directory(grant.organization_id)
                if attempt == 2:
                    raise StorageUnavailableError from None
            except UnstorableError:
                # A partition may have been dropped since this process saw to it.
                pipeline.forget_days()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    async def _record(
        self, grant: KeyGrant, events: list[UsageEvent], received_at: dt.datetime
    ) -> list[pipeline.Rated]:
        directory, rated = await self._rate(grant, events, received_at)
        is_missed = any(one.problem is not None and one.problem.code == "unknown_project" for one in rated)
        if is_missed and directory.age > YOUNG_SECONDS:
            self.keyring.forget_directory(grant.organization_id)
            directory, rated = await self._rate(grant, events, received_at)
        rows = [one.row for one in rated if one.row is not None]
        if rows:
            days = pipeline.new_days(rows)
            if days:
                await self._run(pipeline.ensure_months(days))
                pipeline.remember_days(days)
            pipeline.tell(rated, await self.commits.append(rows, directory.clock))
        return rated

    async def _rate(
        self, grant: KeyGrant, events: list[UsageEvent], received_at: dt.datetime
    ) -> tuple[Directory, list[pipeline.Rated]]:
        directory = await self.keyring.directory(grant.organization_id)
        book = await self.keyring.prices()
        sender = pipeline.Sender(api_key_id=grant.key_id, project_id=grant.project_id, member_id=grant.member_id)
        while True:
            try:
                return directory, pipeline.rate(events, directory, book, sender, received_at)
            except pipeline.UnknownLabelsError as error:
                unknown = error.labels
            directory.remember(await self._run(learn(directory.organization_id, unknown)))

    async def _run(self, steps: Steps[T]) -> T:
        def act() -> T:
            with self.pool.connection() as connection:
                return transact(connection, steps)

        return await asyncio.to_thread(act)


def _configure(connection: psycopg.Connection[Any]) -> None:
    """Make the session ready before the first who waits for it."""
    row = connection.execute(IS_READY).fetchone()
    if row is not None and not row[0]:
        connection.execute(MAKE_READY)


# ── Routes ──


def _secret(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    given = request.headers.get("x-api-key")
    if given:
        return given.strip()
    raise ApiError(401, "missing_api_key", "Send your key as: Authorization: Bearer tl_…")


async def events(request: Request) -> Response:
    edge: Edge = request.app.state.edge
    grant = await edge.keyring.grant(_secret(request))
    if not grant.allows(Scope.USAGE_WRITE):
        raise ApiError(403, "missing_scope", "This key lacks the scope usage:write.")
    received_at = dt.datetime.now(dt.UTC)
    query = request.query_params if request.scope["query_string"] else {}
    async with edge.intake.take(request) as body:
        parsed = api.read(request, body, query, received_at)
        rated = await edge.record(grant, [one.event for one in parsed if one.event is not None], received_at)
        with_results = query.get("results") != "none"
        return api.answer(parsed, rated, with_results=with_results, request_id=request.state.id)


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
        response.headers["x-request-id"] = own_id
        return response

    return guarded


def _refusal(error: ApiError, own_id: str) -> Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = error_body(error.status, error.code, error.message, error.param, own_id)
    return api.json_response(body, error.status, headers)


ROUTES: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/events"): events,
}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    edge = Edge()
    app.state.edge = edge
    await edge.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        await edge.stop()


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
        self._endpoints = {address: _guarded(endpoint) for address, endpoint in ROUTES.items()}
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


def serves(method: str, path: str) -> bool:
    """Whether a request is the edge's; the rest is Django's."""
    return (method, path) in ROUTES
