from typing import Any

from django.core.management.base import BaseCommand

from metering.pricing.catalogue import source
from metering.pricing.sync import sync_prices


class Command(BaseCommand):
    help = "Bring the public list prices up to date with the installed price catalogue. Safe to run again."

    def handle(self, *_: Any, **__: Any) -> None:
        result = sync_prices()
        if result.is_unchanged:
            self.stdout.write(f"Prices are up to date with {source()}.")
            return
        self.stdout.write(
            f"Prices from {source()}: {result.versions_added} added, {result.versions_ended} ended; "
            f"names: {result.names_added} added, {result.names_moved} moved."
        )
