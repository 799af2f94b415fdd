"""What workers do for the reports of months. Every task opens the scope of its organization itself."""

from __future__ import annotations

from celery import shared_task
from django.utils.timezone import now

from core.tenancy import unscoped
from reports.monthly import due, records


@shared_task(name="reports.ask_monthly_reports")
def ask_monthly_reports() -> None:
    """Beat: months that are over and closed, reports whose task was lost, and those that cannot be made."""
    at = now()
    for organization_id in due.due_organizations(at):
        ask_monthly_reports_of.delay(organization_id)
    with unscoped("beat looks after every organization's reports"):
        waiting = list(due.lost(at).values_list("organization_id", "pk"))
    for organization_id, report_id in waiting:
        make_monthly_report.delay(organization_id, report_id)
    due.tell_given_up(at)


@shared_task(name="reports.ask_monthly_reports_of")
def ask_monthly_reports_of(organization_id: int) -> None:
    due.ask_when_due(organization_id, now())


@shared_task(name="reports.make_monthly_report")
def make_monthly_report(organization_id: int, report_id: int) -> None:
    records.make(organization_id, report_id)
