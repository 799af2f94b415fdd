"""The file that goes by e-mail with what is told of a report (alerts/letters/attachments.py)."""

from __future__ import annotations

from alerts.letters.attachments import LARGEST_BYTES, Attachment
from alerts.models import ToldFact
from reports.models import MonthlyReport
from reports.monthly.records import FAMILY, file_name


def file_of(fact: ToldFact) -> Attachment | None:
    """None for other reports, and for one too large to be read for it. Needs the organization's scope."""
    family, _, number = fact.key.partition(":")
    if family != FAMILY:
        return None
    rows = MonthlyReport.objects.filter(pk=int(number), size_bytes__lt=LARGEST_BYTES).select_related("organization")
    report = rows.first()
    if report is None:
        return None
    return Attachment(file_name(report, report.organization.slug), "application/pdf", bytes(report.content))
