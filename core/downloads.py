"""A file on the disk as an answer, whole or from where an earlier download broke off (RFC 9110, ranges of bytes).

Django's FileResponse knows no ranges, and under ASGI it reads a file to its end before it sends a byte.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response

_CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


class UnsatisfiableRangeError(ValueError):
    """It begins behind the end of the file."""


def ranged_file(
    request: HttpRequest, path: Path, *, digest: str, content_type: str, file_name: str
) -> HttpResponseBase:
    """The file, or the one range of it that is asked for: 200, 206, 304 or 416. Raises FileNotFoundError.

    `digest` names its bytes: with If-Range a range is of the same file as before, or the answer is the whole new one.
    Several ranges at once are answered with the whole.
    """
    size = path.stat().st_size
    etag = f'"{digest}"'
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    try:
        asked = _asked(request, size, etag)
    except UnsatisfiableRangeError:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}", "ETag": etag})
    first, last = asked or (0, size - 1)
    response = StreamingHttpResponse(
        _pieces(request, path, first, last - first + 1), status=206 if asked else 200, content_type=content_type
    )
    response["Content-Length"] = str(last - first + 1)
    response["Content-Disposition"] = f'attachment; filename="{re.sub(r"[^A-Za-z0-9._-]", "-", file_name)}"'
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    response["X-Accel-Buffering"] = "no"
    if asked:
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    return response


def _asked(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """The first and the last byte; None for the whole file, which also answers what cannot be read."""
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None or request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    begin, end = found.groups()
    if not begin and not end:
        return None
    if not begin:
        if int(end) == 0 or size == 0:
            raise UnsatisfiableRangeError
        return max(0, size - int(end)), size - 1
    first, last = int(begin), min(int(end), size - 1) if end else size - 1
    if end and int(end) < first:
        return None
    if first >= size:
        raise UnsatisfiableRangeError
    return first, last


# ── Sending ──


class _Piece:
    """So many bytes of a file from a place on. Opened by the first read: a file that is deleted later is sent whole."""

    def __init__(self, path: Path, first: int, length: int) -> None:
        self._path, self._first, self._left = path, first, length
        self._file: IO[bytes] | None = None

    def read(self) -> bytes:
        """Nothing at the end, where it is closed too."""
        if self._file is None:
            self._file = self._path.open("rb")
            self._file.seek(self._first)
        chunk = self._file.read(min(_CHUNK, self._left))
        self._left -= len(chunk)
        if not chunk:
            self.close()
        return chunk

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Chunks(_Piece):
    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk


class _AsyncChunks(_Piece):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await asyncio.to_thread(self.read):
            yield chunk


def _pieces(request: HttpRequest, path: Path, first: int, length: int) -> _Chunks | _AsyncChunks:
    """What the response closes when it is sent, or broken off."""
    kind = _AsyncChunks if isinstance(request, ASGIRequest) else _Chunks
    return kind(path, first, length)
