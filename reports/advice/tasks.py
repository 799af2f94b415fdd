"""Advice, looked for by workers."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from core.tenancy import unscoped
from reports.advice import rounds


@shared_task(name="reports.look_for_advice")
def look_for_advice(organization_id: int) -> None:
    """A round that was asked for; another task may have made it while this one was in the queue."""
    if rounds.is_asked(organization_id):
        rounds.look(organization_id, now())


@shared_task(name="reports.look_for_advice_of_all")
def look_for_advice_of_all() -> None:
    """Beat: each organization once a day, when its night is over three hours old."""
    with unscoped("beat looks for organizations whose day has begun"):
        # Those that wait in the queue already are not asked again.
        due = [pk for pk in rounds.due(now()) if rounds.ask(pk, now())]
    for organization_id in due:
        look_for_advice.delay(organization_id)
