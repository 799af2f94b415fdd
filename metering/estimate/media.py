"""What pictures, recordings and documents in a prompt count as. Everything here is an estimate.

Sizes are pixels. The rules are the providers' published ones; what is assumed where a size cannot be known is in
docs/algorithms/estimates.md.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct

Size = tuple[int, int]

ASSUMED_SIZE: Size = (1_024, 1_024)
# A page of a PDF is read as text and as a picture.
PAGE_TOKENS = 2_500
GEMINI_PAGE_TOKENS = 300
PAGE_BYTES = 50_000
AUDIO_TOKENS_PER_SECOND = 10
_AUDIO_BYTES_PER_SECOND = {"wav": 48_000, "pcm16": 48_000}
_PACKED_AUDIO_BYTES_PER_SECOND = 16_000
# Of speech as it is kept at the least: 8,000 samples a second, or 16 kbit/s.
_LEAST_BYTES_PER_SECOND = {"wav": 16_000, "flac": 8_000}
_LEAST_PACKED_BYTES_PER_SECOND = 2_000
VIDEO_TOKENS_PER_SECOND = 300
_VIDEO_BYTES_PER_SECOND = 250_000

# The header of a JPEG may stand behind a profile and a thumbnail.
LONGEST_HEADER = 65_536
_SHORT_HEADER = 64

# OpenAI: (tokens of a picture, tokens of each tile of 512 pixels), by the beginning of the model's name.
_TILES = (
    (re.compile(r"gpt-4o-mini"), 2_833, 5_667),
    (re.compile(r"gpt-4"), 85, 170),
    (re.compile(r"o[13]"), 75, 150),
    (re.compile(r"computer-use"), 65, 129),
    (re.compile(r""), 70, 140),
)
# OpenAI's smaller models: percent of the patches of 32 pixels.
_PATCHES = (
    (re.compile(r"gpt-(4\.1|5)[^/]*-mini"), 162),
    (re.compile(r"gpt-(4\.1|5)[^/]*-nano"), 246),
    (re.compile(r"o4-mini"), 172),
)
_MOST_PATCHES = 1_536
_GEMINI_TILE, _GEMINI_3_PICTURE = 258, 1_120
_PIXELS_PER_TOKEN = 750
# The longest side a picture is shrunk to, and the most tokens one has.
_CLAUDE = (1_568, 1_600)
_CLAUDE_5 = (2_576, 4_784)


def image_tokens(model: str, family: str, size: Size | None, detail: str = "auto") -> int:
    """Tokens of one picture; `size` None when it is only an address."""
    width, height = size or ASSUMED_SIZE
    bare = model.lower().rpartition("/")[2]
    if family in ("gpt-4o", "gpt-5", "gpt-4", "openai"):
        return _openai_tokens(bare, width, height, detail)
    if family == "gemini":
        return _gemini_tokens(bare, width, height)
    longest, most = _CLAUDE_5 if family == "claude-5" else _CLAUDE
    width, height = _fitted(width, height, longest)
    return min(-(-width * height // _PIXELS_PER_TOKEN), most)


def _openai_tokens(model: str, width: int, height: int, detail: str) -> int:
    for pattern, percent in _PATCHES:
        if pattern.match(model):
            patches = min(-(-width // 32) * -(-height // 32), _MOST_PATCHES)
            return -(-patches * percent // 100)
    base, tile = next((base, tile) for pattern, base, tile in _TILES if pattern.match(model))
    if detail == "low":
        return base
    width, height = _fitted(width, height, 2_048)
    if min(width, height) > 768:
        shortest = min(width, height)
        width, height = width * 768 // shortest, height * 768 // shortest
    return base + tile * -(-width // 512) * -(-height // 512)


def _gemini_tokens(model: str, width: int, height: int) -> int:
    if model.startswith("gemini-3"):
        return _GEMINI_3_PICTURE
    if model.startswith("gemini-2.5"):
        return _GEMINI_TILE
    if width <= 384 and height <= 384:
        return _GEMINI_TILE
    unit = max(min(width, height) * 2 // 3, 256)
    unit = min(unit, 768)
    return _GEMINI_TILE * -(-width // unit) * -(-height // unit)


def _fitted(width: int, height: int, longest: int) -> Size:
    side = max(width, height)
    return (width, height) if side <= longest else (max(width * longest // side, 1), max(height * longest // side, 1))


def pdf_tokens(family: str, base64_chars: int) -> int:
    pages = max(1, -(-base64_chars * 3 // 4 // PAGE_BYTES))
    return pages * (GEMINI_PAGE_TOKENS if family == "gemini" else PAGE_TOKENS)


def audio_tokens(base64_chars: int, audio_format: str) -> int:
    rate = _AUDIO_BYTES_PER_SECOND.get(audio_format, _PACKED_AUDIO_BYTES_PER_SECOND)
    return max(1, -(-base64_chars * 3 // 4 * AUDIO_TOKENS_PER_SECOND // rate))


def video_tokens(base64_chars: int) -> int:
    return max(1, -(-base64_chars * 3 // 4 * VIDEO_TOKENS_PER_SECOND // _VIDEO_BYTES_PER_SECOND))


def recording_ms(size_bytes: int, name: str) -> int:
    """How long a recording may be at most, in milliseconds, by its size: its header is the provider's to read."""
    least = _LEAST_BYTES_PER_SECOND.get(name.lower().rpartition(".")[2], _LEAST_PACKED_BYTES_PER_SECOND)
    return max(1_000, -(-size_bytes * 1_000 // least))


# ── Sizes ──


def picture_size(encoded: str) -> Size | None:
    """Width and height from the header of a PNG, JPEG, GIF or WebP in base64, or None. Reads the beginning only."""
    for length in (_SHORT_HEADER, LONGEST_HEADER):
        try:
            head = base64.b64decode(encoded[:length])
        except (binascii.Error, ValueError):
            return None
        if size := _size_in(head):
            return size
        if not head.startswith(b"\xff\xd8"):
            break
    return None


def _size_in(head: bytes) -> Size | None:
    size: Size | None = None
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        size = struct.unpack(">II", head[16:24])
    elif head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        size = struct.unpack("<HH", head[6:10])
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) >= 30:
        size = _webp_size(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg_size(head)
    return size if size and size[0] and size[1] else None


def _webp_size(head: bytes) -> Size | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(head: bytes) -> Size | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
