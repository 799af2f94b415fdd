from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metering.gateway.upstreams import renew_credentials


class Command(BaseCommand):
    help = "Encrypt all credentials of upstreams with today's SECRET_KEY, so that its predecessors can be forgotten."

    def handle(self, **_: Any) -> None:
        renewed, lost = renew_credentials()
        self.stdout.write(f"{renewed} credential{'' if renewed == 1 else 's'} encrypted anew.")
        if lost:
            names = ", ".join(f"{upstream.organization.slug}/{upstream.name}" for upstream in lost)
            raise CommandError(f"No configured SECRET_KEY opens these; they have to be entered again: {names}")
