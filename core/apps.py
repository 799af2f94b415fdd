from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        from core import checks  # noqa: F401  (registers the system checks)
        from core.ownership import grant_everyday_rights

        post_migrate.connect(grant_everyday_rights, sender=self)
