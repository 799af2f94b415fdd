"""The description of the whole API: what the views say of themselves, and the edge's routes beside them."""

from __future__ import annotations

import functools
import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from metering.estimate import description as estimates
from metering.gateway import description as gateway
from metering.ingest import description as doors
from metering.ingest.otlp import description as otlp
from metering.limits import description as admissions
from metering.scraping import description as scraping

# What the edge says of its own routes, by PATHS and SCHEMAS.
EDGE_PARTS = (gateway, doors, otlp, estimates, admissions, scraping)
_TAG_ORDER = ("Gateway", "Usage", "Events", "Chats", "Files", "Estimates", "Admissions", "Prices", "Billing", "Budgets")
DESCRIPTION = """\
Send usage, read it back. Every request carries an API key: `Authorization: Bearer tl_…`.

Money is decimal strings in US dollars, tokens are integers, times are RFC 3339 in UTC. `from` is included; `to` is
included when it is a date and not when it has a time. Lists are `{"data": […], "has_more": bool, "next_cursor": …}`.
Every error is `{"error": {"message", "type", "code", "param", "request_id"}}`.
"""


@functools.cache
def describe() -> dict[str, Any]:
    """The OpenAPI document. Made once per process: it does not depend on who asks."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    document["info"]["description"] = DESCRIPTION
    document["servers"] = [{"url": settings.BASE_URL}]
    schemas = document["components"]["schemas"]
    for part in EDGE_PARTS:
        schemas.update(part.SCHEMAS)
        for path, operations in part.PATHS.items():
            document["paths"].setdefault(path, {}).update(operations)
    document["paths"] = dict(sorted(document["paths"].items()))
    used = {
        tag for path in document["paths"].values() for operation in path.values() for tag in operation.get("tags", ())
    }
    document["tags"] = [{"name": tag} for tag in sorted(used, key=lambda tag: (_rank(tag), tag))]
    return document


def _rank(tag: str) -> int:
    return _TAG_ORDER.index(tag) if tag in _TAG_ORDER else len(_TAG_ORDER)


# ── The description and its page ──


@require_safe
@cache_control(public=True, max_age=300)
def openapi_json(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(_encoded(), content_type="application/json")


@functools.cache
def _encoded() -> bytes:
    return json.dumps(describe(), ensure_ascii=False).encode()


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "metering/api_docs.html")
