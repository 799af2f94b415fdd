from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.chat.rooms import renew_addresses


class Command(BaseCommand):
    help = "Encrypt the addresses of chat channels with today's SECRET_KEY, so that its predecessors can be forgotten."

    def handle(self, **_: Any) -> None:
        renewed, lost = renew_addresses()
        self.stdout.write(f"{renewed} addresses are encrypted anew.")
        if lost:
            named = ", ".join(f"{room.name} of {room.organization}" for room in lost)
            raise CommandError(
                f"No configured SECRET_KEY opens these; their addresses have to be entered again: {named}."
            )
