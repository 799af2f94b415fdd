from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from billing.models import StripeEvent
from billing.providers.stripe import inbox
from billing.providers.stripe.connection import is_connected
from core.tenancy import unscoped


class Command(BaseCommand):
    help = "Process events that Stripe told again: by id, or all that failed. Safe for events that were processed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("events", nargs="*", help="ids as Stripe gives them (evt_…)")
        parser.add_argument("--failed", action="store_true", help="every event that was not processed")
        parser.add_argument("--since", type=_moment, help="every event received since (ISO 8601)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not is_connected():
            raise CommandError("STRIPE_API_KEY is not set.")
        if not (options["events"] or options["failed"] or options["since"]):
            raise CommandError("Name events, or choose them by --failed or --since.")
        with unscoped("the operator replays whatever came"):
            wanted = StripeEvent.objects.order_by("pk")
            if options["events"]:
                wanted = wanted.filter(stripe_id__in=options["events"])
            if options["failed"]:
                wanted = wanted.filter(processed_at=None)
            if options["since"]:
                wanted = wanted.filter(received_at__gte=options["since"])
            chosen = list(wanted.values_list("pk", "stripe_id", "type"))
        unknown = set(options["events"]) - {stripe_id for _, stripe_id, _ in chosen}
        if unknown:
            raise CommandError(f"Not received, or not chosen: {', '.join(sorted(unknown))}")
        failed = 0
        for event_id, stripe_id, kind in chosen:
            is_done = inbox.replay(event_id)
            failed += not is_done
            self.stdout.write(f"{stripe_id} {kind}: {'processed' if is_done else 'failed'}")
        if failed:
            raise CommandError(f"{failed} of {len(chosen)} failed; their errors are stored beside them.")


def _moment(text: str) -> dt.datetime:
    found = parse_datetime(text)
    if found is None:
        raise ValueError(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
