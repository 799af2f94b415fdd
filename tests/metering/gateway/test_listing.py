"""GET /v1/models: asked for once however many ask, and no more kept than there is room for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from pytest_django import Settings

from metering.gateway import listing as module
from metering.gateway.listing import Listing
from metering.gateway.upstreams import Route
from tests.metering.gateway.listing import Listing as Script
from tests.metering.gateway.listing import serving


@pytest.fixture(autouse=True)
def _private_upstreams(settings: Settings) -> None:
    settings.GATEWAY_ALLOW_PRIVATE_UPSTREAMS = True


def route(script: Script, number: int = 1, credential: str = "sk-1") -> Route:
    return Route(number, "up", "openai", script.url, credential, "openai", ("*",), 600.0)


def with_listing(act: Callable[[Listing], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with aiohttp.ClientSession() as session:
            return await act(Listing(session))

    return asyncio.run(main())


def test_many_who_ask_at_once_ask_the_upstream_once() -> None:
    with serving(Script(delay_seconds=0.3)) as script:

        async def act(listing: Listing) -> None:
            first = asyncio.create_task(listing.models([route(script)]))
            await asyncio.sleep(0.05)
            others = [asyncio.create_task(listing.models([route(script)])) for _ in range(20)]
            await asyncio.sleep(0.05)
            first.cancel()
            found = await asyncio.gather(*others)
            assert {len(models) for models in found} == {3}
            await listing.models([route(script)])

        with_listing(act)
        assert len(script.asked) == 1


def test_another_credential_asks_again_and_the_former_is_forgotten() -> None:
    with serving(Script()) as script:

        async def act(listing: Listing) -> None:
            for credential in ("sk-1", "sk-2", "sk-2"):
                await listing.models([route(script, credential=credential)])
            assert list(listing._kept) == [1]
            assert b"sk-" not in msgspec.msgpack.encode(list(listing._kept.values()))

        with_listing(act)
        assert [headers["authorization"] for _, headers in script.asked] == ["Bearer sk-1", "Bearer sk-2"]


def test_no_more_bytes_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"data": [{"id": f"m{number}", "about": "x" * 100} for number in range(100)]}).encode()
    monkeypatch.setattr(module, "MOST_KEPT_BYTES", len(body) * 3 + 1)
    with serving(Script(body=body)) as script:

        async def act(listing: Listing) -> None:
            for number in (1, 2, 3, 4, 5, 5, 3):
                assert len(await listing.models([route(script, number)])) == 100
            assert list(listing._kept) == [3, 4, 5]
            assert listing._kept_bytes == len(body) * 3
            monkeypatch.setattr(module, "MOST_KEPT_BYTES", len(body) - 1)
            assert len(await listing.models([route(script, 6)])) == 100
            assert (listing._kept, listing._kept_bytes) == ({}, 0)

        with_listing(act)
        assert len(script.asked) == 6
