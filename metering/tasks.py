"""What workers do for metering. Every task opens the scope of its organization itself."""

from __future__ import annotations

from celery import shared_task

from accounts.models import Organization
from core.tenancy import unscoped
from metering import rebuilding
from metering.imports import course
from metering.models import ImportStatus, Ledger


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
