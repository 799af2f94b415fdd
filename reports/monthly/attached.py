"""The file of a month's report, with the letter that says it is ready."""

from __future__ import annotations

from accounts.models import Membership
from alerts.letters.attachments import LARGEST_BYTES, Attachment
from alerts.models import ToldFact
from reports.models import MonthlyReport
from reports.monthly.records import file_name, may_see


def file_of(fact: ToldFact, member: Membership) -> Attachment | None:
    """None where this member may not read it (any more), and where it is too large to be read for it.

    Needs the organization's scope.
    """
    rows = MonthlyReport.objects.filter(pk=int(fact.key.partition(":")[2]), size_bytes__lt=LARGEST_BYTES)
    report = rows.select_related("organization").first()
    if report is None or not may_see(member, report.ref):
        return None
    return Attachment(file_name(report, report.organization.slug), "application/pdf", bytes(report.content))
