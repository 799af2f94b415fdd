import os

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    label = "installation"

    def ready(self) -> None:
        # What any process enqueues goes to the product's broker. Tools that only read settings have no engines.
        if os.environ.get("DATABASE_URL"):
            from config import celery  # noqa: F401
