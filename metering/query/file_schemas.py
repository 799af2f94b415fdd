"""What the endpoints of files answer, for the API description."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from metering.query.examples import COVERAGE
from metering.query.schemas import CoverageSchema, at, count, inline, metric_fields, text, usd

_Field = serializers.Field[Any, Any, Any, Any]

_SHARES: dict[str, _Field] = {
    "file_tokens": serializers.IntegerField(
        allow_null=True, help_text="Tokens of the calls' prompts that were the file; null when nobody said."
    ),
    "processing_cost_usd": usd("Its share of the calls' input cost; null when it is unknown."),
}
_FILE: dict[str, _Field] = {
    "id": text(),
    "name": text(allow_null=True),
    "size_bytes": serializers.IntegerField(allow_null=True),
    "tokens": serializers.IntegerField(allow_null=True, help_text="Of the extracted text."),
    "chats": count("Distinct chats that used it."),
    **_SHARES,
    "first_at": at(),
    "last_at": at(),
    **metric_fields(),
}
FileSchema = inline("File", **_FILE)
FilePageSchema = inline(
    "FilePage",
    data=FileSchema(many=True),
    totals=inline("FileTotals", files=count(), chats=count(), **_SHARES, **metric_fields())(
        help_text="Of the whole range and all filters, whatever is searched for; each call counts once."
    ),
    coverage=CoverageSchema(),
    has_more=serializers.BooleanField(),
    next_cursor=text(allow_null=True),
)
FileDetailSchema = inline(
    "FileDetail",
    **_FILE,
    coverage=CoverageSchema(),
    models=inline("FileModel", model=text(), **metric_fields())(many=True, help_text="The one with most tokens first."),
    used_in=inline(
        "FileChat", chat=text(allow_null=True), title=text(allow_null=True), last_at=at(), **_SHARES, **metric_fields()
    )(many=True, help_text="At most 100 chats, the last one first; null is all calls outside of chats."),
)

_FIGURES: dict[str, Any] = {"requests": 9, "total_tokens": 131_040, "cost_usd": "0.3401"}
_OF_FILE: dict[str, Any] = {"file_tokens": 112_500, "processing_cost_usd": "0.28125"}
FILE: dict[str, Any] = {
    "id": "f1",
    "name": "Annual_Report.pdf",
    "size_bytes": 2_300_000,
    "tokens": 12_500,
    "chats": 3,
    **_OF_FILE,
    "first_at": "2026-11-03T08:12:44Z",
    "last_at": "2026-11-21T12:00:00.123000Z",
    **_FIGURES,
}
FILE_PAGE: dict[str, Any] = {
    "data": [FILE],
    "totals": {"files": 1, "chats": 3, **_OF_FILE, **_FIGURES},
    "coverage": COVERAGE,
    "has_more": False,
    "next_cursor": None,
}
FILE_DETAIL: dict[str, Any] = {
    **FILE,
    "coverage": COVERAGE,
    "models": [{"model": "gpt-4o", **_FIGURES}],
    "used_in": [
        {
            "chat": "c1",
            "title": "Q3 Marketing Analysis",
            "last_at": "2026-11-21T12:00:00.123000Z",
            **_OF_FILE,
            **_FIGURES,
        }
    ],
}
