from typing import Any

from django.core.management.commands.makemigrations import Command as MakeMigrationsCommand

from core.ownership import as_owner


class Command(MakeMigrationsCommand):
    """Django's own, as the owner: the role of everyday work may not exist yet."""

    def handle(self, *args: Any, **options: Any) -> None:
        with as_owner():
            super().handle(*args, **options)
