"""Whose usage objects and prices an upstream's answers carry, told by its address."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from metering.models import Upstream

# Names as in metering/normalize and the price book. A host stands for itself and everything below it.
_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "models.ai.azure.com": "azure",
    "inference.ml.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "generativelanguage.googleapis.com": "google",
    "api.groq.com": "groq",
    "router.huggingface.co": "huggingface",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshot",
    "api.moonshot.cn": "moonshot",
    "openrouter.ai": "openrouter",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.voyageai.com": "voyage",
    "api.x.ai": "xai",
    "api.z.ai": "zai",
}
# Clouds with a host in each region; beside it on the same domain lies anybody's.
_REGIONAL = (
    (re.compile(r"([a-z0-9-]+-)?aiplatform\.googleapis\.com"), "google"),
    (re.compile(r"bedrock(-[a-z]+)*\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)"), "bedrock"),
)


def provider_of(upstream: Upstream) -> str:
    """The provider it was given, else its address's; empty when nobody known is behind it."""
    return upstream.provider or provider_at(upstream.base_url)


def provider_at(base_url: str) -> str:
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    labels = host.split(".")
    for start in range(len(labels)):
        if provider := _PROVIDERS.get(".".join(labels[start:])):
            return provider
    return next((provider for form, provider in _REGIONAL if form.fullmatch(host)), "")
