from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.push.keys import renew_key
from core.encryption import SecretLostError


class Command(BaseCommand):
    help = "Encrypt the key for push messages with today's SECRET_KEY, so that its predecessors can be forgotten."

    def handle(self, **_: Any) -> None:
        try:
            is_renewed = renew_key()
        except SecretLostError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The push key is encrypted anew." if is_renewed else "There is no push key yet.")
