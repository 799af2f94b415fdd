"""The file that goes by e-mail with what is told of a report (alerts/letters/attachments.py)."""

from __future__ import annotations

from accounts.models import Membership
from alerts.letters.attachments import Attachment
from alerts.models import ToldFact
from reports.custom import attached as custom
from reports.monthly import attached as monthly


def file_of(fact: ToldFact, member: Membership) -> Attachment | None:
    """Of a month's report, or of one that people put together. Needs the organization's scope."""
    if fact.key.startswith(f"{custom.FAMILY}:"):
        return custom.file_of(fact, member)
    return monthly.file_of(fact, member)
