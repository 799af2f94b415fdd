"""What workers do for reports that people put together, and for every file that is kept."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from reports.custom import course


@shared_task(name="reports.make_result")
def make_result(organization_id: int, result_id: int) -> None:
    course.make_result(organization_id, result_id)


@shared_task(name="reports.resume_results")
def resume_results() -> None:
    """Beat: files whose worker was killed are begun anew."""
    for organization_id, result_id in course.stalled(now()):
        make_result.delay(organization_id, result_id)


@shared_task(name="reports.expire_results")
def expire_results() -> None:
    """Beat: what was kept long enough is deleted, and what no row speaks of."""
    course.expire(now())
    course.sweep(now())
