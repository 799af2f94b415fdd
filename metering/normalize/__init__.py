"""A provider's own usage object, in our disjoint buckets.

`normalize` is the whole of it: raw object in, `Normalized` out, `UsageError` where it cannot be
counted. `extract` and `fold_stream` find the object in a response body or a stream first. The rules
by provider, with worked examples, are in `docs/algorithms/normalization.md`.

A normalizer is a module with `matches(raw)`, whether it reads this shape, and
`normalize(raw, endpoint)`. A new provider is a line in `PROVIDERS`, a new shape also one in `SHAPES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from metering.events import Normalized
from metering.normalize.errors import UsageError
from metering.normalize.extract import Extract, extract
from metering.normalize.locate import usage_in
from metering.normalize.streams import fold_stream

__all__ = ["ALIASES", "PROVIDERS", "Extract", "UsageError", "extract", "fold_stream", "normalize"]

_OPENAI = "metering.normalize.openai"

PROVIDERS: dict[str, str] = {
    "anthropic": "metering.normalize.anthropic",
    "bedrock": "metering.normalize.bedrock",
    "cerebras": _OPENAI,
    "cohere": "metering.normalize.cohere",
    "deepseek": "metering.normalize.deepseek",
    "fireworks": _OPENAI,
    "google": "metering.normalize.gemini",
    "groq": "metering.normalize.groq",
    "huggingface": _OPENAI,
    "mistral": "metering.normalize.mistral",
    "moonshot": _OPENAI,
    "ollama": "metering.normalize.ollama",
    "openai": _OPENAI,
    "openrouter": "metering.normalize.openrouter",
    "own": "metering.normalize.own",
    "perplexity": "metering.normalize.perplexity",
    "replicate": "metering.normalize.tokencounts",
    "sagemaker": _OPENAI,
    "snowflake": _OPENAI,
    "together": _OPENAI,
    "vllm": _OPENAI,
    "voyage": _OPENAI,
    "watsonx": "metering.normalize.tokencounts",
    "writer": _OPENAI,
    "xai": "metering.normalize.xai",
    "zai": _OPENAI,
}

# Names other tools use for the same provider, folded: lower case, with `_` for every separator.
ALIASES: dict[str, str] = {
    "amazon": "bedrock",
    "amazon_bedrock": "bedrock",
    "aws": "bedrock",
    "aws_bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "azure": "openai",
    "azure_ai": "openai",
    "azure_ai_openai": "openai",
    "azure_openai": "openai",
    "openai_compatible": "openai",
    "litellm_proxy": "openai",
    "claude": "anthropic",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gcp_gemini": "google",
    "gcp_gen_ai": "google",
    "gcp_vertex_ai": "google",
    "gemini": "google",
    "google_genai": "google",
    "google_gla": "google",
    "google_vertex": "google",
    "vertex": "google",
    "vertex_ai": "google",
    "hugging_face": "huggingface",
    "ibm_watsonx_ai": "watsonx",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot_ai": "moonshot",
    "moonshotai": "moonshot",
    "open_router": "openrouter",
    "perplexity_ai": "perplexity",
    "tokenledger": "own",
    "together_ai": "together",
    "voyage_ai": "voyage",
    "voyageai": "voyage",
    "grok": "xai",
    "x_ai": "xai",
    "z_ai": "zai",
    "zhipuai": "zai",
}

# Shapes to try, the telling ones first, where no provider is named or the named one does not know the object.
SHAPES = ("own", "openai", "cohere", "anthropic", "google", "bedrock", "ollama", "watsonx", "mistral", "groq")

# Fields by which a compatible provider gives itself away in an OpenAI-shaped object.
DIALECTS: dict[str, str] = {
    "prompt_cache_hit_tokens": "deepseek",
    "num_cached_tokens": "mistral",
    "prompt_audio_seconds": "mistral",
    "citation_tokens": "perplexity",
    "num_search_queries": "perplexity",
    "cost_in_usd_ticks": "xai",
    "num_sources_used": "xai",
    "server_side_tool_usage_details": "xai",
    "cost_details": "openrouter",
    "server_tool_use_details": "openrouter",
}
_DIALECT_FIELDS = frozenset(DIALECTS)


class Normalizer(Protocol):
    def matches(self, raw: Mapping[str, Any], /) -> bool: ...

    def normalize(self, raw: Mapping[str, Any], endpoint: str | None, /) -> Normalized: ...


_loaded: dict[str, Normalizer] = {}


def normalize(raw: Mapping[str, Any] | None, *, provider: str | None = None, endpoint: str | None = None) -> Normalized:
    """The buckets of a usage object; `usage` None where it says nothing, which is unknown and never 0.

    `provider` picks the normalizer. An unknown name, or an object in another family's shape (Claude
    behind an OpenAI-compatible server, any model on Bedrock), is recognized by its fields instead;
    our own bucket names are accepted everywhere.
    """
    if raw is None:
        return Normalized(usage=None)
    if provider is not None:
        normalizer = _loaded.get(ALIASES.get(provider, provider)) or _named(provider)
        if normalizer is not None and isinstance(raw, Mapping) and normalizer.matches(raw):
            return normalizer.normalize(raw, endpoint)
    if not isinstance(raw, Mapping):
        raise UsageError("invalid_usage", "usage must be an object", "usage")
    normalizer = _recognized(raw)
    if normalizer is not None:
        return normalizer.normalize(raw, endpoint)
    # Some clients hand over the response body, or the part of it around the usage object.
    inner = usage_in(raw)
    normalizer = None if inner is None else _recognized(inner)
    if inner is not None and normalizer is not None:
        return normalizer.normalize(inner, endpoint)
    if all(value is None for value in raw.values()):
        return Normalized(usage=None)
    raise UsageError("unrecognized_usage", "usage has no provider's shape that is known here", "usage")


def _named(provider: str) -> Normalizer | None:
    folded = provider.strip().lower()
    for separator in "-. /":
        folded = folded.replace(separator, "_")
    return _load(ALIASES.get(folded, folded))


def _load(name: str) -> Normalizer | None:
    normalizer = _loaded.get(name)
    if normalizer is None and name in PROVIDERS:
        normalizer = _loaded[name] = cast("Normalizer", import_module(PROVIDERS[name]))
    return normalizer


def _recognized(raw: Mapping[str, Any]) -> Normalizer | None:
    for name in SHAPES:
        normalizer = _loaded.get(name) or _load(name)
        if normalizer is not None and normalizer.matches(raw):
            if name == "openai" and not _DIALECT_FIELDS.isdisjoint(raw):
                return _load(next(dialect for field, dialect in DIALECTS.items() if field in raw))
            return normalizer
    return None
