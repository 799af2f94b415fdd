from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.webhooks.signing import renew_secrets
from core.tenancy import unscoped


class Command(BaseCommand):
    help = "Encrypt the secrets of webhooks with today's SECRET_KEY, so that its predecessors can be forgotten."

    def handle(self, **_: Any) -> None:
        with unscoped("secrets of every organization are encrypted anew"):
            renewed, lost = renew_secrets()
        self.stdout.write(f"{renewed} encrypted anew.")
        if lost:
            raise CommandError(f"No configured SECRET_KEY opens those of {', '.join(lost)}: rotate them.")
