"""From the names that calls carry to the names of the price book.

Every rule is anchored at both ends and yields whole names, which the book looks up exactly: nothing is matched by
resemblance. "gpt-4o-my-finetune" fits no rule and stays unpriced.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

# How SDKs, gateways, clouds and OpenTelemetry call the providers of the price book.
_OTHER_NAMES = {
    "aws": "aws.bedrock aws_bedrock bedrock bedrock_converse amazon-bedrock amazon_bedrock amazon",
    "azure": (
        "azure_openai azure-openai azure.openai azure.ai.openai az.ai.openai azure_ai azure.ai.inference"
        " az.ai.inference azure_ai_inference azure_text azure-foundry"
    ),
    "anthropic": "anthropic_messages claude",
    "cohere": "cohere_chat cohere_v2",
    "fireworks": "fireworks_ai fireworks-ai",
    "github-copilot": "github_copilot copilot",
    "google": (
        "gemini vertex vertex_ai vertex-ai vertexai vertex_ai_beta vertex_ai-language-models vertex_ai-anthropic_models"
        " google_ai_studio google-gla google-vertex google_genai google-genai google-generative-ai"
        " gcp.gemini gcp.vertex_ai gcp.gen_ai"
    ),
    "mistral": "mistralai mistral_ai mistral-ai",
    "moonshotai": "moonshot moonshot_ai kimi",
    "openai": "openai-chat openai_chat openai-responses openai_responses open_ai text-completion-openai",
    "perplexity": "perplexity_ai perplexityai",
    "together": "together_ai together-ai togetherai",
    "voyageai": "voyage voyage_ai",
    "x-ai": "xai x_ai grok",
    "zai": "z-ai z.ai z_ai",
    "zhipuai": "zhipu zhipu_ai bigmodel",
}
_PROVIDER_BY_NAME = {name: provider for provider, names in _OTHER_NAMES.items() for name in names.split()}

# Whose models a call is of when it does not say: the makers that sell their own. What many hosts serve (Llama, Qwen)
# has as many prices as hosts, and stays unpriced until the call names one.
MAKERS = (
    "openai", "anthropic", "google", "mistral", "deepseek", "x-ai",
    "cohere", "perplexity", "voyageai", "moonshotai", "minimax",
)  # fmt: skip

# Hosts with one name everywhere, that may stand before a slash.
_HOSTS = frozenset(
    {"openrouter", "groq", "cerebras", "novita", "databricks", "baseten", "cloudflare", "ovhcloud", "deepseek"}
)

# Clouds that sell other makers' models at the makers' prices, where they list none of their own.
RESELLERS = {
    "azure": ("openai", "anthropic", "deepseek", "x-ai", "moonshotai"),
    "google": ("anthropic",),
}

# Names the price lists leave out.
MORE_NAMES = {
    ("openai", "omni-moderation-latest"): "moderation",
    ("openai", "omni-moderation-2024-09-26"): "moderation",
    ("openai", "text-moderation-latest"): "moderation",
    ("openai", "text-moderation-stable"): "moderation",
    ("openai", "computer-use-preview"): "computer-use",
    ("openai", "gpt-35-turbo"): "gpt-3.5-turbo",
    ("openai", "gpt-35-turbo-16k"): "gpt-3.5-turbo-16k",
    ("google", "gemini-2.5-pro-preview-03-25"): "gemini-2.5-pro",
    ("google", "gemini-2.5-pro-preview-05-06"): "gemini-2.5-pro",
    ("google", "gemini-2.5-pro-preview-06-05"): "gemini-2.5-pro",
    ("google", "gemini-2.5-pro-preview"): "gemini-2.5-pro",
}

_DATE = re.compile(r"(?P<stem>.+?)[-@](?P<year>20\d\d)(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)")
_LATEST = re.compile(r"(?P<stem>.+?)(?:-latest|@latest|@default)")
_FINE_TUNE = re.compile(r"(?P<stem>ft:[^:/]+):[^/]*")
_BEDROCK_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[^:/]*:\d*:(?:inference-profile|foundation-model)/(?P<name>[^/]+)")
_BEDROCK_PATH = re.compile(r"(?:converse/|invoke/)?(?:[a-z]{2}(?:-gov)?-[a-z]+-\d/)?(?P<name>[^/]+)")
_BEDROCK_ID = re.compile(
    r"(?:(?:us|us-gov|eu|apac|jp|au|in|ca|sa|global)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|mistral|moonshotai?|nvidia|openai|qwen|stability|writer|zai)"
    r"\.[a-z0-9][a-z0-9.:-]*"
)
_BEDROCK_REVISION = re.compile(r"(?P<stem>.+?)(?:-v\d+(?::\d+){0,2}|:\d+)")
_BEDROCK_GEOGRAPHY = re.compile(r"(?:us|us-gov|eu|apac|jp|au|in|ca|sa)\.(?P<name>.+)")
_BEDROCK_VENDOR = re.compile(r"[a-z0-9]+\.(?P<name>[a-z].+)")
_GOOGLE_PATH = re.compile(
    r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/(?P<publisher>[a-z0-9-]+)/)?models/(?P<name>[^/]+)"
)
_GOOGLE_REVISION = re.compile(r"(?P<stem>gemini-.+?|text-embedding)[-@]\d{3}")


def canonical_provider(provider: str | None) -> str:
    """The price book's name of a provider; "" when none is given, the given one when it is not known."""
    if not provider:
        return ""
    name = provider.strip().lower()
    return _PROVIDER_BY_NAME.get(name, name)


def is_bedrock_id(name: str) -> bool:
    return _BEDROCK_ID.fullmatch(name) is not None


def names(provider: str, model: str) -> Iterator[tuple[str, str]]:
    """The names to look up for a model of a provider (both canonical, lower case), likeliest first, with the rule."""
    seen: set[str] = set()
    for name, rule in _spellings(provider, model):
        if name not in seen:
            seen.add(name)
            yield name, rule


def _spellings(provider: str, model: str) -> Iterator[tuple[str, str]]:
    yield model, "exact"
    bare = without_path(provider, model)
    if bare != model:
        yield bare, "without path"
    if provider == "aws":
        yield from _bedrock(bare)
        return
    if match := _FINE_TUNE.fullmatch(bare):
        yield match["stem"], "fine-tune"
        bare = match["stem"]
    yield from _releases(provider, bare)


def _releases(provider: str, name: str) -> Iterator[tuple[str, str]]:
    """A dated or "latest" release is charged as its model, unless it is listed by itself."""
    if match := _DATE.fullmatch(name):
        if _is_date(match):
            separator = "" if match["dash"] else "-"
            other = f"{match['stem']}-{match['year']}{separator}{match['month']}{separator}{match['day']}"
            yield other, "other spelling of the date"
            yield match["stem"], "dated release"
    elif match := _LATEST.fullmatch(name):
        yield match["stem"], "latest release"
    elif provider == "google" and (match := _GOOGLE_REVISION.fullmatch(name)):
        yield match["stem"], "numbered revision"


def _bedrock(name: str) -> Iterator[tuple[str, str]]:
    """us.anthropic.claude-…-v1:0 → without revision, then without the geography of its inference profile.

    `global.` is not taken off: global profiles have prices of their own.
    """
    stem = match["stem"] if (match := _BEDROCK_REVISION.fullmatch(name)) else name
    yield stem, "without revision"
    for candidate in (name, stem):  # the stem last, to go on with
        if match := _BEDROCK_GEOGRAPHY.fullmatch(candidate):
            yield match["name"], "without geography"
            stem = match["name"]
    if not stem.startswith("global.") and (match := _BEDROCK_VENDOR.fullmatch(stem)):
        yield match["name"], "without vendor"


def without_path(provider: str, model: str) -> str:
    """The model's own name: without LiteLLM's "provider/", Google's resource path or an ARN."""
    name = model
    if "/" in name:
        first, rest = name.split("/", 1)
        if canonical_provider(first) == provider:
            name = rest
    if provider == "google" and (match := _GOOGLE_PATH.fullmatch(name)):
        return match["name"]
    if provider == "aws":
        match = _BEDROCK_ARN.fullmatch(name) or _BEDROCK_PATH.fullmatch(name)
        return match["name"] if match else name
    return name


def provider_in_name(model: str) -> tuple[str, str] | None:
    """(provider, rest) when the name itself says whose model it is: "openai/gpt-4o", a Bedrock id, a Google path."""
    if is_bedrock_id(model) or _BEDROCK_ARN.fullmatch(model):
        return "aws", model
    if _GOOGLE_PATH.fullmatch(model):
        return "google", model
    if "/" in model:
        first, rest = model.split("/", 1)
        provider = canonical_provider(first)
        if provider in _OTHER_NAMES or provider in MAKERS or provider in _HOSTS:
            return provider, rest
    return None


def _is_date(match: re.Match[str]) -> bool:
    try:
        dt.date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return False
    return True
