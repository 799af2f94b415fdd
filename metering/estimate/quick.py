"""Counting on the event loop: exact where that takes microseconds, else an estimate that rather says too much.

Never loads a vocabulary. Longer texts are judged by windows at even distances, so the time does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from metering.estimate.tokenizers import Tokenizer
from metering.estimate.vocabulary import loaded

EXACT_CHARS = 2_000
WINDOWS = 10
WINDOW_CHARS = 160

# Percent. Windows cut words, and what they do not show may be denser.
_SAMPLED_MARGIN = 108
# Tokens per 100 bytes of UTF-8: more than 19 in 20 texts of any kind have; docs/algorithms/estimates.md. Bytes of
# other alphabets count more where the vocabulary has few of their words.
_USUAL = {"o200k_base": 36, "cl100k_base": 37}
_FOREIGN = {"o200k_base": 36, "cl100k_base": 52}
# Digits, hexadecimal and base64: hardly a space in them.
_DENSE = 70
_DENSE_BYTES_PER_WORD = 24
_COUNTED = "counted"


class QuickCount(msgspec.Struct, frozen=True):
    tokens: int
    tokenizer: str
    is_exact: bool


def quick_count(texts: Sequence[str], tokenizer: Tokenizer) -> QuickCount:
    """Tokens of all texts together. Does not block: at most some 100 µs, whatever their length."""
    counted, how = _count(texts, tokenizer.vocabulary)
    name = tokenizer.name if how == _COUNTED else how
    return QuickCount(tokenizer.scaled(counted), name, is_exact=tokenizer.is_exact and how == _COUNTED)


def quick_definitions(definitions: Sequence[str], tokenizer: Tokenizer) -> int:
    """Tokens of the JSON of tools and formats."""
    return tokenizer.defined(_count(definitions, tokenizer.vocabulary)[0]) if definitions else 0


def _count(texts: Sequence[str], name: str) -> tuple[int, str]:
    """The vocabulary's tokens, and how they were found."""
    total = sum(map(len, texts))
    vocabulary = loaded(name)
    if vocabulary is not None and total <= EXACT_CHARS:
        return sum(map(vocabulary.count, texts)), _COUNTED
    windows = list(_windows(texts, total)) if total > EXACT_CHARS else texts
    seen = sum(map(len, windows)) or 1
    if vocabulary is not None:
        hundredths = sum(map(vocabulary.count, windows)) * _SAMPLED_MARGIN
    else:
        hundredths = sum(_hundredths(window, name) for window in windows)
    return -(-hundredths * total // (seen * 100)), "bytes" if vocabulary is None else f"{name}, sampled"


def _windows(texts: Sequence[str], total: int) -> Iterator[str]:
    """Pieces of the texts at even distances, as if they stood one behind the other."""
    distance = total // WINDOWS
    following = (distance - WINDOW_CHARS) // 2
    start = 0
    for text in texts:
        end = start + len(text)
        while following < end:
            yield text[following - start : following - start + WINDOW_CHARS]
            following += distance
        start = end


def _hundredths(window: str, vocabulary: str) -> int:
    """Tokens of a window, times 100."""
    if not window.isascii():
        size = len(window.encode("utf-8", "surrogatepass"))
        foreign = min(2 * (size - len(window)), size)  # exact for alphabets of two bytes a letter
        return (size - foreign) * _USUAL[vocabulary] + foreign * _FOREIGN[vocabulary]
    is_dense = len(window.split()) * _DENSE_BYTES_PER_WORD < len(window)
    return len(window) * (_DENSE if is_dense else _USUAL[vocabulary])
