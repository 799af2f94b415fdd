"""One ASGI process for everything: the edge takes its own paths, Django the rest.

The demo and small installations run this. Where the parts are scaled apart, config/edge.py serves the doors and
config/wsgi.py the pages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application
from starlette.responses import Response
from starlette.routing import Mount, Router
from starlette.staticfiles import StaticFiles

from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
embedded.provide()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

pages: Any = get_asgi_application()

from django.conf import settings  # noqa: E402  (needs Django's apps)
from django.db import connections  # noqa: E402  (needs Django's apps)
from django.urls import Resolver404, resolve  # noqa: E402

from core.error_answers import unknown_endpoint  # noqa: E402
from metering.edge import ROUTES, serves  # noqa: E402
from metering.edge import app as doors  # noqa: E402  (needs Django's apps)
from reports.live.stream import LiveStreams  # noqa: E402  (needs Django's apps)

# Here every request has a thread of its own: a connection kept for the next request is found by none, and a hundred
# requests later the server has no more to give.
connections.settings["default"]["CONN_MAX_AGE"] = 0


class HashedFiles(StaticFiles):
    """Collected static files, read without a thread per chunk. A name with a hash in it never changes."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        if re.search(r"\.[0-9a-f]{12}\.", str(args[0])):
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def _is_a_page(path: str) -> bool:
    try:
        return resolve(path).func is not unknown_endpoint
    except Resolver404:
        return False


# Addresses only the edge has: it also says which methods they take.
edge_alone = frozenset(path for _, path in ROUTES if not _is_a_page(path))

edge = LiveStreams(doors)

files = Router([Mount("/static", HashedFiles(directory=settings.STATIC_ROOT, check_dir=False))])


def _is_the_edges(method: str, path: str) -> bool:
    return serves(method, path) or path in edge_alone or edge.serves(path)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http" and scope["path"].startswith("/static/") and not settings.DEBUG:
        await files(scope, receive, send)
    elif scope["type"] == "lifespan" or (scope["type"] == "http" and _is_the_edges(scope["method"], scope["path"])):
        await edge(scope, receive, send)
    else:
        await pages(scope, receive, send)
