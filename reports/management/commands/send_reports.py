from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import unscoped
from reports.monthly import due, records


class Command(BaseCommand):
    help = "Make and send the reports that are due, as Celery beat does. Safe to run again: each is sent once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", nargs="?", help="slug; without it every organization")

    def handle(self, *, organization: str | None, **options: Any) -> None:
        at = now()
        wanted = due.due_organizations(at)
        chosen = None if organization is None else _find(organization)
        for organization_id in wanted:
            if chosen in (None, organization_id):
                due.ask_when_due(organization_id, at)
        with unscoped("the operator has every organization's reports made"):
            waiting = list(due.waiting().select_related("organization"))
        for report in waiting:
            if chosen in (None, report.organization_id) and records.make(report.organization_id, report.pk):
                self.stdout.write(f"{report.organization.slug}: {report}")


def _find(slug: str) -> int:
    with unscoped("the operator names an organization"):
        found: Organization | None = Organization.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"There is no organization {slug!r}.")
    return found.pk
