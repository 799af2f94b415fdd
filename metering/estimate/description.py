"""What POST /v1/estimate says of itself in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec

from metering.estimate.document import EstimateDocument

EXAMPLE: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_output_tokens": 100,
}
ANSWER: dict[str, Any] = {
    "model": "gpt-4o",
    "provider": None,
    "input_tokens": 14,
    "max_output_tokens": 100,
    "cost_usd": "0.001035",
    "input_cost_usd": "0.000035",
    "output_cost_usd": "0.001",
    "price_rule": "exact",
    "tokenizer": "o200k_base",
    "is_exact": True,
}

_COUNT = {"type": "integer", "minimum": 0}
_COST = {"type": ["string", "null"], "description": "Decimal dollars; null when unpriced."}
_ONE: dict[str, Any] = {
    "type": "object",
    "required": list(ANSWER),
    "properties": {
        "model": {"type": "string"},
        "provider": {"type": ["string", "null"]},
        "input_tokens": _COUNT,
        "max_output_tokens": {**_COUNT, "description": "As asked; else 4,096, and 0 of an embedding."},
        "cost_usd": _COST,
        "input_cost_usd": _COST,
        "output_cost_usd": _COST,
        "price_rule": {"type": "string", "description": "How the price was found, or why there is none."},
        "tokenizer": {"type": "string", "description": "What counted; `given` for input_tokens."},
        "is_exact": {"type": "boolean", "description": "Whether the provider would count the same input_tokens."},
    },
}


def _schemas() -> dict[str, Any]:
    template = "#/components/schemas/{name}"
    _, components = msgspec.json.schema_components([EstimateDocument], ref_template=template)
    quoted = {"$ref": "#/components/schemas/ModelEstimate"}
    listed = {"type": "array", "items": quoted, "description": "The same call of each of `models`, when there are any."}
    return {
        **components,
        "ModelEstimate": _ONE,
        "Estimate": {**_ONE, "properties": {**_ONE["properties"], "models": listed}},
    }


SCHEMAS = _schemas()
_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}

PATHS: dict[str, dict[str, Any]] = {
    "/v1/estimate": {
        "post": {
            "operationId": "estimate",
            "summary": "Estimate a call",
            "description": (
                "Tokens and the most a call can cost, before it is made. Takes a chat (with `system` and `tools`), a "
                "bare text, or a number of tokens; with `models` also what other models would make of it. Nothing of "
                "it is kept. A key with the scope gateway, usage:write or usage:read may ask."
            ),
            "tags": ["Estimates"],
            "security": [{"apiKey": []}],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/EstimateDocument"},
                        "examples": {
                            "Chat": {"value": EXAMPLE},
                            "Text": {"value": {"model": "claude-sonnet-4-5", "text": "Hello"}},
                            "Tokens": {"value": {"model": "gpt-4o", "input_tokens": 1_200, "models": ["gpt-4o-mini"]}},
                        },
                    }
                },
            },
            "responses": {
                "200": {
                    "description": "The estimate.",
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Estimate"},
                            "examples": {"Chat": {"value": ANSWER}},
                        }
                    },
                },
                "400": {"description": "The body cannot be read.", **_ERROR},
                "401": {"description": "No key, or none of ours.", **_ERROR},
                "403": {"description": "The key has none of the scopes.", **_ERROR},
                "413": {"description": "The body is too large.", **_ERROR},
                "415": {"description": "An encoding that is not taken.", **_ERROR},
                "422": {"description": "It cannot be estimated; `param` says what is wrong.", **_ERROR},
                "503": {"description": "Try again after Retry-After.", **_ERROR},
            },
        }
    },
}
