"""What workers do for pages. Every task opens the scope of its organization itself."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import organization_scope, unscoped
from reports.diagnosis import run
from reports.forecasting.records import due, make_all
from reports.models import Diagnosis

# Whose turn has not come when the next round begins is in that one.
FORECAST_SECONDS = 15 * 60


@shared_task(name="reports.diagnose")
def diagnose(organization_id: int, diagnosis_id: int) -> None:
    run.diagnose(organization_id, diagnosis_id)


@shared_task(name="reports.forget_diagnoses")
def forget_diagnoses() -> None:
    """Beat: what was found a season ago is about other figures."""
    with unscoped("beat clears every organization's diagnoses"):
        Diagnosis.objects.filter(created_at__lt=now() - run.KEPT).delete()


@shared_task(name="reports.forecast_of")
def forecast_of(organization_id: int) -> None:
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
    make_all(organization, now(), is_thorough=True)


@shared_task(name="reports.forecast_all")
def forecast_all() -> None:
    """Beat: organizations whose day has ended, each in its own zone."""
    with unscoped("beat looks for organizations whose day has ended"):
        found = due(now())
    for organization in found:
        forecast_of.apply_async((organization.pk,), expires=FORECAST_SECONDS)
