from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from accounts.models import Organization
from core.tenancy import unscoped
from reports.custom import course, scheduling
from reports.monthly import due, records


class Command(BaseCommand):
    help = (
        "Make and send the reports that are due, of months and by schedule, as Celery beat does."
        " Safe to run again: each is sent once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", nargs="?", help="slug; without it every organization")

    def handle(self, *, organization: str | None, **options: Any) -> None:
        at = now()
        with unscoped("the operator has the reports of every organization made, or of one by name"):
            found = Organization.objects.order_by("slug")
            slugs = dict((found if organization is None else found.filter(slug=organization)).values_list("pk", "slug"))
        if organization is not None and not slugs:
            raise CommandError(f"There is no organization {organization!r}.")
        self._months(slugs, at)
        self._schedules(slugs, at)

    def _months(self, slugs: dict[int, str], at: dt.datetime) -> None:
        for organization_id in due.due_organizations(at):
            if organization_id in slugs:
                due.ask_when_due(organization_id, at)
        with unscoped("the operator has every organization's reports made"):
            waiting = list(due.waiting().filter(organization__in=slugs))
        for report in waiting:
            if records.make(report.organization_id, report.pk):
                self.stdout.write(f"{slugs[report.organization_id]}: {report}")
        due.tell_given_up(at)

    def _schedules(self, slugs: dict[int, str], at: dt.datetime) -> None:
        for organization_id, schedule_id in scheduling.due(at):
            if organization_id not in slugs:
                continue
            result = scheduling.run(organization_id, schedule_id, at)
            if result is not None:
                course.make_result(organization_id, result.pk)
                self.stdout.write(f"{slugs[organization_id]}: {result}")
