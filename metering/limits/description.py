"""What the admissions say of themselves in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec

from metering.limits.document import LONGEST_ID, AdmissionDocument

_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
_NUMBER = {"type": ["integer", "null"]}
_ADMITTED: dict[str, Any] = {
    "type": "object",
    "required": ["id", "allowed", "expires_at", "remaining"],
    "properties": {
        "id": {"type": "string"},
        "allowed": {"const": True},
        "expires_at": {"type": "string", "format": "date-time"},
        "remaining": {
            "type": "object",
            "description": "What is left beside this call, of the tightest limit in each unit; null without one.",
            "required": ["tokens", "cost_usd", "credits"],
            "properties": {"tokens": _NUMBER, "cost_usd": {"type": ["string", "null"]}, "credits": _NUMBER},
        },
    },
}
_SETTLED: dict[str, Any] = {
    "type": "object",
    "required": ["id", "event_id", "status"],
    "properties": {
        "id": {"type": "string"},
        "event_id": {
            "type": "string",
            "description": "The admission's id; with `:settled` after it had expired, to supersede the estimate.",
        },
        "status": {"enum": ["created", "duplicate"]},
        "pricing": {"enum": ["priced", "free", "unpriced"]},
        "cost_usd": {"type": ["string", "null"], "description": "Decimal dollars; null when unpriced."},
    },
}
_RELEASED: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {"id": {"type": "string"}, "status": {"const": "released"}},
}


def _schemas() -> dict[str, Any]:
    template = "#/components/schemas/{name}"
    _, components = msgspec.json.schema_components([AdmissionDocument], ref_template=template)
    return {**components, "Admission": _ADMITTED, "SettledAdmission": _SETTLED, "ReleasedAdmission": _RELEASED}


SCHEMAS = _schemas()
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "call-4711"}
_ASKED = {
    "id": "call-4711",
    "model": "gpt-4o",
    "provider": "openai",
    "estimated_input_tokens": 1_200,
    "estimated_output_tokens": 500,
    "user": "alice@acme.test",
    "project": "search",
}
_EVENT = {
    "model": "gpt-4o",
    "provider": "openai",
    "usage": {"prompt_tokens": 1_187, "completion_tokens": 342, "total_tokens": 1_529},
}


def _answers(schema: str, description: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": {schema: {"value": example}}}
    return {
        "200": {"description": description, "content": {"application/json": content}},
        "401": {"description": "No key, or none of ours.", **_ERROR},
        "403": {"description": "The key lacks the scopes gateway and usage:write.", **_ERROR},
        "503": {"description": "Nothing was done; send it again after Retry-After.", **_ERROR},
    }


def _body(schema: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": {schema: {"value": example}}}
    return {"required": True, "content": {"application/json": content}}


PATHS: dict[str, dict[str, Any]] = {
    "/v1/admissions": {
        "post": {
            "operationId": "admissions_create",
            "summary": "Ask before a call",
            "description": (
                "Sets the estimated tokens and cost aside in every limit that the call falls under, or refuses. Settle "
                "it after the call, or release it; what is neither becomes an estimated event when it expires. The "
                "same id again is the same admission; where there is none, Idempotency-Key is the id."
            ),
            "tags": ["Admissions"],
            "security": [{"apiKey": []}],
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
                    "description": "The admission's id, for a body without one.",
                    "example": "call-4711",
                }
            ],
            "requestBody": _body("AdmissionDocument", _ASKED),
            "responses": {
                **_answers(
                    "Admission",
                    "Admitted.",
                    {
                        "id": "call-4711",
                        "allowed": True,
                        "expires_at": "2026-11-21T12:10:00Z",
                        "remaining": {"tokens": 868_500, "cost_usd": None, "credits": None},
                    },
                ),
                "400": {"description": "The body cannot be read.", **_ERROR},
                "402": {"description": "`insufficient_credits`, or `payment_overdue`: an invoice.", **_ERROR},
                "403": {"description": "A scope is missing, or `organization_suspended` by the operator.", **_ERROR},
                "409": {"description": "The id is another call's, or this admission is over.", **_ERROR},
                "413": {"description": "The body is too large.", **_ERROR},
                "415": {"description": "A content type or encoding that is not taken.", **_ERROR},
                "422": {"description": "Understood, but wrong; or no price under a limit in money.", **_ERROR},
                "429": {
                    "description": (
                        "Over a limit (`insufficient_quota`) or too fast (`rate_limit_exceeded`); Retry-After says "
                        "when there may be room."
                    ),
                    **_ERROR,
                },
            },
        }
    },
    "/v1/admissions/{id}/settle": {
        "post": {
            "operationId": "admissions_settle",
            "summary": "Settle an admission",
            "description": (
                "Stores the call's event and frees what was set aside, at once. The event has the admission's id and, "
                "unless it says so itself, its time. The same event again is success. After the admission has expired "
                "the event takes the place of the estimate."
            ),
            "tags": ["Admissions"],
            "security": [{"apiKey": []}],
            "parameters": [_ID],
            "requestBody": _body("SentEventDocument", _EVENT),
            "responses": {
                **_answers(
                    "SettledAdmission",
                    "The event is stored, now or before.",
                    {
                        "id": "call-4711",
                        "event_id": "call-4711",
                        "status": "created",
                        "pricing": "priced",
                        "cost_usd": "0.0063875",
                    },
                ),
                "400": {"description": "The body cannot be read.", **_ERROR},
                "404": {"description": "No admission with this id.", **_ERROR},
                "409": {"description": "Settled already, by another event.", **_ERROR},
                "422": {"description": "Understood, but wrong.", **_ERROR},
            },
        }
    },
    "/v1/admissions/{id}/release": {
        "post": {
            "operationId": "admissions_release",
            "summary": "Release an admission",
            "description": "The call was not made: what was set aside is free again. Again it changes nothing.",
            "tags": ["Admissions"],
            "security": [{"apiKey": []}],
            "parameters": [_ID],
            "responses": {
                **_answers("ReleasedAdmission", "Released, now or before.", {"id": "call-4711", "status": "released"}),
                "404": {"description": "No admission with this id.", **_ERROR},
                "409": {"description": "It has been settled, or has expired.", **_ERROR},
            },
        }
    },
}
