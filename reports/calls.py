"""Single calls: the newest of them, and one with everything known of it and its cost receipt."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.permissions import require
from accounts.requests import OrganizationRequest
from core import figures as words
from core.periods import local_day, month_start, next_month
from metering.dimensions import DIMENSIONS
from metering.events import BUCKETS
from metering.pricing.rate import Pricing
from metering.query.events import EventRow, find_event, list_events, receipt_of
from metering.query.spec import TAG, FilterValue
from reports.filters import NOTHING, carried, dimension_label
from reports.navigation import SEERS
from reports.page import UsagePage, show
from reports.split import BUCKET_LABELS, UNIT_LABELS, split_of

PAGE_ROWS = 50
REFRESH_SECONDS = 10
# Said in places of their own; whatever else a door kept is listed under its own name.
TOLD = frozenset({
    "chat_title", "input_parts", "output_parts", "files", "error_code", "streamed", "finish_reason", "upstream",
    "attempts", "response_id", "response_model",
})  # fmt: skip

sees_usage = require(*SEERS)


class Calls(UsagePage, frozen=True, kw_only=True):
    url_name = "reports:calls"
    template = "reports/calls.html"
    title = "Recent calls"
    parameters = ("cursor", "refresh")

    def context(self) -> dict[str, Any]:
        chosen, slug = self.chosen, self.organization.slug
        cursor = chosen.given("cursor")
        found = list_events(
            self.organization.pk,
            chosen.range.start,
            chosen.range.end,
            chosen.filters,
            limit=PAGE_ROWS,
            cursor=cursor,
        )
        is_refreshed = chosen.given("refresh") == "on" and cursor is None
        return {
            "page": self.head() | {"interval": {"options": []}, "compare": {}, "exports": None},
            "chats_url": chosen.carried_to(reverse("reports:chats", args=[slug])),
            "rows": [call_row(event, slug) for event in found.rows],
            "shows_people": "member" not in self.fixed,
            "next_url": found.next_cursor and chosen.url(cursor=found.next_cursor),
            "first_url": chosen.url() if cursor else None,
            "refresh_url": chosen.url() if is_refreshed else None,
            "refresh_seconds": REFRESH_SECONDS,
            "refresh_options": [
                {"label": "Off", "url": chosen.url(refresh=None), "is_current": not is_refreshed},
                {"label": f"{REFRESH_SECONDS} s", "url": chosen.url(refresh="on"), "is_current": is_refreshed},
            ],
        }


@require_GET
@sees_usage
def calls(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Calls)


@require_GET
@sees_usage
def call(request: OrganizationRequest, event_id: str) -> HttpResponse:
    """Raises ApiError 404."""
    page = Calls.of(request)
    own: dict[str, tuple[FilterValue, ...]] = {
        name: page.chosen.filters[name] for name in page.fixed if name in page.chosen.filters
    }
    event = find_event(request.organization.pk, event_id, own)
    return render(request, "reports/call.html", _context(page, event))


def call_row(event: EventRow, slug: str) -> dict[str, Any]:
    """A call in a list: the event, its page, and what its tokens are made of."""
    return {
        "event": event,
        "url": reverse("reports:call", args=[slug, event.event_id]),
        "successor_url": event.superseded_by and reverse("reports:call", args=[slug, event.superseded_by]),
        "split": split_of(event),
        "prompt_tokens": event.usage.prompt_tokens if event.usage else None,
        "completion_tokens": event.usage.completion_tokens if event.usage else None,
        "total_tokens": event.usage.total_tokens if event.usage else None,
        "pricing": event.pricing.name.lower(),
        "is_unpriced": event.pricing is Pricing.UNPRICED,
        "is_free": event.pricing is Pricing.FREE and not event.is_error,
        "status": event.names["status"].key or "ok",
        "error_code": event.detail.get("error_code"),
        "who": event.names["member"].label or event.names["user"].label,
    }


# ── One call ──


def _context(page: Calls, event: EventRow) -> dict[str, Any]:
    slug, detail = page.organization.slug, event.detail
    receipt = receipt_of(event)
    chat_url = event.chat and page.chosen.carried_to(reverse("reports:chat", args=[slug, event.chat]))
    return {
        "page": {"title": event.event_id},
        "call": call_row(event, slug),
        "event": event,
        "list_url": page.chosen.carried_to(page.path_in(page.organization)),
        "chat_url": chat_url,
        "chat_title": detail.get("chat_title") or event.chat,
        "supersedes_url": event.supersedes and reverse("reports:call", args=[slug, event.supersedes]),
        "dimensions": _dimensions(page, event),
        "tags": [
            {"label": name, "value": value, "url": _usage_url(page, event, TAG + name, value)}
            for name, value in sorted(event.tags.items())
        ],
        "delay": event.received_at - event.occurred_at,
        "attempts": detail.get("attempts", []),
        "upstream": detail.get("upstream"),
        "response_id": detail.get("response_id"),
        "response_model": detail.get("response_model"),
        "finish_reason": detail.get("finish_reason"),
        "streamed": detail.get("streamed"),
        "files": [
            file | {"url": page.chosen.carried_to(reverse("reports:file", args=[slug, file["id"]]))}
            for file in detail.get("files", [])
        ],
        "others": [(name, _plain(value)) for name, value in sorted(detail.items()) if name not in TOLD],
        "buckets": _buckets(event),
        "split_rows": _split_rows(event),
        "receipt": receipt,
        "receipt_lines": [
            {
                "line": line,
                "rate": Decimal(line.usd_per_unit),
                "label": BUCKET_LABELS.get(line.bucket) or UNIT_LABELS[line.bucket],
                "charged_as": BUCKET_LABELS.get(line.charged_as) if line.charged_as != line.bucket else None,
            }
            for line in receipt.lines
        ],
        "is_rounded": receipt.exact_usd is not None and receipt.exact_usd != receipt.total_usd,
        "raw_usage": None if event.raw_usage is None else json.dumps(event.raw_usage, indent=2, ensure_ascii=False),
    }


def _dimensions(page: Calls, event: EventRow) -> list[dict[str, Any]]:
    """Each value leads to the overview of it, in the call's month; what the role may not look through is only said."""
    rows = []
    for name in DIMENSIONS:
        value = event.names[name]
        if value.ref == 0 or (name == "api_key" and name in page.hidden):
            continue
        is_open = name in page.dimensions and value.key is not None
        rows.append(
            {
                "label": dimension_label(name),
                "value": value.label or f"deleted, was number {value.ref}",
                "url": _usage_url(page, event, name, value.key) if is_open else None,
            }
        )
    return rows


def _usage_url(page: Calls, event: EventRow, dimension: str, key: str | None) -> str:
    month = month_start(local_day(event.occurred_at, page.chosen.zone))
    ends = [f"{day}T00:00" for day in (month, next_month(month))]
    team = {"team": [page.team.slug]} if page.team else {}
    return carried(
        reverse("reports:overview", args=[page.organization.slug]),
        {"range": ["custom"], "from": ends[:1], "to": ends[1:], **team, dimension: [NOTHING if key is None else key]},
    )


def _buckets(event: EventRow) -> list[dict[str, Any]]:
    if event.usage is None:
        return []
    return [
        {
            "label": BUCKET_LABELS[name],
            "tokens": getattr(event.usage, name),
            "share": words.share(getattr(event.usage, name), event.usage.total_tokens),
        }
        for name in BUCKETS
        if getattr(event.usage, name)
    ]


def _split_rows(event: EventRow) -> list[dict[str, Any]]:
    split = split_of(event)
    if split is None or not split.is_told:
        return []
    return [{"part": part, "share": words.share(part.tokens, split.tokens)} for part in split.parts]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
