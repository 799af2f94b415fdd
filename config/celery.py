"""The task queue. `celery -A config.celery worker` and `… beat` run it."""

import os

from celery import Celery

from config import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
embedded.provide()

from core import task_queue  # noqa: E402, F401  (it notes failures and signs of life)

app = Celery("tokenledger")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
