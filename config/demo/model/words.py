"""What the demo's model says, in which tokens, and how fast: the same for the same question."""

from __future__ import annotations

import hashlib
import random
import re
from typing import Any

import msgspec

# Its tokens: up to four letters or digits with the space before them, or one other sign.
_TOKEN = re.compile(r" ?[^\W_]{1,4}|\s|[^\w\s]|_")
QUOTED = 60
# A list of messages, a message, its parts, a tool's result, its parts.
DEEPEST = 6
_ASIDES = (
    "The call went through the gateway like any other: checked, forwarded, counted and priced.",
    "Look at the overview: this call is already in its figures.",
    "Set a hard limit on a budget and ask again: the gateway will refuse before it forwards.",
    "The receipt of this call shows each bucket of tokens with its rate.",
    "Stream it, and the usage still arrives, whether the client asks for it or not.",
)
SECONDS_TO_FIRST_TOKEN = (0.12, 0.35)
SECONDS_PER_TOKEN = (0.008, 0.016)


class Answer(msgspec.Struct, frozen=True):
    """`tokens` joined are the text. `is_cut`: the asker's limit on tokens ended it."""

    tokens: tuple[str, ...]
    is_cut: bool
    prompt_tokens: int
    first_token_seconds: float
    token_seconds: float
    # Stands in ids; the same question to the same model gets another id each time.
    id: str

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def seconds(self) -> float:
        return self.first_token_seconds + len(self.tokens) * self.token_seconds


def tokens_of(text: str) -> list[str]:
    return _TOKEN.findall(text)


def count(text: str) -> int:
    return len(tokens_of(text))


def answer(model: str, prompt: str, question: str, most_tokens: int | None) -> Answer:
    """What `model` says to a conversation of the text `prompt` that ends in `question`."""
    drawn = random.Random(hashlib.sha256(f"{model}\n{prompt}".encode(errors="replace")).digest())  # noqa: S311
    quoted = " ".join(question.split())
    if len(quoted) > QUOTED:
        quoted = quoted[: QUOTED - 1].rstrip() + "…"
    said = f"You said: “{quoted}”. " if quoted else ""
    text = (
        f"This is the demo's own model, not {model}: no provider was called. {said}"
        f"{drawn.choice(_ASIDES)} Add an upstream with a provider's key to get real answers."
    )
    tokens = tokens_of(text)
    is_cut = most_tokens is not None and most_tokens < len(tokens)
    return Answer(
        tokens=tuple(tokens[:most_tokens] if is_cut else tokens),
        is_cut=is_cut,
        prompt_tokens=count(prompt),
        first_token_seconds=drawn.uniform(*SECONDS_TO_FIRST_TOKEN),
        token_seconds=drawn.uniform(*SECONDS_PER_TOKEN),
        id=f"{random.SystemRandom().randrange(16**24):024x}",
    )


def text_in(content: Any, depth: int = 0) -> str:
    """The text of a message's content: a string, or parts of which some have text, or parts themselves."""
    if isinstance(content, str):
        return content
    if depth == DEEPEST:
        return ""
    if isinstance(content, list):
        return "\n".join(text for part in content if (text := text_in(part, depth + 1)))
    if isinstance(content, dict):
        return text_in(content.get("text", content.get("content")), depth + 1)
    return ""


def vector(text: str, dimensions: int) -> list[float]:
    """A direction of length 1 that belongs to this text alone."""
    drawn = random.Random(hashlib.sha256(text.encode(errors="replace")).digest())  # noqa: S311
    numbers = [drawn.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = sum(number * number for number in numbers) ** 0.5
    return [number / length for number in numbers]
