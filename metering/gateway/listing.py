"""GET /v1/models: what an organization's upstreams offer, as one list."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable
from typing import Any

import aiohttp
import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from accounts.models import Scope
from core.errors import ApiError
from metering.door import granted, json_response, recorder
from metering.gateway.upstream import BROKEN, check_literal, credential_headers, drain
from metering.gateway.upstreams import Route, read_upstreams, serves_model
from metering.models.upstreams import Protocol

logger = structlog.get_logger(__name__)

LIFETIME_SECONDS = 60.0
# An upstream that does not answer is asked again sooner, but not by everybody at once.
FAILURE_LIFETIME_SECONDS = 10.0
TIMEOUT = aiohttp.ClientTimeout(total=10)
MOST_BYTES = 8 * 1024 * 1024
MOST_KEPT = 1_000
# As they came: what is read of them takes several times as much.
MOST_KEPT_BYTES = 16 * 1024 * 1024
ANTHROPIC_VERSION = "2023-06-01"

Model = dict[str, Any]


class _Kept(msgspec.Struct, frozen=True):
    """What an upstream said, of `size` bytes, and until when (monotonic) it is not asked again."""

    asked_as: bytes
    until: float
    models: list[Model] | None
    size: int


class Listing:
    """What the upstreams said last, kept for a minute; of all of them no more than some megabytes."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        # By the upstream's id, oldest first: what was said to a former address or credential gives way.
        self._kept: dict[int, _Kept] = {}
        self._kept_bytes = 0
        self._asking: dict[bytes, asyncio.Task[list[Model] | None]] = {}

    async def models(self, routes: Iterable[Route]) -> list[Model]:
        """Every model once, in fallback order. Raises ApiError 502 when no upstream lists any."""
        routes = list(routes)
        answers = await asyncio.gather(*(self._of(route) for route in routes))
        merged: dict[str, Model] = {}
        for route, answer in zip(routes, answers, strict=True):
            # A server without a list serves at least what it is set up for by name.
            listed = answer if answer is not None else [{"id": name} for name in route.models if "*" not in name]
            for model in listed:
                if serves_model(route, model["id"]):
                    merged.setdefault(model["id"], {"owned_by": route.provider or route.name, **model})
        if routes and not merged and all(answer is None for answer in answers):
            raise ApiError(502, "upstream_unreachable", "No upstream told its models.", retry_after=5)
        return list(merged.values())

    async def _of(self, route: Route) -> list[Model] | None:
        asked_as = hashlib.blake2b(msgspec.msgpack.encode(route), digest_size=16).digest()
        kept = self._kept.get(route.id)
        if kept is not None and kept.asked_as == asked_as and kept.until > time.monotonic():
            return kept.models
        asking = self._asking.get(asked_as)
        if asking is None:
            asking = self._asking[asked_as] = asyncio.create_task(self._ask(route, asked_as))
            asking.add_done_callback(lambda _: self._asking.pop(asked_as, None))
        # Who goes away leaves the answer to the others who wait for it.
        return await asyncio.shield(asking)

    async def _ask(self, route: Route, asked_as: bytes) -> list[Model] | None:
        body = await self._fetch(route)
        models = _models_in(body) if body is not None else None
        lifetime = FAILURE_LIFETIME_SECONDS if models is None else LIFETIME_SECONDS
        size = len(body) if models is not None and body is not None else 0
        self._keep(route.id, _Kept(asked_as, time.monotonic() + lifetime, models, size))
        return models

    def _keep(self, upstream_id: int, kept: _Kept) -> None:
        self._drop(upstream_id)
        while self._kept and (len(self._kept) >= MOST_KEPT or self._kept_bytes + kept.size > MOST_KEPT_BYTES):
            self._drop(next(iter(self._kept)))
        if kept.size <= MOST_KEPT_BYTES:
            self._kept[upstream_id] = kept
            self._kept_bytes += kept.size

    def _drop(self, upstream_id: int) -> None:
        kept = self._kept.pop(upstream_id, None)
        if kept is not None:
            self._kept_bytes -= kept.size

    async def _fetch(self, route: Route) -> bytes | None:
        """None when the upstream has no list to give."""
        is_anthropic = route.protocol == Protocol.ANTHROPIC
        url = route.base_url + ("/v1/models?limit=1000" if is_anthropic else "/models")
        headers = credential_headers(route) | ({"anthropic-version": ANTHROPIC_VERSION} if is_anthropic else {})
        try:
            check_literal(route.base_url)
            async with self._session.get(url, headers=headers, allow_redirects=False, timeout=TIMEOUT) as response:
                return await drain(response, MOST_BYTES) if response.status == 200 else None
        except (*BROKEN, ApiError) as error:
            logger.warning("upstream_models_unknown", upstream=route.id, error=repr(error))
            return None


def _models_in(body: bytes) -> list[Model] | None:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    data = document.get("data") if isinstance(document, dict) else document
    if not isinstance(data, list):
        return None
    return [model for model in data if isinstance(model, dict) and isinstance(model.get("id"), str)]


async def list_models(request: Request) -> Response:
    merged = await _merged(request)
    if _is_anthropic_client(request):
        data = [_as_anthropic(model) for model in merged]
        ids = [model["id"] for model in data]
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        return json_response({"data": data, "has_more": False, "first_id": first, "last_id": last})
    return json_response({"object": "list", "data": [_as_openai(model) for model in merged]})


async def show_model(request: Request) -> Response:
    wanted = request.path_params["model"]
    for model in await _merged(request):
        if model["id"] == wanted:
            return json_response(_as_anthropic(model) if _is_anthropic_client(request) else _as_openai(model))
    message = f"No upstream of this organization serves the model {wanted!r}."
    raise ApiError(404, "model_not_found", message, param="model")


async def _merged(request: Request) -> list[Model]:
    grant = await granted(request, Scope.GATEWAY)
    routes = await recorder(request).keyring.about(grant.organization_id, read_upstreams)
    listing: Listing = request.app.state.gateway.listing
    return await listing.models(route for route in routes if not route.is_locked)


def _is_anthropic_client(request: Request) -> bool:
    return "anthropic-version" in request.headers


def _as_openai(model: Model) -> Model:
    created = model.get("created")
    return {**model, "object": "model", "created": created if isinstance(created, int) else 0}


def _as_anthropic(model: Model) -> Model:
    known = {name: value for name, value in model.items() if name not in ("object", "created", "owned_by")}
    return {"type": "model", "display_name": model["id"], "created_at": "1970-01-01T00:00:00Z", **known}
