"""What workers do for reports that people put together, and for every file that is kept."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from reports.custom import course, scheduling


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


@shared_task(name="reports.run_schedule")
def run_schedule(organization_id: int, schedule_id: int) -> None:
    scheduling.run(organization_id, schedule_id, now())


@shared_task(name="reports.run_schedules")
def run_schedules() -> None:
    """Beat: reports whose time has come."""
    for organization_id, schedule_id in scheduling.due(now()):
        run_schedule.delay(organization_id, schedule_id)
