from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User


class Command(BaseCommand):
    help = "Let a person run this installation: they see every organization under /operator/. --revoke takes it back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="the address they log in with")
        parser.add_argument("--revoke", action="store_true")

    def handle(self, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"]).first()
        if user is None:
            raise CommandError(f"Nobody logs in as {options['email']}. They sign up first.")
        user.is_operator = not options["revoke"]
        user.save(update_fields=["is_operator"])
        self.stdout.write(f"{user.email} {'is no operator any more' if options['revoke'] else 'is an operator'}.")
