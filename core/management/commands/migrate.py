from typing import Any

from django.core.management.commands.migrate import Command as MigrateCommand

from core.ownership import as_owner


class Command(MigrateCommand):
    """Django's own, as the owner of the tables."""

    def handle(self, *args: Any, **options: Any) -> None:
        with as_owner():
            super().handle(*args, **options)
