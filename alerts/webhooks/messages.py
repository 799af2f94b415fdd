"""What is sent: `{"type", "timestamp", "organization", "url", "data"}`, made once, when the webhook is addressed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings

from accounts.models import Organization
from alerts.catalogue import KINDS, TEST, Kind
from alerts.models import ToldFact
from core.facts import moment

EXAMPLE_AT = dt.datetime(2026, 11, 21, 14, 5, tzinfo=dt.UTC)


def of_fact(fact: ToldFact) -> str:
    return body(fact.kind, fact.happened_at, fact.organization, fact.data)


def body(kind: str, happened_at: dt.datetime, organization: Organization, data: Mapping[str, Any]) -> str:
    """`data` as its kind says (alerts/payloads.py); its page goes out as a whole address."""
    content = {
        "type": kind,
        "timestamp": moment(happened_at),
        "organization": {"slug": organization.slug, "name": organization.name},
        "url": f"{settings.BASE_URL}{data['page']}",
        "data": {name: data[name] for name in _in_order(kind, data) if name != "page"},
    }
    return msgspec.json.encode(content).decode()


def _in_order(kind: str, data: Mapping[str, Any]) -> list[str]:
    """Fields as the catalogue has them: the database keeps no order."""
    known = KINDS.get(kind, TEST).data.__struct_fields__
    return [*(name for name in known if name in data), *(name for name in data if name not in known)]


def schema_of(kind: Kind) -> dict[str, Any]:
    """JSON Schema of a message's `data`."""
    (top_ref,), named = msgspec.json.schema_components([kind.data], ref_template="#/$defs/{name}")
    top: dict[str, Any] = named.pop(top_ref["$ref"].rsplit("/", 1)[-1])
    top["properties"] = {name: what for name, what in top["properties"].items() if name != "page"}
    top["required"] = [name for name in top["required"] if name != "page"]
    return top | ({"$defs": named} if named else {})


def example_of(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole message, of an organization called Northbound."""
    whole: dict[str, Any] = json.loads(body(kind, EXAMPLE_AT, Organization(slug="northbound", name="Northbound"), data))
    return whole | {"url": f"https://tokenledger.example.com{data['page']}"}
