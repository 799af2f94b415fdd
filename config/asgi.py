"""One ASGI process for everything: the edge takes its own paths, Django the rest.

The demo and small installations run this. Where the parts are scaled apart, config/edge.py serves the doors and
config/wsgi.py the pages.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
embedded.provide()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

pages = get_asgi_application()

from metering.edge import app as edge  # noqa: E402  (needs Django's apps)
from metering.edge import serves  # noqa: E402


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan" or (scope["type"] == "http" and serves(scope["method"], scope["path"])):
        await edge(scope, receive, send)
    else:
        await pages(scope, receive, send)
