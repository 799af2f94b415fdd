"""The lean ASGI application of the doors: no Django handler, no middleware, the same domain modules.

It keeps in memory what every request needs: keys for a few seconds, the organizations' directories, the price
book. Accounts and pricing announce changes by NOTIFY, so that a revoked key stops at once; the short life of
a remembered key covers for an announcement missed while the database was away.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import Error as DjangoDatabaseError
from django.db import close_old_connections
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from accounts import keys
from accounts.keys import KeyGrant
from accounts.models import Scope
from core.errors import ApiError, error_body
from core.requests import request_id
from core.tenancy import APP_ROLE
from metering import pipeline
from metering.directory import Directory
from metering.events import UsageEvent
from metering.group_commit import GroupCommit, StorageUnavailableError, UnstorableError
from metering.ingest import api
from metering.pricing.book import PriceBook
from metering.store.postgres import StaleClockError
from metering.store.steps import run_async

logger = structlog.get_logger(__name__)

KEY_LIFETIME_SECONDS = 20.0
MOST_KEYS = 50_000
RETRY_AFTER_SECONDS = 2
CHANNELS = ("tokenledger_directory", "tokenledger_prices")


class Edge:
    """The state one process of the edge shares between its requests."""

    def __init__(self) -> None:
        database = settings.DATABASES["default"]
        query = {k: v for k, v in database["OPTIONS"].items() if k != "assume_role"}
        self._conninfo = psycopg.conninfo.make_conninfo(
            host=database["HOST"] or None, port=database["PORT"] or None, dbname=database["NAME"],
            user=database["USER"] or None, password=database["PASSWORD"] or None,
            **query | {"options": f"-c role={APP_ROLE} -c lock_timeout=5s -c jit=off -c work_mem=32MB"},
        )  # fmt: skip
        self.pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            self._conninfo, min_size=2, max_size=8, open=False, timeout=3, reconnect_timeout=10, name="edge"
        )
        self.commits = GroupCommit(self.pool)
        self.book: PriceBook | None = None
        self._keys: dict[bytes, tuple[float, KeyGrant]] = {}
        self._directories: dict[int, Directory] = {}
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.pool.open(wait=False)
        self.commits.start()
        self._listener = asyncio.create_task(self._listen(), name="edge-listener")

    async def stop(self) -> None:
        if self._listener:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await self.commits.stop()
        await self.pool.close()

    # ── What is remembered, and when it is forgotten ──

    async def grant(self, secret: str) -> KeyGrant:
        name = hashlib.sha256(secret.encode()).digest()  # secrets themselves are not kept
        remembered = self._keys.get(name)
        if remembered and remembered[0] > time.monotonic():
            return remembered[1]
        grant = await _in_thread(keys.authenticate, secret)
        if len(self._keys) >= MOST_KEYS:
            self._keys.clear()
        self._keys[name] = (time.monotonic() + KEY_LIFETIME_SECONDS, grant)
        return grant

    async def directory(self, organization_id: int) -> Directory:
        found = self._directories.get(organization_id)
        if found is None:
            found = self._directories[organization_id] = await _in_thread(Directory.load, organization_id)
        return found

    async def prices(self) -> PriceBook:
        if self.book is None:
            self.book = await _in_thread(PriceBook.load)
        return self.book

    def forget(self, organization_id: int) -> None:
        self._directories.pop(organization_id, None)
        for name in [n for n, (_, grant) in self._keys.items() if grant.organization_id == organization_id]:
            del self._keys[name]

    def forget_everything(self) -> None:
        self._directories.clear()
        self._keys.clear()
        self.book = None

    async def _listen(self) -> None:
        """Forget what changes. Whatever was announced while nobody listened is forgotten on reconnecting."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    for channel in CHANNELS:
                        await connection.execute(f"LISTEN {channel}")
                    self.forget_everything()
                    async for notice in connection.notifies():
                        if notice.channel == CHANNELS[1]:
                            self.book = None
                        elif notice.payload.isdigit():
                            self.forget(int(notice.payload))
            except (psycopg.Error, OSError) as error:
                logger.warning("edge_listener_lost", error=str(error))
                await asyncio.sleep(1)

    # ── Writing ──

    async def record(
        self, grant: KeyGrant, events: list[UsageEvent], received_at: dt.datetime
    ) -> list[pipeline.Rated]:
        """Rate and store one request's events; returns after their commit."""
        for attempt in (1, 2):
            try:
                return await self._record(grant, events, received_at)
            except StaleClockError:
                self._directories.pop(grant.organization_id, None)
                if attempt == 2:
                    raise StorageUnavailableError from None
        raise AssertionError("unreachable")

    async def _record(
        self, grant: KeyGrant, events: list[UsageEvent], received_at: dt.datetime
    ) -> list[pipeline.Rated]:
        directory = await self.directory(grant.organization_id)
        book = await self.prices()
        missing = pipeline.prepare(directory, events)
        if missing is not None:
            async with self.pool.connection() as connection, connection.transaction():
                await run_async(connection, missing)
            pipeline.remember_months(events)
        sender = pipeline.Sender(api_key_id=grant.key_id, project_id=grant.project_id, member_id=grant.member_id)
        rated = pipeline.rate(events, directory, book, sender, received_at)
        rows = [one.row for one in rated if one.row is not None]
        if rows:
            appended = iter(await self.commits.append(rows, directory.clock))
            for one in rated:
                if one.row is not None:
                    one.appended = next(appended)
        return rated


async def _in_thread(function: Callable[..., Any], *args: Any) -> Any:
    def call() -> Any:
        close_old_connections()
        try:
            return function(*args)
        finally:
            close_old_connections()

    return await asyncio.to_thread(call)


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
    grant = await edge.grant(_secret(request))
    if not grant.allows(Scope.USAGE_WRITE):
        raise ApiError(403, "missing_scope", "This key lacks the scope usage:write.")
    received_at = dt.datetime.now(dt.UTC)
    parsed = await api.read(request, received_at)
    rated = await edge.record(grant, [one.event for one in parsed if one.event is not None], received_at)
    return api.answer(parsed, rated, with_results=request.query_params.get("results") != "none")


Endpoint = Callable[[Request], Awaitable[Response]]


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Every answer has its request id, every failure the contract's shape."""

    async def guarded(request: Request) -> Response:
        own_id = request_id(request.headers.get("x-request-id"))
        try:
            response = await endpoint(request)
        except ApiError as error:
            response = _refusal(error, own_id)
        except ClientDisconnect:
            return Response(status_code=499)
        except (StorageUnavailableError, psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, DjangoDatabaseError) as error:
            logger.warning("storage_unavailable", request_id=own_id, error=repr(error))
            response = _refusal(
                ApiError(503, "storage_unavailable", "The ledger's storage cannot be reached. Nothing was stored; send it again.",
                         retry_after=RETRY_AFTER_SECONDS), own_id)  # fmt: skip
        except UnstorableError:
            response = _refusal(ApiError(422, "unstorable", "The database refuses these values."), own_id)
        except Exception:
            logger.exception("edge_failed", request_id=own_id, path=request.url.path)
            response = _refusal(ApiError(500, "internal_error", "This is our mistake. It is logged under the request id."), own_id)
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
    try:
        yield
    finally:
        await edge.stop()


async def _no_route(request: Request, error: Exception) -> Response:
    """Addresses and methods the edge does not have, when it stands alone."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    code, message = ("method_not_allowed", "This address does not take that method.")
    if status == 404:
        code, message = "not_found", "There is nothing at this address."
    own_id = request_id(request.headers.get("x-request-id"))
    return _refusal(ApiError(status, code, message), own_id)


app = Starlette(
    exception_handlers={HTTPException: _no_route},
    routes=[Route(path, _guarded(endpoint), methods=[method]) for (method, path), endpoint in ROUTES.items()],
    lifespan=lifespan,
)


def serves(method: str, path: str) -> bool:
    """Whether a request is the edge's; the rest is Django's."""
    return (method, path) in ROUTES
