"""/o/<organization>/inbox/: what a member has been told, and how much of it is unread."""

from __future__ import annotations

from typing import Any

import msgspec
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from accounts.views.pages import to
from alerts.catalogue import KINDS
from alerts.letters import LETTERS, letter_of
from alerts.models import Notice
from alerts.notices import inbox

PER_PAGE = 25
# What a kind is about, by the first part of its name: how an inbox is filtered.
TOPICS = {
    "usage": "Usage",
    "rate_limit": "Rate limits",
    "budget": "Budgets",
    "credits": "Credits",
    "invoice": "Invoices",
    "payment": "Payments",
    "calls": "Suspended calls",
    "report": "Reports",
    "key": "API keys",
    "member": "Members",
    "webhook": "Webhooks",
}
MEMBERS = (Right.SEE_OWN_USAGE,)


@require_safe
@never_cache
@require(*MEMBERS)
def index(request: OrganizationRequest) -> HttpResponse:
    return render(request, "alerts/inbox.html", _context(request))


@require_safe
@never_cache
@require(*MEMBERS)
def rows(request: OrganizationRequest) -> HttpResponse:
    """The list alone, for a page that is open while something new comes."""
    return render(request, "alerts/_inbox.html", _context(request))


@require_safe
@never_cache
@require(*MEMBERS)
def count(request: OrganizationRequest) -> JsonResponse:
    """For the bell of pages that have no stream."""
    return JsonResponse(msgspec.to_builtins(inbox.standing_of(request.membership)))


@require_safe
@require(*MEMBERS)
def stream(request: OrganizationRequest) -> HttpResponse:  # noqa: ARG001
    """Served by the edge (reports/live); where it reaches Django there is none, and the page asks instead."""
    return HttpResponse(status=204)


@require_POST
@require(*MEMBERS)
def follow(request: OrganizationRequest, notice: int) -> HttpResponse:
    """To what it is about; it counts as read."""
    row = get_object_or_404(inbox.notices_of(request.membership), pk=notice)
    inbox.mark_read(request.membership, [row.pk])
    return redirect(letter_of(row.fact, request.organization).path)


@require_POST
@require(*MEMBERS)
def mark(request: OrganizationRequest) -> HttpResponse:
    """`read` or `unread` names one; `all` is every one there is."""
    if request.POST.get("all"):
        inbox.mark_read(request.membership)
    elif (read := request.POST.get("read", "")).isdecimal():
        inbox.mark_read(request.membership, [int(read[:18])])
    elif (unread := request.POST.get("unread", "")).isdecimal():
        inbox.mark_unread(request.membership, int(unread[:18]))
    back = request.POST.get("back", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, None)
    return redirect(back if is_ours else to(request, "alerts:inbox"))


def _context(request: OrganizationRequest) -> dict[str, Any]:
    member = request.membership
    is_unread = request.GET.get("show") == "unread"
    topic = request.GET.get("topic", "")
    topic = topic if topic in TOPICS else ""
    found = inbox.notices_of(member, is_unread=is_unread, kinds=_kinds(topic)).filter(kind__in=LETTERS)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))

    def url(**changes: Any) -> str:
        wanted = {"show": "unread" if is_unread else "", "topic": topic, "page": "", **changes}
        query = urlencode({name: value for name, value in wanted.items() if value})
        path = reverse("alerts:inbox", args=[request.organization.slug])
        return f"{path}?{query}" if query else path

    return {
        "page": {"title": "Inbox"},
        "rows": [_row(notice, request) for notice in page.object_list],
        "unread": inbox.unread_count(member),
        "number": page.paginator.count,
        "topic": TOPICS.get(topic, ""),
        "is_unread": is_unread,
        "here": url(page=page.number if page.number > 1 else ""),
        "fresh_url": url(page=page.number if page.number > 1 else "").replace("/inbox/", "/inbox/rows", 1),
        "newer_url": url(page=page.previous_page_number()) if page.has_previous() else None,
        "older_url": url(page=page.next_page_number()) if page.has_next() else None,
        "all_url": url(show="", topic=""),
        "shows": [
            {"label": "All", "url": url(show=""), "is_current": not is_unread},
            {"label": "Unread", "url": url(show="unread"), "is_current": is_unread},
        ],
        "topics": [
            {"label": "Everything", "url": url(topic=""), "is_current": not topic},
            *({"label": label, "url": url(topic=name), "is_current": topic == name} for name, label in TOPICS.items()),
        ],
    }


def _row(notice: Notice, request: OrganizationRequest) -> dict[str, Any]:
    return {
        "notice": notice,
        "letter": letter_of(notice.fact, request.organization),
        "kind": KINDS[notice.kind].title,
        "happened_at": notice.fact.happened_at,
    }


def _kinds(topic: str) -> list[str]:
    return [name for name in KINDS if topic and name.partition(".")[0] == topic]
