"""Where a provider's response body, or one chunk of its stream, keeps the usage object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# In order of trust: a model's own count comes before what a platform adds about the invocation.
PATHS = (
    ("usage",),  # OpenAI, Anthropic, Cohere v2, Bedrock Converse, most others
    ("usageMetadata",),  # Gemini, Vertex
    ("usage_metadata",),  # their Python client
    ("response", "usage"),  # events of the Responses and Realtime APIs
    ("response", "usageMetadata"),  # Vertex behind a wrapper
    ("response", "meta"),  # Cohere v1 stream-end
    ("message", "usage"),  # Anthropic message_start
    ("metadata", "usage"),  # Bedrock ConverseStream, Nova's InvokeModel stream
    ("delta", "usage"),  # Cohere v2 message-end
    ("x_groq", "usage"),
    ("meta",),  # Cohere v1
    ("usage_info",),  # Mistral OCR
    ("metrics",),  # Replicate
)
INVOCATION_METRICS = "amazon-bedrock-invocationMetrics"

# Bodies that carry their counts at the top level, among much else.
TOP_LEVEL = (
    ("prompt_eval_count", "eval_count"),
    ("prompt_token_count", "generation_token_count"),
    ("inputTextTokenCount", "totalOutputTextTokenCount"),
)
RESULT_COUNTS = ("tokenCount", "input_token_count", "generated_token_count")
METRICS = ("input_token_count", "output_token_count", "inputTokens", "outputTokens")


def usage_in(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The usage object, unchanged; for counts at the top level an object of just those."""
    for path in PATHS:
        found: Any = body
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping) and _says_something(path[-1], found):
            return found
    found = _in_choices(body) or _at_top_level(body) or body.get(INVOCATION_METRICS) or _counted_images(body)
    return found if isinstance(found, Mapping) else None


def _says_something(name: str, found: Mapping[str, Any]) -> bool:
    if name == "meta":
        return isinstance(found.get("billed_units"), Mapping) or isinstance(found.get("tokens"), Mapping)
    if name == "metrics":
        return any(found.get(each) is not None for each in METRICS)
    return any(value is not None for value in found.values())


def _in_choices(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Moonshot's last chunk keeps usage inside its choice."""
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    usage = choice.get("usage") if isinstance(choice, Mapping) else None
    return usage if isinstance(usage, Mapping) else None


def _at_top_level(body: Mapping[str, Any]) -> dict[str, Any] | None:
    for names in TOP_LEVEL:
        found: dict[str, Any] = {name: body[name] for name in names if body.get(name) is not None}
        results = body.get("results")
        if found and isinstance(results, list):
            found["results"] = _counts_of(results)
        if found:
            return found
    results = _counts_of(body.get("results"))
    return {"results": results} if any(results) else None


def _counts_of(results: object) -> list[dict[str, Any]]:
    """The counts of each result without its text: usage is kept for long, content is not."""
    if not isinstance(results, list):
        return []
    return [
        {name: result[name] for name in RESULT_COUNTS if result.get(name) is not None}
        for result in results
        if isinstance(result, Mapping)
    ]


def _counted_images(body: Mapping[str, Any]) -> dict[str, int] | None:
    """Image models charged by the image report no usage: what came back is what is paid for."""
    data = body.get("data")
    if not isinstance(data, list):
        return None
    images = sum(1 for item in data if isinstance(item, Mapping) and ("b64_json" in item or "url" in item))
    return {"images": images} if images else None
