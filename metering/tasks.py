"""What workers do for metering. Every task opens the scope of its organization itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

import structlog
from celery import Task, shared_task
from django.db import transaction
from django.utils.timezone import now
from kombu.exceptions import OperationalError

from accounts.models import Organization
from core.tenancy import unscoped
from metering import prove, rebuilding
from metering.imports import course
from metering.ingest.otlp import memory
from metering.limits import expiry
from metering.models import ImportStatus, Ledger, Refusal, RefusedQuarter
from metering.refused import KEPT_DAYS

logger = structlog.get_logger(__name__)


def enqueue(task: Task, *args: Any, after_seconds: float = 0) -> None:
    """Hand a task to the queue once the transaction is committed. While the queue is away, beat's tasks catch up."""

    def send() -> None:
        try:
            task.apply_async(args, countdown=after_seconds or None)
        except OperationalError:
            logger.warning("task_not_enqueued", task=task.name)

    transaction.on_commit(send)


@shared_task(name="metering.check_import")
def check_import(organization_id: int, import_id: int) -> None:
    course.check_import(organization_id, import_id)


@shared_task(name="metering.run_import")
def run_import(organization_id: int, import_id: int) -> None:
    course.run_import(organization_id, import_id)


@shared_task(name="metering.resume_imports")
def resume_imports() -> None:
    """Beat: imports whose worker was killed go on where they stopped, and forgotten uploads go."""
    with unscoped("beat looks after every organization's imports"):
        lost = course.stalled()
        course.forget_old_uploads()
    for organization_id, import_id, status in lost:
        task = check_import if status == ImportStatus.CHECKING else run_import
        task.delay(organization_id, import_id)


@shared_task(name="metering.follow_zone")
def follow_zone(organization_id: int) -> None:
    """Make an organization's roll-ups anew when they are kept in another zone than its own."""
    rebuilding.follow_zone(organization_id)


@shared_task(name="metering.follow_zones")
def follow_zones() -> None:
    """Beat: a change of zone whose announcement was lost is caught up with."""
    with unscoped("beat looks after every organization's zone"):
        kept = dict(Ledger.objects.values_list("organization_id", "timezone"))
        zones = dict(Organization.objects.filter(pk__in=kept).values_list("id", "timezone"))
    for organization_id, zone in zones.items():
        if kept[organization_id] != zone:
            follow_zone.delay(organization_id)


@shared_task(name="metering.prove_months")
def prove_months(organization_id: int, by: str, month: str | None = None) -> None:
    """Prove one month, or every one there is."""
    months = [dt.date.fromisoformat(month)] if month else prove.months_with_usage(organization_id)
    for one in months:
        proof = prove.prove_month(organization_id, one)
        if proof is not None:
            prove.keep_proof(organization_id, proof, by)


@shared_task(name="metering.forget_traced_calls")
def forget_traced_calls() -> None:
    """Beat: spans of one call come close together; what was reported long ago need not be remembered."""
    memory.forget_old(dt.datetime.now(dt.UTC))


@shared_task(name="metering.forget_refusals")
def forget_refusals() -> None:
    """Beat: nobody looks for usage that was refused a season ago."""
    with unscoped("beat clears every organization's refusals"):
        Refusal.objects.filter(day__lt=now().date() - dt.timedelta(days=KEPT_DAYS)).delete()
        # A day more: a preview of so many days begins with the first of them.
        RefusedQuarter.objects.filter(quarter__lt=now() - dt.timedelta(days=KEPT_DAYS + 2)).delete()


@shared_task(name="metering.expire_holds")
def expire_holds() -> None:
    """Beat: what was held for calls that nobody settled becomes estimated events."""
    expiry.expire_holds()
