"""Request bodies: read with a limit, unpacked with a limit, and not too many of the large ones at once."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import zstandard
from starlette.requests import Request

from core.errors import ApiError

MIB = 1024 * 1024
MOST_BYTES = 16 * MIB
# A body that is too large is read on and dropped, so that the client gets to read why; beyond this it is cut off.
MOST_DROPPED_BYTES = 64 * MIB
# What one process holds of bodies at once, and how many large ones it works on: 16 MiB of JSON become some 300.
MOST_HELD_BYTES = 256 * MIB
LARGE_BYTES = MIB
LARGE_AT_ONCE = 2
# zstd blocks of 4 bytes unpack to 128 KiB: so little is fed at a time that no feed passes the limit by far.
_ZSTD_FEED = 512
_ZSTD_WINDOW = 8 * MIB


class Intake:
    """What one process has taken in and not yet answered."""

    def __init__(self) -> None:
        self.held = 0
        self.large = asyncio.Semaphore(LARGE_AT_ONCE)

    @contextmanager
    def keep(self, size: int) -> Iterator[None]:
        """A body that is needed longer than it is worked on still counts."""
        self.held += size
        try:
            yield
        finally:
            self.held -= size

    def take(self, request: Request, most_bytes: int = MOST_BYTES) -> Taken:
        """The unpacked body of a request, held until it is worked through. Raises ApiError 400, 413, 415 or 503."""
        return Taken(self, request, most_bytes)


class Taken:
    """Not a generator with a decorator: this is entered and left for every request."""

    __slots__ = ("_held", "_intake", "_is_large", "_most_bytes", "_request")

    def __init__(self, intake: Intake, request: Request, most_bytes: int) -> None:
        self._intake = intake
        self._request = request
        self._most_bytes = most_bytes
        self._held = 0
        self._is_large = False

    async def __aenter__(self) -> bytes:
        try:
            packed = await self._read()
            encoding = self._request.headers.get("content-encoding", "").strip().lower()
            if len(packed) < LARGE_BYTES and encoding in ("", "identity"):
                return packed
            await self._intake.large.acquire()
            self._is_large = True
            return unpack(packed, encoding, self._most_bytes)
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._intake.held -= self._held
        self._held = 0
        if self._is_large:
            self._is_large = False
            self._intake.large.release()

    async def _read(self) -> bytes:
        seen = 0
        parts: list[bytes] = []
        declared = self._request.headers.get("content-length", "")
        is_too_large = declared.isdigit() and int(declared) > self._most_bytes
        async for part in self._request.stream():
            seen += len(part)
            is_too_large = is_too_large or seen > self._most_bytes
            if is_too_large:
                parts.clear()
                if seen > MOST_DROPPED_BYTES:
                    break
                continue
            self._held += len(part)
            self._intake.held += len(part)
            parts.append(part)
            if self._intake.held > MOST_HELD_BYTES:
                message = "Too many large requests are under way. Nothing was stored; send it again."
                raise ApiError(503, "busy", message, retry_after=2)
        if is_too_large:
            raise _too_large(self._most_bytes)
        return b"".join(parts)


def _too_large(most_bytes: int) -> ApiError:
    return ApiError(413, "body_too_large", f"A request body has at most {most_bytes // MIB} MiB, unpacked.")


def unpack(body: bytes, encoding: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Content-Encoding gzip, zstd or identity, undone; a bomb is refused as soon as it passes the limit."""
    if encoding in ("", "identity"):
        return body
    try:
        if encoding == "gzip":
            return _gunzip(body, most_bytes)
        if encoding == "zstd":
            return _unzstd(body, most_bytes)
    except (zlib.error, zstandard.ZstdError) as error:
        raise ApiError(400, "invalid_encoding", f"The body is not valid {encoding}.") from error
    raise ApiError(415, "unsupported_encoding", "Content-Encoding is gzip, zstd or identity.")


def _gunzip(body: bytes, most_bytes: int) -> bytes:
    """One member or several behind each other, as RFC 1952 allows."""
    unpacked = b""
    while body:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        unpacked += member.decompress(body, most_bytes + 1 - len(unpacked))
        if len(unpacked) > most_bytes:
            raise _too_large(most_bytes)
        if not member.eof:
            raise ApiError(400, "invalid_encoding", "The gzip body ends too early.")
        body = member.unused_data
    return unpacked


def _unzstd(body: bytes, most_bytes: int) -> bytes:
    unpacked = bytearray()
    frame = None
    while body:
        frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        at = 0
        while at < len(body) and not frame.eof:
            unpacked += frame.decompress(body[at : at + _ZSTD_FEED])
            at += _ZSTD_FEED
            if len(unpacked) > most_bytes:
                raise _too_large(most_bytes)
        if not frame.eof:
            raise ApiError(400, "invalid_encoding", "The zstd body ends too early.")
        body = frame.unused_data + body[at:]
    return bytes(unpacked)
