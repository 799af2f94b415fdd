from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils.timezone import now

from config.demo import (
    advice,
    alerts,
    belongings,
    budgets,
    imports,
    invoices,
    monthly,
    neighbors,
    notices,
    organization,
    reports,
    upstreams,
    waste,
    webhooks,
)
from config.management.commands.demo import OPERATOR, PASSWORD
from metering.pricing.sync import sync_prices


class Command(BaseCommand):
    help = "Migrate, bring list prices up to date, and write the demo organization where there is none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--secret-file", type=Path, required=True, help="where the traffic's API key is kept")
        parser.add_argument("--model-port", type=int, required=True, help="where the demo's own model will listen")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        sync_prices()
        secret_file: Path = options["secret_file"]
        history_done = secret_file.with_suffix(".history")
        found = organization.found()
        if found is None:
            # All or nothing: an organization without its key on file could be taken for another demo's.
            with transaction.atomic():
                found, secret = organization.create(PASSWORD)
                upstreams.create(found, options["model_port"])
                imports.create(found)
                belongings.create(found)
                waste.forget_key(found, now())
                notices.create(found)
                budgets.create(found)
                neighbors.create(OPERATOR, PASSWORD)
                invoices.create(found)
                secret_file.touch(mode=0o600)
                secret_file.write_text(secret)
                history_done.unlink(missing_ok=True)
        elif not secret_file.exists():
            raise CommandError(
                "This database holds a demo that another data directory made. Use --data-dir, or --fresh."
            )
        else:
            upstreams.follow(found, options["model_port"])
            webhooks.follow(found, options["model_port"])
        if not history_done.exists():
            # Event ids are the same every time, so an interrupted first start is simply done again.
            started = time.monotonic()
            written = organization.write_history(lambda part: self._progress(part * 0.9))
            written += waste.write(found, now())
            written += neighbors.write_history(lambda part: self._progress(0.9 + part * 0.1))
            belongings.ask(found)
            invoices.state()
            alerts.create(found)
            advice.settle(found)
            notices.settle()
            webhooks.create(found, options["model_port"])
            monthly.ask(found)
            reports.create(found)
            self.stdout.write(f"\rWrote {written:,} events in {time.monotonic() - started:.0f} s.          ")
            history_done.touch()

    def _progress(self, part: float) -> None:
        if sys.stdout.isatty():
            self.stdout.write(f"\rWriting 13 months of usage … {part:4.0%}", ending="")
            self.stdout.flush()
