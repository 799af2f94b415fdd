"""Which tokenizer a model has, and how far its counts can be trusted here.

OpenAI's are public and counted exactly. Of the other families only the usage their providers report is known: their
texts are counted with o200k_base and multiplied by what was measured. docs/algorithms/estimates.md has the figures.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from metering.pricing.aliases import canonical_provider

_MOST_MODELS = 4_096


class Frame(msgspec.Struct, frozen=True):
    """Tokens a chat has beside its texts: around each message, around all of them, and once when tools are given.

    `definitions_percent` is what a tool's definition counts as, for 100 tokens of its JSON.
    """

    per_message: int
    per_chat: int
    with_tools: int
    definitions_percent: int


class Tokenizer(msgspec.Struct, frozen=True):
    """How texts of a family of models are counted.

    `percent` is the family's tokens for 100 of the vocabulary's. `is_exact` speaks of texts, `is_frame_exact` of what
    stands around the messages of a chat.
    """

    family: str
    vocabulary: str
    percent: int
    frame: Frame
    is_exact: bool = False
    is_frame_exact: bool = False

    @property
    def name(self) -> str:
        """As answers name it: "o200k_base", or "o200k_base × 1.13 (claude)"."""
        if self.is_exact:
            return self.vocabulary
        return f"{self.vocabulary} × {self.percent // 100}.{self.percent % 100:02d} ({self.family})"

    @property
    def is_claude(self) -> bool:
        return self.family.startswith("claude")

    def scaled(self, counted: int) -> int:
        """Tokens of the family for a count of the vocabulary, rounded up."""
        return _percent(counted, self.percent)

    def defined(self, counted: int) -> int:
        """Tokens of definitions for a count of their JSON, rounded up."""
        return _percent(counted, self.frame.definitions_percent)


def _percent(counted: int, percent: int) -> int:
    return -(-counted * percent // 100)


_O200K, _CL100K = "o200k_base", "cl100k_base"
_GPT_FRAME = Frame(4, 3, 5, 70)
_REASONING_FRAME = Frame(4, 2, 75, 75)

# The first whose pattern begins the model's own name; of inexact ones also one that has it anywhere in it.
_BY_NAME = tuple(
    (re.compile(pattern), tokenizer)
    for pattern, tokenizer in (
        (r"gpt-oss", Tokenizer("gpt-oss", _O200K, 100, Frame(5, 62, 5, 100), is_exact=True)),
        (r"gpt-4o(-mini)?-search", Tokenizer("gpt-4o", _O200K, 100, _GPT_FRAME, is_exact=True)),
        (r"gpt-(4o|4\.1|4\.5)|chatgpt-4o", Tokenizer("gpt-4o", _O200K, 100, _GPT_FRAME, True, True)),
        (r"gpt-[5-9]|o[1-9](-|$)|codex|chatgpt", Tokenizer("gpt-5", _O200K, 100, _REASONING_FRAME, is_exact=True)),
        (
            r"gpt-(4|3\.5|35)(-|$)|(davinci|babbage)-002|text-embedding-(3-|ada-002)",
            Tokenizer("gpt-4", _CL100K, 100, _GPT_FRAME, True, True),
        ),
        (r"gpt-(image|audio|realtime)|computer-use", Tokenizer("gpt-4o", _O200K, 100, _GPT_FRAME)),
        # With Opus 4.7 the family got a tokenizer that makes more of the same text.
        (
            r"claude-(opus-4[-.][7-9]|(opus|sonnet|haiku)-[5-9]|[a-z]+-[5-9])",
            Tokenizer("claude-5", _O200K, 144, Frame(4, 4, 700, 144)),
        ),
        (r"claude", Tokenizer("claude", _O200K, 114, Frame(3, 4, 500, 114))),
        (r"gemini|gemma|text-bison", Tokenizer("gemini", _O200K, 106, Frame(1, 0, 5, 90))),
        (r"(code|dev|magi|mi|mini|mix|pix|vox)s?tral", Tokenizer("mistral", _O200K, 106, Frame(3, 2, 0, 145))),
        (r"deepseek", Tokenizer("deepseek", _O200K, 104, Frame(2, 3, 300, 100))),
        (r"llama", Tokenizer("llama", _O200K, 105, Frame(5, 30, 640, 100))),
        (r"qwen|qwq", Tokenizer("qwen", _O200K, 105, Frame(4, 4, 200, 110))),
        (
            r"command|cohere|aya-|embed-(v|english|multilingual)|rerank",
            Tokenizer("cohere", _O200K, 110, Frame(4, 4, 100, 110)),
        ),
        (r"nova-", Tokenizer("nova", _O200K, 102, Frame(1, 1, 700, 110))),
        (r"glm", Tokenizer("glm", _O200K, 107, Frame(2, 6, 100, 107))),
        (r"grok", Tokenizer("grok", _O200K, 105, Frame(4, 4, 100, 110))),
    )
)
_OPENAI = Tokenizer("openai", _O200K, 100, _REASONING_FRAME)
_OTHER = Tokenizer("other", _O200K, 115, Frame(4, 4, 100, 115))
_BY_PROVIDER = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "anthropic": next(t for _, t in _BY_NAME if t.family == "claude-5"),
    "google": next(t for _, t in _BY_NAME if t.family == "gemini"),
    "mistral": next(t for _, t in _BY_NAME if t.family == "mistral"),
    "deepseek": next(t for _, t in _BY_NAME if t.family == "deepseek"),
    "cohere": next(t for _, t in _BY_NAME if t.family == "cohere"),
    "x-ai": next(t for _, t in _BY_NAME if t.family == "grok"),
}


_MAKERS = {
    "gpt-4o": "openai", "gpt-5": "openai", "gpt-4": "openai", "claude": "anthropic", "claude-5": "anthropic",
    "gemini": "google", "mistral": "mistral", "deepseek": "deepseek", "cohere": "cohere", "grok": "x-ai",
}  # fmt: skip

# Bedrock's "us.anthropic." and "openai." before the name.
_VENDORS = re.compile(r"(?:[a-z]{2,}(?:-[a-z]+)*\.)+")


@lru_cache(_MOST_MODELS)
def tokenizer_of(model: str, provider: str | None = None) -> Tokenizer:
    """The tokenizer of a model by its name, else by its provider's usual one, else a cautious guess."""
    # openai/gpt-4o, models/gemini-2.5-pro, us.anthropic.claude-sonnet-4-5-v1:0, ft:gpt-4o-mini:acme::id
    bare = _VENDORS.sub("", model.strip().lower().rpartition("/")[2].removeprefix("ft:"), count=1)
    for pattern, tokenizer in _BY_NAME:
        found = pattern.match(bare)
        if found or (not tokenizer.is_exact and pattern.search(bare)):
            return tokenizer
    return _BY_PROVIDER.get(canonical_provider(provider), _OTHER)


def maker_of(model: str) -> str | None:
    """The provider that makes a family of models and sells it itself, if the name tells."""
    return _MAKERS.get(tokenizer_of(model).family)
