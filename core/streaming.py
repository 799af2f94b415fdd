"""Bodies that are made while they are sent, under WSGI and ASGI alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest


def streamed(request: HttpRequest, chunks: Iterable[str]) -> Iterator[bytes] | AsyncIterator[bytes]:
    """For StreamingHttpResponse. Under ASGI Django reads a plain iterator to its end before it sends a byte."""
    encoded = (chunk.encode() for chunk in chunks)
    return _advanced(encoded) if isinstance(request, ASGIRequest) else encoded


async def _advanced(encoded: Iterator[bytes]) -> AsyncIterator[bytes]:
    def advance() -> bytes | None:
        return next(encoded, None)

    while (chunk := await sync_to_async(advance)()) is not None:
        yield chunk
