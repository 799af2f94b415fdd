from typing import Any

from django.core.management.commands.migrate import Command as MigrateCommand

from core.ownership import as_owner, grant_everyday_rights


class Command(MigrateCommand):
    """Django's own, as the owner of the tables."""

    def handle(self, *args: Any, **options: Any) -> None:
        with as_owner():
            super().handle(*args, **options)
            # Not on the post_migrate signal: Django sends none for an app without models, such as core.
            grant_everyday_rights()
