"""A body is made while it is sent, whatever server sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.test import AsyncRequestFactory, RequestFactory

from core.streaming import streamed


def test_nothing_is_made_before_it_is_sent() -> None:
    made: list[int] = []

    def chunks() -> Iterator[str]:
        for number in range(3):
            made.append(number)
            yield f"ü{number}"

    plain = streamed(RequestFactory().get("/"), chunks())
    assert isinstance(plain, Iterator)
    assert (next(plain), made) == ("ü0".encode(), [0])

    made.clear()
    awaited = streamed(AsyncRequestFactory().get("/"), chunks())
    assert isinstance(awaited, AsyncIterator)

    async def read() -> list[bytes]:
        first = await anext(awaited)
        assert made == [0]
        return [first, *[chunk async for chunk in awaited]]

    assert asyncio.run(read()) == ["ü0".encode(), "ü1".encode(), "ü2".encode()]
