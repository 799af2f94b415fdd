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


def count_text(text: str, model: str, provider: str | None = None) -> Count:
    """Tokens of a bare text, as an embedding or an answer has them: no chat around it."""
    tokenizer = tokenizer_of(model, provider)
    counted = vocabulary(tokenizer.vocabulary).count(text)
    return Count(tokenizer.scaled(counted), tokenizer.name, tokenizer.is_exact)


def count_messages(
    messages: Any, model: str, provider: str | None = None, *, system: Any = None, tools: Any = None
) -> Count:
    """Prompt tokens of a chat in the form of OpenAI's or Anthropic's API."""
    tokenizer = tokenizer_of(model, provider)
    reading = Reading(model, tokenizer)
    reading.system(system)
    reading.messages(messages)
    reading.tools(tools)
    contents = reading.contents
    count = vocabulary(tokenizer.vocabulary).count
    texts = tokenizer.scaled(sum(map(count, contents.texts)))
    definitions = tokenizer.defined(sum(map(count, contents.definitions)))
    tokens = texts + definitions + contents.tokens + frame_tokens(contents, tokenizer)
    return Count(tokens, tokenizer.name, is_exact=is_exact_chat(contents, tokenizer))


def frame_tokens(contents: Contents, tokenizer: Tokenizer) -> int:
    """What stands around the messages of a chat."""
    frame = tokenizer.frame
    tools = frame.with_tools if contents.has_tools else 0
    return contents.messages * frame.per_message + frame.per_chat + tools


def is_exact_chat(contents: Contents, tokenizer: Tokenizer) -> bool:
    return contents.is_plain and tokenizer.is_exact and tokenizer.is_frame_exact
