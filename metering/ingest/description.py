"""What the doors say of themselves in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec

from metering.ingest.cloudevents import BATCHED, STRUCTURED
from metering.ingest.document import EventDocument
from metering.query.event_schemas import EVENT

_PREFIX = "Sent"

_COUNT = {"type": "integer", "minimum": 0}
_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["created", "duplicates", "conflicts", "invalid"],
    "properties": {
        "created": _COUNT,
        "duplicates": {**_COUNT, "description": "Stored already, with the same body. That is success."},
        "conflicts": {**_COUNT, "description": "Stored already, with another body. The stored one stands."},
        "invalid": _COUNT,
        "ignored": {
            **_COUNT,
            "description": "Taken, and not recorded: no calls to a model. Absent when there are none.",
        },
        "limits_exceeded": {
            "type": "array",
            "items": {"type": "string"},
            "description": (
                "Names of the limits that the organization is over, as of some seconds ago; absent when it is over "
                "none. What has happened is stored all the same."
            ),
        },
        "results": {
            "type": "array",
            "description": "One for each event; with results=none only those that were not stored.",
            "items": {
                "type": "object",
                "required": ["index", "id", "status"],
                "properties": {
                    "index": _COUNT,
                    "id": {"type": ["string", "null"]},
                    "status": {"enum": ["created", "duplicate", "conflict", "invalid", "ignored"]},
                    "pricing": {"enum": ["priced", "free", "unpriced"]},
                    "cost_usd": {"type": ["string", "null"], "description": "Decimal dollars; null when unpriced."},
                    "error": {
                        "type": "object",
                        "properties": {
                            "code": {"type": "string"},
                            "message": {"type": "string"},
                            "param": {"type": ["string", "null"]},
                        },
                    },
                    "warnings": {"type": "array", "items": {"type": "string"}},
                    "reason": {"type": "string", "description": "Why it was ignored."},
                },
            },
        },
    },
}


_EVENT_REF = {"$ref": f"#/components/schemas/{_PREFIX}EventDocument"}
_CLOUD_EVENT_REF = {"$ref": "#/components/schemas/CloudEvent"}
_LITELLM_REF = {"$ref": "#/components/schemas/LiteLLMPayload"}
_FILLED: dict[str, Any] = {"type": "string", "minLength": 1}
_SECONDS = {"type": "number", "description": "Seconds since 1970."}


def _sent_schemas() -> dict[str, Any]:
    """An event as the door takes it, from the very structs that parse it."""
    template = f"#/components/schemas/{_PREFIX}{{name}}"
    _, components = msgspec.json.schema_components([EventDocument], ref_template=template)
    sent = {f"{_PREFIX}{name}": {**schema, "title": f"{_PREFIX}{name}"} for name, schema in components.items()}
    sent["SentEventsAnswer"] = _ANSWER
    sent["CloudEvent"] = {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _FILLED,
            "source": _FILLED | {"format": "uri-reference"},
            "type": _FILLED,
            "subject": {"type": ["string", "null"], "description": "The user."},
            "time": {"type": ["string", "null"], "format": "date-time"},
            "datacontenttype": {"type": ["string", "null"], "description": "JSON, also when it is not said."},
            "dataschema": {"type": ["string", "null"], "format": "uri"},
            "data": _EVENT_REF,
            "data_base64": {"type": ["string", "null"], "description": "The data in Base64, in its place."},
        },
    }
    sent["LiteLLMPayload"] = {
        "type": "object",
        "description": "LiteLLM's StandardLoggingPayload; what it has beside these is not read.",
        "required": ["id", "call_type", "status", "startTime"],
        "properties": {
            "id": {"type": "string"},
            "call_type": {"type": "string"},
            "status": {"type": "string", "description": "success or failure"},
            "startTime": _SECONDS,
            "endTime": _SECONDS,
            "completionStartTime": _SECONDS,
            "model": {"type": "string"},
            "custom_llm_provider": {"type": ["string", "null"]},
            "cache_hit": {"type": ["boolean", "null"]},
            "metadata": {"type": ["object", "null"], "description": "The usage object, and who called."},
            "request_tags": {"type": "array", "items": {"type": "string"}},
        },
    }
    return sent


SCHEMAS = _sent_schemas()
_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
_ANSWERED = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/SentEventsAnswer"}}}}
_SENT_EXAMPLE = {
    "id": EVENT["id"],
    "occurred_at": EVENT["occurred_at"],
    "model": "gpt-4o",
    "provider": "openai",
    "usage": {"prompt_tokens": 25, "completion_tokens": 100, "total_tokens": 125},
    "user": "alice@acme.test",
    "project": "search",
}
_CLOUD_EVENT = {
    "specversion": "1.0",
    "id": "A-1",
    "source": "/billing",
    "type": "com.acme.call",
    "subject": "alice@acme.test",
    "time": EVENT["occurred_at"],
    "data": {"model": "gpt-4o", "provider": "openai", "usage": {"prompt_tokens": 25, "completion_tokens": 100}},
}
_LITELLM_EXAMPLE = {
    "id": "chatcmpl-8f3",
    "call_type": "acompletion",
    "status": "success",
    "startTime": 1795314325.81,
    "endTime": 1795314326.34,
    "model": "gpt-4o",
    "custom_llm_provider": "openai",
    "metadata": {
        "usage_object": {"prompt_tokens": 25, "completion_tokens": 100, "total_tokens": 125},
        "user_api_key_user_email": "alice@acme.test",
    },
    "request_tags": ["env:prod"],
}
_STORED_EXAMPLE = {
    "created": 1,
    "duplicates": 0,
    "conflicts": 0,
    "invalid": 0,
    "results": [{"index": 0, "id": "req_8f3", "status": "created", "pricing": "priced", "cost_usd": "0.0010625"}],
}

_RESPONSES: dict[str, Any] = {
    "200": {
        "description": "All are stored, now or before.",
        "content": {
            "application/json": {
                **_ANSWERED["content"]["application/json"],
                "examples": {"Stored": {"value": _STORED_EXAMPLE}},
            }
        },
    },
    "207": {"description": "Some are stored, some are not.", **_ANSWERED},
    "400": {"description": "The body cannot be read.", **_ERROR},
    "401": {"description": "No key, or none of ours.", **_ERROR},
    "403": {"description": "The key lacks the scope usage:write.", **_ERROR},
    "413": {"description": "Too many events, or too large.", **_ERROR},
    "415": {"description": "A content type or encoding that is not taken.", **_ERROR},
    "422": {"description": "None is stored. The counts and results stand beside the error.", **_ERROR},
    "429": {"description": "Too many requests; try again after Retry-After.", **_ERROR},
    "503": {"description": "Nothing was stored; send it again after Retry-After.", **_ERROR},
}
_RESULTS = {
    "name": "results",
    "in": "query",
    "schema": {"type": "string", "enum": ["none"]},
    "description": "Leave out the results of stored events.",
}
_ENCODING = {"name": "Content-Encoding", "in": "header", "schema": {"type": "string", "enum": ["gzip", "zstd"]}}

_LITELLM: dict[str, Any] = {
    "operationId": "litellm_send",
    "summary": "Take LiteLLM's callback",
    "description": (
        "What LiteLLM's `generic_api` callback sends, as it is sent: a list of StandardLoggingPayloads, one of them, "
        "or one a line. Answers from LiteLLM's cache, and what it logs without a call to a model, are ignored and "
        "named so. Messages, answers and error texts in the payload are never read."
    ),
    "tags": ["Events"],
    "security": [{"apiKey": []}],
    "parameters": [_RESULTS, _ENCODING],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [_LITELLM_REF, {"type": "array", "items": _LITELLM_REF, "maxItems": 10_000}],
                },
                "examples": {"Call": {"value": [_LITELLM_EXAMPLE]}},
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "A payload a line."}},
        },
    },
    "responses": _RESPONSES,
}

PATHS: dict[str, dict[str, Any]] = {
    "/v1/events": {
        "post": {
            "operationId": "events_send",
            "summary": "Send events",
            "description": (
                'One event, `{"events": […]}`, a bare list, or one event a line. At most 10,000 events and 16 MiB '
                "unpacked. An event counts once, however often it is sent. Ids that begin with `gw_` are given by the "
                "gateway alone (422 `reserved_id`); what it measured is corrected with a key of the scope `admin` "
                "(422 `forbidden_correction`).\n\n"
                "CloudEvents 1.0 are taken structured, batched, and in binary mode (`ce-*` headers, the data as body). "
                "Their data is an event, known by `source` and `id` together: its id here is `<source>|<id>`, whatever "
                "id the data has. `subject` is the user and `time` when it occurred, unless the data says so itself. "
                "Extension attributes are accepted and not kept."
            ),
            "tags": ["Events"],
            "security": [{"apiKey": []}],
            "parameters": [
                {
                    "name": "strict",
                    "in": "query",
                    "schema": {"type": "boolean", "default": False},
                    "description": "Refuse unknown fields instead of naming them in warnings.",
                },
                _RESULTS,
                _ENCODING,
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "anyOf": [
                                _EVENT_REF,
                                {"type": "array", "items": _EVENT_REF, "maxItems": 10_000},
                                {
                                    "type": "object",
                                    "required": ["events"],
                                    "properties": {
                                        "events": {"type": "array", "items": _EVENT_REF, "maxItems": 10_000}
                                    },
                                },
                            ]
                        },
                        "examples": {
                            "Event": {"value": _SENT_EXAMPLE},
                            "Batch": {"value": {"events": [_SENT_EXAMPLE]}},
                        },
                    },
                    "application/x-ndjson": {"schema": {"type": "string", "description": "An event a line."}},
                    STRUCTURED: {"schema": _CLOUD_EVENT_REF, "examples": {"CloudEvent": {"value": _CLOUD_EVENT}}},
                    BATCHED: {
                        "schema": {"type": "array", "items": _CLOUD_EVENT_REF, "maxItems": 10_000},
                        "examples": {"CloudEvents": {"value": [_CLOUD_EVENT]}},
                    },
                },
            },
            "responses": _RESPONSES,
        }
    },
    "/v1/litellm": {
        "post": _LITELLM,
    },
}
