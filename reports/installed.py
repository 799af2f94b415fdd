"""The application as phones and desktops install it: manifest, service worker, start page, and what is there offline.

docs/decisions/0010-offline.md has the reasons; what the worker does is in static/js/offline/worker.js.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET

from accounts.requests import OrganizationRequest
from accounts.views.home import last_organization
from core.requests import kept_offline
from reports.live.reading import live_body
from reports.page import sees_usage, show
from reports.quick import Quick

# What the worker is made of, in this order.
SCRIPTS = ("js/notes/queue.js", "js/offline/worker.js")
# Everything that pages load. What is for print, and the licenses of fonts, are not among it.
ASSETS = {
    "css": ".css",
    "js": ".js",
    "vendor": (".css", ".js"),
    "fonts": "latin.woff2",
    "app": ("icon-192.png", "badge-96.png"),
}
SINGLE_ASSETS = ("icons.svg", "mark.svg", "fonts/plex-mono-latin-400.woff2", "fonts/plex-mono-latin-500.woff2")
# As the light theme has them; the pages' own meta elements follow the theme.
BACKGROUND, THEME = "#f6f8f6", "#f6f8f6"

# ── The application ──


@require_GET
@cache_control(max_age=3600)
def manifest(_request: HttpRequest) -> HttpResponse:
    """The same for everybody: which organization it opens with is decided by whoever is logged in."""

    def icon(name: str, size: int, purpose: str) -> dict[str, str]:
        src = static(f"app/{name}-{size}.png")
        return {"src": src, "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}

    start_url = reverse("reports:start")
    body = {
        "id": "/",
        "name": settings.SITE_NAME,
        "short_name": settings.SITE_NAME,
        "description": "What an organization's language models use, and what they cost.",
        "lang": "en",
        "start_url": start_url,
        "scope": "/",
        "display": "standalone",
        "background_color": BACKGROUND,
        "theme_color": THEME,
        "categories": ["business", "finance", "productivity"],
        "icons": [
            {"src": static("mark.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"},
            *(icon("icon", size, "any") for size in (96, 192, 512)),
            *(icon("maskable", size, "maskable") for size in (192, 512)),
            icon("badge", 96, "monochrome"),
        ],
        "shortcuts": [
            {"name": name, "url": f"{start_url}?to={to}", "icons": [icon("icon", 96, "any")]}
            for to, (name, _) in DESTINATIONS.items()
        ],
    }
    return JsonResponse(body, content_type="application/manifest+json")


# Shortcuts of the installed application: what they are called, and the page.
DESTINATIONS = {
    "quick": ("Quick overview", "reports:quick"),
    "overview": ("Overview", "reports:overview"),
    "chats": ("Chats", "reports:chats"),
}


@require_GET
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Where the installed application begins: a page of the organization looked at last, one of its shortcuts."""
    slug = last_organization(request)
    if slug is None:
        return redirect("accounts:home")
    _, name = DESTINATIONS.get(request.GET.get("to", ""), DESTINATIONS["quick"])
    return redirect(name, slug)


@require_GET
@cache_control(no_cache=True)
def worker(_request: HttpRequest) -> HttpResponse:
    """At the root, so that every page is in its scope. It changes with each release."""
    assets = [static(name) for name in _assets()]
    release = {
        "version": _version(),
        "static": settings.STATIC_URL,
        "assets": assets,
        "offline": reverse("reports:offline"),
        "start": reverse("reports:start"),
        "home": reverse("accounts:home"),
        "logout": reverse("account_logout"),
        "icon": static("app/icon-192.png"),
        "badge": static("app/badge-96.png"),
        "subscribe": reverse("alerts:device-subscribe"),
        "subscription": reverse("alerts:subscription-state"),
    }
    scripts = ", ".join(json.dumps(static(name)) for name in SCRIPTS)
    body = f"const RELEASE = {json.dumps(release)};\nimportScripts({scripts});\n"
    return HttpResponse(body, content_type="text/javascript; charset=utf-8")


@require_GET
@cache_control(no_cache=True)
def offline(request: HttpRequest) -> HttpResponse:
    """Shown in the place of what this device has no copy of. Nobody's: it is kept with the assets."""
    return render(request, "reports/offline.html")


def _assets() -> Iterator[str]:
    found = {
        name
        for finder in finders.get_finders()
        for name, _ in finder.list(None)
        if name in SINGLE_ASSETS or (name.endswith(ASSETS.get(name.partition("/")[0], ())) and "/print/" not in name)
    }
    yield from sorted(found)


@functools.cache
def _version() -> str:
    """Names the release: the same as long as every file is."""
    digest = hashlib.blake2b(digest_size=8)
    for name in _assets():
        digest.update(static(name).encode())
        digest.update(Path(str(finders.find(name))).read_bytes())
    return digest.hexdigest()


# ── The quick overview ──


@require_GET
@sees_usage
@kept_offline
def quick(request: OrganizationRequest) -> HttpResponseBase:
    return show(request, Quick)


@require_GET
@never_cache
@sees_usage
def quick_live(request: OrganizationRequest) -> HttpResponseBase:
    """What a frame of the stream has, for browsers that cannot have the stream."""
    return JsonResponse(live_body(Quick.of(request)))


@require_GET
@sees_usage
def quick_stream(_request: OrganizationRequest) -> HttpResponseBase:
    """Reached only where the edge does not stand before the pages (live/stream.py): no stream, so the page asks."""
    return HttpResponse(status=204)
