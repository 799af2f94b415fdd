"""Counting texts and chats with the vocabularies.

For threads: the first call loads a vocabulary. quick.py is for event loops.
"""

from __future__ import annotations

from typing import Any

import msgspec

from metering.estimate.contents import Contents, Reading
from metering.estimate.tokenizers import Tokenizer, tokenizer_of
from metering.estimate.vocabulary import vocabulary


class Count(msgspec.Struct, frozen=True):
    """Tokens, the tokenizer they were counted with, and whether the provider's count would be the same."""

    tokens: int
    tokenizer: str
    is_exact: bool


class Prompt:
    """A bare text, or a chat in the form of OpenAI's or Anthropic's API: counted once for each vocabulary."""

    def __init__(self, *, text: str | None = None, messages: Any = None, system: Any = None, tools: Any = None) -> None:
        self._text = text
        self._chat = (system, messages, tools)
        self._counted: dict[str, tuple[int, int]] = {}

    def count(self, model: str, provider: str | None = None) -> Count:
        """Tokens of it as the model's prompt. Not for the event loop."""
        tokenizer = tokenizer_of(model, provider)
        if self._text is not None:
            texts, _ = self._vocabulary_counts(Contents([self._text], []), tokenizer)
            return Count(tokenizer.scaled(texts), tokenizer.name, tokenizer.is_exact)
        reading = Reading(model, tokenizer)
        system, messages, tools = self._chat
        reading.system(system)
        reading.messages(messages)
        reading.tools(tools)
        contents = reading.contents
        texts, definitions = self._vocabulary_counts(contents, tokenizer)
        tokens = tokenizer.scaled(texts) + tokenizer.defined(definitions)
        tokens += contents.tokens + frame_tokens(contents, tokenizer)
        return Count(tokens, tokenizer.name, is_exact=is_exact_chat(contents, tokenizer))

    def _vocabulary_counts(self, contents: Contents, tokenizer: Tokenizer) -> tuple[int, int]:
        """Of its texts and its definitions: they are the same for every model."""
        counts = self._counted.get(tokenizer.vocabulary)
        if counts is None:
            count = vocabulary(tokenizer.vocabulary).count
            counts = sum(map(count, contents.texts)), sum(map(count, contents.definitions))
            self._counted[tokenizer.vocabulary] = counts
        return counts


def count_text(text: str, model: str, provider: str | None = None) -> Count:
    """Tokens of a bare text, as an embedding or an answer has them: no chat around it."""
    return Prompt(text=text).count(model, provider)


def count_messages(
    messages: Any, model: str, provider: str | None = None, *, system: Any = None, tools: Any = None
) -> Count:
    """Prompt tokens of a chat."""
    return Prompt(messages=messages, system=system, tools=tools).count(model, provider)


def frame_tokens(contents: Contents, tokenizer: Tokenizer) -> int:
    """What stands around the messages of a chat."""
    frame = tokenizer.frame
    tools = frame.with_tools if contents.has_tools else 0
    return contents.messages * frame.per_message + frame.per_chat + tools


def is_exact_chat(contents: Contents, tokenizer: Tokenizer) -> bool:
    return contents.is_plain and tokenizer.is_exact and tokenizer.is_frame_exact
