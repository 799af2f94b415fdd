"""Request bodies: read with a limit, unpacked with a limit."""

from __future__ import annotations

import io
import zlib
from collections.abc import AsyncIterator

import zstandard

from core.errors import ApiError

MOST_BYTES = 16 * 1024 * 1024
_TOO_LARGE = f"A request body has at most {MOST_BYTES // 1024 // 1024} MiB, unpacked."


async def read_body(chunks: AsyncIterator[bytes], declared_length: str | None, encoding: str) -> bytes:
    """The unpacked body. Raises ApiError 400, 413 or 415; never holds more than the limit."""
    if declared_length and declared_length.isdigit() and int(declared_length) > MOST_BYTES:
        raise ApiError(413, "body_too_large", _TOO_LARGE)
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MOST_BYTES:
            raise ApiError(413, "body_too_large", _TOO_LARGE)
        parts.append(chunk)
    return unpack(b"".join(parts), encoding)


def unpack(body: bytes, encoding: str) -> bytes:
    """Content-Encoding gzip, zstd or identity, undone; a bomb is refused as soon as it passes the limit."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    try:
        if name == "gzip":
            unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            unpacked = unpacker.decompress(body, MOST_BYTES + 1)
            if not unpacker.eof and len(unpacked) <= MOST_BYTES:
                raise ApiError(400, "invalid_encoding", "The gzip body ends too early.")
        elif name == "zstd":
            with zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).stream_reader(io.BytesIO(body)) as reader:
                unpacked = reader.read(MOST_BYTES + 1)
        else:
            raise ApiError(415, "unsupported_encoding", "Content-Encoding is gzip, zstd or identity.")
    except (zlib.error, zstandard.ZstdError) as error:
        raise ApiError(400, "invalid_encoding", f"The body is not valid {name}.") from error
    if len(unpacked) > MOST_BYTES:
        raise ApiError(413, "body_too_large", _TOO_LARGE)
    return unpacked
