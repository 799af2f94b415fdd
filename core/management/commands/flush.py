from typing import Any

from django.core.management.commands.flush import Command as FlushCommand

from core.ownership import as_owner


class Command(FlushCommand):
    """Django's own, as the owner: the role of everyday work may not truncate."""

    def handle(self, **options: Any) -> None:
        with as_owner():
            super().handle(**options)
