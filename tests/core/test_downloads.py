"""A file as an answer under ASGI: piece by piece, from a thread, never as a whole in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory

from core import downloads
from core.downloads import ranged_file

CONTENT = bytes(range(256)) * 4_000


def test_a_part_is_sent_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    request = AsyncRequestFactory().get("/", headers={"Range": "bytes=100-999999"})
    response = ranged_file(request, path, digest="d", content_type="text/plain", file_name='a b/"c.txt')
    assert isinstance(response, StreamingHttpResponse)
    assert response.is_async
    assert response["Content-Disposition"] == 'attachment; filename="a-b--c.txt"'

    async def pieces() -> list[bytes]:
        return [piece async for piece in response]

    sent = asyncio.run(pieces())
    assert b"".join(sent) == CONTENT[100:1_000_000]
    assert max(map(len, sent)) == downloads._CHUNK
