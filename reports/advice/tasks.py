"""Advice, looked for by workers."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from core.tenancy import unscoped
from reports.advice import rounds


@shared_task(name="reports.look_for_advice")
def look_for_advice(organization_id: int) -> None:
    rounds.look(organization_id, now())


@shared_task(name="reports.look_for_advice_of_all")
def look_for_advice_of_all() -> None:
    """Beat: each organization once a day, when its night is over three hours old."""
    with unscoped("beat looks for organizations whose day has begun"):
        due = rounds.due(now())
    for organization_id in due:
        look_for_advice.delay(organization_id)
