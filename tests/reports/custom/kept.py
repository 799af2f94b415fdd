"""Reports as rows, with a schedule and a file each."""

from __future__ import annotations

import datetime as dt

from django.utils.timezone import now

from accounts.models import Membership
from reports.custom import storage
from reports.models import CustomReport, Frequency, ReportSchedule, Result, ResultState


def keep_report(owner: Membership, number: int, *, is_shared: bool = False) -> CustomReport:
    """Needs the organization's scope."""
    organization = owner.organization
    report: CustomReport = CustomReport.objects.create(
        organization=organization, owner=owner, name=f"Report {number}", is_shared=is_shared,
        parameters={"range": ["last-month"], "by": ["model"]},
    )  # fmt: skip
    schedule = ReportSchedule.objects.create(
        organization=organization, report=report, owner=owner, file_format="csv", frequency=Frequency.WEEKLY,
        cron="0 8 * * 1", receivers=[owner.pk], scope="organization", next_at=now() + dt.timedelta(days=number + 1),
    )  # fmt: skip
    with storage.writing(organization.pk, number) as written:
        written.write(b"model,cost_usd\n")
        written.keep()
    Result.objects.create(
        organization=organization, asked_by=owner, report=report, schedule=schedule, due_at=now(), maker="report",
        title=report.name, file_name="report.csv", content_type="text/csv", state=ResultState.READY,
        finished_at=now(), expires_at=now() + dt.timedelta(days=30), stored_as=written.name,
        size_bytes=written.size_bytes, sha256=written.sha256,
    )  # fmt: skip
    return report
