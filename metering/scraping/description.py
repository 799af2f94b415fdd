"""What the operator's route says of itself in the OpenAPI document."""

from __future__ import annotations

from typing import Any

SCHEMAS: dict[str, Any] = {}
_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
_EXAMPLE = """\
# HELP tokenledger_edge_requests_total Requests to the edge by route and status.
# TYPE tokenledger_edge_requests_total counter
tokenledger_edge_requests_total{route="POST /v1/events",status="200"} 1027.0
"""

PATHS: dict[str, dict[str, Any]] = {
    "/metrics": {
        "get": {
            "operationId": "metrics_scrape",
            "summary": "Metrics of this process",
            "description": (
                "For the operator's Prometheus, of the process that answers. No API key opens it: with METRICS_TOKEN "
                "set it takes `Authorization: Bearer <that token>`, without only requests from the machine itself."
            ),
            "tags": ["Operation"],
            "security": [],
            "responses": {
                "200": {
                    "description": "Prometheus' text format, or OpenMetrics if that is accepted.",
                    "content": {
                        "text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE},
                        "application/openmetrics-text": {"schema": {"type": "string"}},
                    },
                },
                "401": {"description": "Not the operator's token.", **_ERROR},
                "403": {"description": "No token is set, and the request came from elsewhere.", **_ERROR},
            },
        }
    },
}
