from __future__ import annotations

from pathlib import Path
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandParser

from billing.providers.stripe.fake.app import build


class Command(BaseCommand):
    help = "A Stripe to develop against: point STRIPE_API_BASE at it. No money moves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8098)
        parser.add_argument("--state", type=Path, help="SQLite file that keeps what happened; without it in memory")
        parser.add_argument("--webhook", help="address that hears of every event")
        parser.add_argument("--secret", default="", help="what those webhooks are signed with (STRIPE_WEBHOOK_SECRET)")

    def handle(self, *args: Any, **options: Any) -> None:
        webhook = (options["webhook"], options["secret"]) if options["webhook"] else None
        app = build(options["state"], webhook)
        uvicorn.run(app, host=options["host"], port=options["port"], log_level="warning")
