from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "reports"

    def ready(self) -> None:
        from alerts.letters.attachments import add_attachments
        from reports import receivers  # noqa: F401  (they register themselves)
        from reports.advice import tasks as advice_tasks  # noqa: F401  (Celery looks in reports.tasks alone)
        from reports.custom import tasks  # noqa: F401  (so do these, where Celery does not look)
        from reports.monthly import tasks as monthly_tasks  # noqa: F401  (and these)

        add_attachments("report.ready", "reports.attachments.file_of")
