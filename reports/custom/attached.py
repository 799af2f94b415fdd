"""The file of a scheduled report, with the letter that says it is ready."""

from __future__ import annotations

from accounts.models import Membership
from alerts.letters.attachments import LARGEST_BYTES, Attachment
from alerts.models import ToldFact
from reports.custom import storage
from reports.custom.results import visible_results
from reports.models import Result, ResultState

# The first word of such a fact's key; its result's number is the second.
FAMILY = "result"


def file_of(fact: ToldFact, member: Membership) -> Attachment | None:
    """None where this member may not have it (any more), where it is too large to be read for it, or gone.

    Needs the organization's scope.
    """
    ready = visible_results(member).filter(state=ResultState.READY, size_bytes__lt=LARGEST_BYTES)
    result: Result | None = ready.filter(pk=int(fact.key.partition(":")[2])).first()
    if result is None:
        return None
    try:
        content = storage.path_of(result.organization_id, result.stored_as).read_bytes()
    except FileNotFoundError:
        # Made on a disk that is not here: the letter has the link.
        return None
    return Attachment(result.file_name, result.content_type.partition(";")[0], content)
