"""The edge alone, for an ASGI server: `uvicorn config.edge:application`."""

import os

import django

from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
embedded.provide()
django.setup()

from metering.edge import app  # noqa: E402  (needs Django's apps)
from reports.live.stream import LiveStreams  # noqa: E402  (needs Django's apps)

application = LiveStreams(app)
