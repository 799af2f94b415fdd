"""What the endpoints of events and chats answer, for the API description."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from metering.events import BUCKETS
from metering.query.examples import COVERAGE
from metering.query.schemas import CoverageSchema, at, count, inline, metric_fields, text, usd

_Field = serializers.Field[Any, Any, Any, Any]


def _optional_count(description: str | None = None) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, help_text=description)


BucketsSchema = inline(
    "EventUsage",
    **{name: count() for name in (*BUCKETS, "web_searches", "images")},
    seconds=serializers.FloatField(),
)
_PRICING = serializers.ChoiceField(choices=["priced", "free", "unpriced"])
_EVENT: dict[str, _Field] = {
    "id": text(),
    "occurred_at": at(),
    "received_at": at(),
    "model": text(),
    "provider": text(allow_null=True),
    "endpoint": text(allow_null=True),
    "usage": BucketsSchema(allow_null=True, help_text="Disjoint buckets; null: the provider did not say, or an error."),
    "prompt_tokens": _optional_count(),
    "completion_tokens": _optional_count(),
    "total_tokens": _optional_count(),
    "user": text("As sent.", allow_null=True),
    "member": text("Whom the user was found to be.", allow_null=True),
    "project": text(allow_null=True),
    "team": text(allow_null=True),
    "department": text(allow_null=True),
    "api_key": text("The key's first characters.", allow_null=True),
    "chat": inline("EventChat", id=text(), title=text(allow_null=True))(allow_null=True),
    "message": inline(
        "EventMessage",
        id=text(allow_null=True),
        input_parts=serializers.DictField(child=serializers.IntegerField(), required=False),
        output_parts=serializers.DictField(child=serializers.IntegerField(), required=False),
    )(allow_null=True),
    "files": serializers.ListField(child=serializers.DictField()),
    "feature": text(allow_null=True),
    "tool": text(allow_null=True),
    "integration": text(allow_null=True),
    "end_user": text(allow_null=True),
    "status": text(),
    "error_code": text(allow_null=True),
    "duration_ms": _optional_count(),
    "time_to_first_token_ms": _optional_count(),
    "streamed": serializers.BooleanField(allow_null=True),
    "finish_reason": text(allow_null=True),
    "service_tier": text(allow_null=True),
    "tags": serializers.DictField(child=serializers.CharField()),
    "pricing": _PRICING,
    "is_estimated": serializers.BooleanField(help_text="Its counts were estimated."),
    "cost_usd": usd("Decimal dollars; null when unpriced."),
    "input_cost_usd": usd("The part of the prompt."),
    "output_cost_usd": usd("The part of the completion."),
    "price_rule": text("How the price was found."),
    "price_version_id": _optional_count(),
    "superseded_by": text("The event that corrected this one.", allow_null=True),
}
EventSchema = inline("UsageEvent", **_EVENT)
EventDetailSchema = inline(
    "UsageEventDetail",
    **_EVENT,
    raw_usage=serializers.JSONField(allow_null=True, help_text="The usage object as it was sent."),
    supersedes=text("The event this one corrected.", allow_null=True),
)


def page_of(name: str, schema: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    return inline(name, data=schema(many=True), has_more=serializers.BooleanField(), next_cursor=text(allow_null=True))


EventPageSchema = page_of("UsageEventPage", EventSchema)
ReceiptSchema = inline(
    "Receipt",
    event=text(),
    occurred_at=at(),
    model=text(),
    provider=text(allow_null=True),
    pricing=_PRICING,
    rule=text("How the price was found."),
    version=inline(
        "ReceiptVersion",
        id=count(),
        kind=text("list, override or custom"),
        provider=text(),
        model=text(),
        source=text(),
        valid_from=at(),
        valid_to=serializers.DateTimeField(allow_null=True),
    )(allow_null=True),
    lines=inline(
        "ReceiptLine",
        bucket=text(),
        count=count(),
        unit=text(),
        rate_usd=text("Exact decimal dollars."),
        per=text(),
        amount_usd=text("count × rate, exact."),
        charged_as=text("The bucket whose rate was used."),
        note=text(),
    )(many=True),
    exact_usd=text("The sum of the lines.", allow_null=True),
    cost_usd=usd("As stored."),
    recomputed_usd=text("The sum, rounded as every cost is: to 10⁻⁹ dollars, half to even.", allow_null=True),
    is_reproduced=serializers.BooleanField(help_text="Whether both are the same."),
)
_CHAT: dict[str, _Field] = {
    "id": text(),
    "title": text(allow_null=True),
    "first_at": at(),
    "last_at": at(),
    **metric_fields(),
}
ChatSchema = inline("Chat", **_CHAT)
ChatPageSchema = page_of("ChatPage", ChatSchema)
ChatDetailSchema = inline(
    "ChatDetail",
    **_CHAT,
    coverage=CoverageSchema(),
    models=inline("ChatModel", model=text(), **metric_fields())(many=True, help_text="The one with most tokens first."),
    messages=inline("ChatMessage", message=text(allow_null=True), **metric_fields())(
        many=True, help_text="At most 100, the one with most tokens first."
    ),
)

EVENT: dict[str, Any] = {
    "id": "req_8f3",
    "occurred_at": "2026-11-21T12:00:00.123000Z",
    "received_at": "2026-11-21T12:00:01.020000Z",
    "model": "gpt-4o",
    "provider": "openai",
    "endpoint": "/v1/chat/completions",
    "usage": {
        **dict.fromkeys(BUCKETS, 0),
        "input": 25,
        "output": 100,
        "web_searches": 0,
        "images": 0,
        "seconds": 0.0,
    },
    "prompt_tokens": 25,
    "completion_tokens": 100,
    "total_tokens": 125,
    "user": "alice@acme.test",
    "member": "alice@acme.test",
    "project": "search",
    "team": "research",
    "department": "Engineering",
    "api_key": "tl_4hT0vQx9a",
    "chat": {"id": "c1", "title": "Q3 Marketing Analysis"},
    "message": {"id": "m1", "input_parts": {"message": 5, "context": 20}},
    "files": [{"id": "f1", "name": "Annual_Report.pdf", "size_bytes": 2_300_000, "tokens": 12_500}],
    "feature": "chat",
    "tool": None,
    "integration": None,
    "end_user": "u_77",
    "status": "ok",
    "error_code": None,
    "duration_ms": 5230,
    "time_to_first_token_ms": 410,
    "streamed": True,
    "finish_reason": "stop",
    "service_tier": "standard",
    "tags": {"env": "prod"},
    "pricing": "priced",
    "is_estimated": False,
    "cost_usd": "0.0010625",
    "input_cost_usd": "0.0000625",
    "output_cost_usd": "0.001",
    "price_rule": "openai/gpt-4o",
    "price_version_id": 1060,
    "superseded_by": None,
}
PAGE: dict[str, Any] = {"data": [EVENT], "has_more": False, "next_cursor": None}
DETAIL: dict[str, Any] = {
    **EVENT,
    "raw_usage": {"prompt_tokens": 25, "completion_tokens": 100, "total_tokens": 125},
    "supersedes": None,
}
RECEIPT: dict[str, Any] = {
    "event": "req_8f3",
    "occurred_at": "2026-11-21T12:00:00.123000Z",
    "model": "gpt-4o",
    "provider": "openai",
    "pricing": "priced",
    "rule": "openai/gpt-4o",
    "version": {
        "id": 1060,
        "kind": "list",
        "provider": "openai",
        "model": "gpt-4o",
        "source": "genai-prices 0.2.3",
        "valid_from": "2020-01-01T00:00:00Z",
        "valid_to": None,
    },
    "lines": [
        {
            "bucket": "input", "count": 25, "unit": "tokens", "rate_usd": "2.5", "per": "million tokens",
            "amount_usd": "0.0000625", "charged_as": "input", "note": "",
        },
        {
            "bucket": "output", "count": 100, "unit": "tokens", "rate_usd": "10", "per": "million tokens",
            "amount_usd": "0.001", "charged_as": "output", "note": "",
        },
    ],
    "exact_usd": "0.0010625",
    "cost_usd": "0.0010625",
    "recomputed_usd": "0.0010625",
    "is_reproduced": True,
}  # fmt: skip
_FIGURES: dict[str, Any] = {"requests": 4, "total_tokens": 17_420, "cost_usd": "0.05355"}
CHAT: dict[str, Any] = {
    "id": "c1",
    "title": "Q3 Marketing Analysis",
    "first_at": "2026-11-21T11:02:00Z",
    "last_at": "2026-11-21T12:00:00.123000Z",
    **_FIGURES,
}
CHAT_PAGE: dict[str, Any] = {"data": [CHAT], "has_more": False, "next_cursor": None}
CHAT_DETAIL: dict[str, Any] = {
    **CHAT,
    "coverage": COVERAGE,
    "models": [{"model": "gpt-4o", **_FIGURES}],
    "messages": [{"message": "m1", **_FIGURES}],
}
