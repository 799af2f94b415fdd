"""OpenAI's two vocabularies, from this package's own files: no network, checked at load, loaded when first needed.

Loading takes some 0.3 s and 25 (cl100k) or 50 MB (o200k) that stay, so nothing loads one by importing this module,
and the event loop only ever asks `loaded`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import zstandard

FOLDER = Path(__file__).parent / "vocabularies"

# As in tiktoken_ext/openai_public.py, which downloads what we have here.
_SHA256 = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
_PATTERN = {
    "cl100k_base": (
        r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"""
        r"""|\s*[\r\n]|\s+(?!\S)|\s"""
    ),
    "o200k_base": (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
        r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    ),
}

# The pattern's engine gives up (and takes the process's thread with it) on white space of some hundred thousand
# characters, and the merging is slow on words of that size.
_PIECE_CHARS = 32_768
_SEAM_CHARS = 1_000
# Before a single space, and behind the end of a line.
_SEAM = re.compile(r"(?<=\S) (?=\S)|(?<=\n)(?=[^\s/])")


class VocabularyError(Exception):
    """A vocabulary's file is not the one it should be."""


class Vocabulary:
    """Counts the tokens of texts. Immutable; threads may share it."""

    __slots__ = ("_core", "name")

    def __init__(self, name: str) -> None:
        # Imported where it is needed: it brings the whole package along. Its Encoding keeps the ranks a second time, as
        # a dictionary of Python's: 30 MB for nothing.
        from tiktoken._tiktoken import CoreBPE

        self.name = name
        self._core = CoreBPE(_read_ranks(name), {}, _PATTERN[name])

    def count(self, text: str) -> int:
        """Tokens of a text in which nothing is special. Takes about 35 µs a kilobyte."""
        if len(text) <= _PIECE_CHARS:
            return self._count_piece(text)
        return sum(self._count_piece(piece) for piece in _pieces(text))

    def _count_piece(self, text: str) -> int:
        try:
            return len(self._core.encode_ordinary(text))
        except UnicodeEncodeError:
            # Lone surrogates, which JSON may hold and UTF-8 may not: as tiktoken does, one � each.
            repaired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            return len(self._core.encode_ordinary(repaired))


def _pieces(text: str) -> Iterator[str]:
    """The text in parts, cut where no token of either pattern spans."""
    start = 0
    while start < len(text):
        end = start + _PIECE_CHARS
        if end < len(text):
            end = _seam(text, end)
        yield text[start:end]
        start = end


def _seam(text: str, end: int) -> int:
    """The last place to cut before `end`; `end` itself in what has neither words nor lines, one token off perhaps."""
    before = end - _SEAM_CHARS
    places = [found.start() for found in _SEAM.finditer(text, before, end)]
    return places[-1] if places else end


def _read_ranks(name: str) -> dict[bytes, int]:
    data = zstandard.decompress((FOLDER / f"{name}.tiktoken.zst").read_bytes())
    if hashlib.sha256(data).hexdigest() != _SHA256[name]:
        raise VocabularyError(f"{name} is damaged; scripts/vocabularies makes it anew")
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}


_loaded: dict[str, Vocabulary] = {}
_loading = threading.Lock()


def loaded(name: str) -> Vocabulary | None:
    """The vocabulary if it is in memory; never loads, never waits."""
    return _loaded.get(name)


def vocabulary(name: str) -> Vocabulary:
    """The vocabulary, loaded if need be. Not for the event loop. Raises VocabularyError, KeyError."""
    if name not in _loaded:
        with _loading:
            if name not in _loaded:
                _loaded[name] = Vocabulary(name)
    return _loaded[name]
