from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from alerts import receivers  # noqa: F401  (they register themselves)
        from alerts.webhooks import tasks  # noqa: F401  (so do these, where Celery does not look)
