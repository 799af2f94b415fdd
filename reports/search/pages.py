"""/o/<organization>/search: what is found, as a page, and as lines below what is typed into the palette (Ctrl K)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.permissions import require
from accounts.requests import OrganizationRequest
from reports.navigation import SEERS, destinations
from reports.search.found import LONGEST, Found, Searcher, Section

MOST_ON_PAGE = 20
MOST_OPTIONS = 5

sees_usage = require(*SEERS)


@require_GET
@never_cache
@sees_usage
def search(request: OrganizationRequest) -> HttpResponse:
    wanted = _wanted(request)
    sections = [*_pages(request, wanted), *_searcher(request, wanted, MOST_ON_PAGE).sections()]
    context = {
        "page": {"title": "Search"},
        "wanted": wanted,
        "longest": LONGEST,
        "sections": sections,
        "count": sum(len(section.rows) for section in sections),
    }
    return render(request, "reports/search.html", context)


@require_GET
@never_cache
@sees_usage
def options(request: OrganizationRequest) -> HttpResponse:
    """A fragment for the palette, which lists the places of the menu by itself."""
    wanted = _wanted(request)
    context: dict[str, Any] = {
        "sections": list(_searcher(request, wanted, MOST_OPTIONS).sections()),
        "all_url": f"{reverse('reports:search', args=[request.organization.slug])}?{urlencode({'q': wanted})}",
    }
    return render(request, "reports/_search_options.html", context)


def _wanted(request: OrganizationRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:LONGEST]


def _searcher(request: OrganizationRequest, wanted: str, most: int) -> Searcher:
    return Searcher.of(request.organization, request.membership, wanted, most)


def _pages(request: OrganizationRequest, wanted: str) -> list[Section]:
    """The places and settings whose names have every word; all of them when nothing is asked."""
    words = wanted.lower().split()
    rows = tuple(
        Found(item["label"], item["url"], item["icon"], group)
        for group, item in destinations(request, request.membership)
        if all(word in f"{item['label']} {group}".lower() for word in words)
    )
    return [Section("pages", "Pages", rows)] if rows else []
