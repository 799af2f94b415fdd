"""Reports that people of the demo put together: a shared one, made every week, one of the owner's, and a file of it."""

from __future__ import annotations

import datetime as dt

from django.utils.timezone import now as current_time

from accounts.models import Membership, Organization, Role
from config.demo.organization import BY
from core.tenancy import organization_scope
from reports.custom import course, making, records, scheduling
from reports.custom.definition import report_of
from reports.custom.timing import cron_of
from reports.models import Frequency, ReportSchedule

SHARED = "Teams and models, week by week"
OWN = "Cost by project against a year ago"


def create(organization: Organization) -> None:
    """Of usage that is there: its file is made at once, not by a worker."""
    with organization_scope(organization.pk):
        members = Membership.objects.select_related("user", "organization")
        owner, finance = members.get(role=Role.OWNER), members.get(role=Role.FINANCE)
        shared = records.create_report(
            finance,
            SHARED,
            {
                "range": ["last-week"], "by": ["team", "model"], "metric": ["cost_usd", "requests", "total_tokens"],
                "against": ["before"],
            },
            is_shared=True,
            by=BY,
        )  # fmt: skip
        own = records.create_report(
            owner,
            OWN,
            {"range": ["last-month"], "by": ["project"], "metric": ["cost_usd", "total_tokens"], "against": ["year"]},
            is_shared=False,
            by=BY,
        )
        scheduling.set_schedule(
            ReportSchedule(organization=organization, report=shared),
            finance,
            {
                "file_format": "xlsx", "frequency": Frequency.WEEKLY.value,
                "cron": cron_of(Frequency.WEEKLY, dt.time(8)), "receivers": [owner.pk, finance.pk],
            },
            by=BY,
        )  # fmt: skip
        result = making.ask_for(report_of(owner, own.parameters, current_time()), "csv", own)
    course.make_result(organization.pk, result.pk)
