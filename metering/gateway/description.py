"""What the gateway says of itself in the OpenAPI document: addresses, and what it adds to the providers' own APIs."""

from __future__ import annotations

from typing import Any

from metering.gateway.calls import ENDPOINTS, Endpoint
from metering.models.upstreams import Protocol

_SUMMARIES = {
    "/v1/chat/completions": "Chat",
    "/v1/completions": "Complete a text",
    "/v1/responses": "Create a response",
    "/v1/embeddings": "Embed texts",
    "/v1/audio/transcriptions": "Transcribe audio",
    "/v1/images/generations": "Generate images",
    "/v1/messages": "Create a message",
    "/v1/messages/count_tokens": "Count the tokens of a message",
}
_DOCUMENTS = {
    Protocol.OPENAI: "https://platform.openai.com/docs/api-reference",
    Protocol.ANTHROPIC: "https://docs.anthropic.com/en/api",
}
_REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]},
    "/v1/completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "Once upon"},
    "/v1/responses": {"model": "gpt-4o", "input": "Hello"},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": ["Hello"]},
    "/v1/images/generations": {"model": "gpt-image-1", "prompt": "A quiet harbor"},
    "/v1/messages": {
        "model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello"}],
    },
    "/v1/messages/count_tokens": {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hello"}]},
}  # fmt: skip
_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}

_LABELS = {
    "Chat": "The conversation it belongs to.",
    "Message": "The message of the conversation.",
    "Feature": "What of the product made the call.",
    "Tool": "The tool that made the call.",
    "Integration": "The connected service that made the call.",
    "Project": "A project's slug. The key's own project otherwise.",
    "User": "A member, by e-mail address or external id.",
    "Tags": "name=value,name=value, or a JSON object of texts.",
}
_PARAMETERS = [
    {"name": f"X-Tokenledger-{name}", "in": "header", "schema": {"type": "string", "maxLength": 200},
     "description": description}
    for name, description in _LABELS.items()
]  # fmt: skip


def _header(kind: str, description: str) -> dict[str, Any]:
    return {"schema": {"type": kind}, "description": description}


_HEADERS = {
    "X-Tokenledger-Event": _header("string", "The id of the event that the call becomes."),
    "X-Credits-Remaining": _header("integer", "Credits that are left, where calls are paid with them."),
} | {
    f"X-RateLimit-{what}-{unit}": _header("integer", f"{text} of {name} a minute, where there is a limit.")
    for unit, name in (("RPM", "requests"), ("TPM", "tokens"))
    for what, text in (("Limit", "The limit"), ("Remaining", "What is left"), ("Reset", "Unix time of more"))
}

SCHEMAS: dict[str, Any] = {
    "GatewayRequest": {
        "type": "object",
        "required": ["model"],
        "additionalProperties": True,
        "description": "The provider's own request. It is passed on byte for byte.",
        "properties": {
            "model": {"type": "string", "maxLength": 200},
            "stream": {"type": "boolean", "default": False},
            "user": {"type": "string", "description": "The end user, kept with the event."},
            "metadata": {"type": "object", "description": "chat, feature, … by name; everything else becomes tags."},
        },
    },
    "GatewayAnswer": {
        "type": "object",
        "additionalProperties": True,
        "description": "The provider's own answer, unchanged.",
        "properties": {"usage": {"type": "object", "additionalProperties": True}},
    },
    "GatewayModels": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "object": {"const": "list"},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id"],
                    "additionalProperties": True,
                    "properties": {"id": {"type": "string"}, "owned_by": {"type": "string"}},
                },
            },
        },
    },
}

_REFUSALS = {
    "400": {"description": "The request cannot be read.", **_ERROR},
    "401": {"description": "No key, or none of ours.", **_ERROR},
    "402": {"description": "Credits are spent, or an invoice is overdue. Nothing was forwarded.", **_ERROR},
    "403": {
        "description": "The scope gateway is missing, or calls are suspended (`organization_suspended`).",
        **_ERROR,
    },
    "404": {"description": "No upstream serves the model.", **_ERROR},
    "413": {"description": "The request is too large.", **_ERROR},
    "422": {"description": "A header or field that no ledger could hold.", **_ERROR},
    "429": {
        "description": "rate_limit_exceeded or insufficient_quota; nothing was forwarded. Or the upstream's own.",
        "headers": {"Retry-After": _header("integer", "Seconds until a call may pass."), **_HEADERS},
        **_ERROR,
    },
    "502": {"description": "No upstream could be reached, or it broke off.", **_ERROR},
    "503": {"description": "A hold cannot be stored. Nothing was forwarded.", **_ERROR},
    "504": {"description": "No upstream answered in time.", **_ERROR},
}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/GatewayRequest"},
            "examples": {"Request": {"value": _REQUESTS.get(endpoint.path, {})}},
        }
    }
    if endpoint.takes_forms:
        form = {"type": "object", "required": ["model", "file"], "properties": {
            "model": {"type": "string"}, "file": {"type": "string", "format": "binary"}}}  # fmt: skip
        content = {"multipart/form-data": {"schema": form}}
    answer: dict[str, Any] = {"application/json": {"schema": {"$ref": "#/components/schemas/GatewayAnswer"}}}
    if not endpoint.takes_forms and "stream" not in endpoint.path and endpoint.is_metered:
        answer["text/event-stream"] = {"schema": {"type": "string", "description": "With stream: true."}}
    return {
        "operationId": "gateway" + endpoint.path.removeprefix("/v1").replace("/", "_"),
        "summary": _SUMMARIES[endpoint.path],
        "description": (
            "Forwarded to the upstream that serves the model; metered, limited and billed on the way. "
            "A failed upstream's place is taken by the next one that serves the model."
        ),
        "externalDocs": {"url": _DOCUMENTS[endpoint.protocol]},
        "tags": ["Gateway"],
        "security": [{"apiKey": []}],
        "parameters": _PARAMETERS,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "The upstream's answer.", "headers": _HEADERS, "content": answer}}
        | _REFUSALS,
    }


_MODELS = {"application/json": {
    "schema": {"$ref": "#/components/schemas/GatewayModels"},
    "examples": {"Models": {"value": {"object": "list", "data": [
        {"id": "gpt-4o", "object": "model", "created": 1715367049, "owned_by": "openai"}]}}},
}}  # fmt: skip
_READING = {name: _REFUSALS[name] for name in ("401", "403", "502")}

PATHS: dict[str, dict[str, Any]] = {
    **{path: {"post": _operation(endpoint)} for path, endpoint in ENDPOINTS.items()},
    "/v1/models": {
        "get": {
            "operationId": "gateway_models",
            "summary": "List models",
            "description": "What all upstreams of the organization offer, each model once.",
            "tags": ["Gateway"],
            "security": [{"apiKey": []}],
            "responses": {"200": {"description": "The models.", "content": _MODELS}, **_READING},
        }
    },
    "/v1/models/{model}": {
        "get": {
            "operationId": "gateway_model",
            "summary": "One model",
            "tags": ["Gateway"],
            "security": [{"apiKey": []}],
            "parameters": [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {
                "200": {
                    "description": "The model.",
                    "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
                },
                "404": _REFUSALS["404"],
                **_READING,
            },
        }
    },
}
