"""What workers do for pages. Every task opens the scope of its organization itself."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from core.tenancy import unscoped
from reports.diagnosis import run
from reports.models import Diagnosis


@shared_task(name="reports.diagnose")
def diagnose(organization_id: int, diagnosis_id: int) -> None:
    run.diagnose(organization_id, diagnosis_id)


@shared_task(name="reports.forget_diagnoses")
def forget_diagnoses() -> None:
    """Beat: what was found a season ago is about other figures."""
    with unscoped("beat clears every organization's diagnoses"):
        Diagnosis.objects.filter(created_at__lt=now() - run.KEPT).delete()
