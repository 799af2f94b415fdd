"""Reports under a name: who finds which, who may change them, and what the audit log hears of it.

A report holds the parameters of an address, nothing else, so whoever opens or runs it gets what is theirs. Private
ones are nobody else's business; of shared ones every change is in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Membership
from core.errors import ApiError
from reports.custom.definition import kept_of
from reports.models import CustomReport
from reports.saved.records import may_change, may_share

MOST_OWN = 100
MOST_SHARED = 200
LONGEST = 4_000


def visible_reports(membership: Membership) -> QuerySet[CustomReport]:
    """Their own and what is shared, by name. Needs the organization's scope."""
    rows = CustomReport.objects.select_related("owner__user").filter(Q(owner=membership) | Q(is_shared=True))
    return rows.order_by(Lower("name"), "pk")


def create_report(
    membership: Membership, name: str, parameters: Mapping[str, Sequence[str]], *, is_shared: bool, by: Actor
) -> CustomReport:
    """Raises ApiError 403 for who may not share, 409 for a second report of a name, and 422 for one too many."""
    _check_sharing(membership, is_shared)
    _check_room(membership, is_shared)
    report = CustomReport(
        organization_id=membership.organization_id,
        owner=membership,
        name=_name(name),
        parameters=_parameters(parameters),
        is_shared=is_shared,
    )
    _save(report)
    if is_shared:
        audit.record(by, "report.share", report, audit.creation(report, ("name", "parameters")))
    return report


def change_report(report: CustomReport, membership: Membership, *, name: str, is_shared: bool, by: Actor) -> None:
    """Another name, shared or not. Raises as `create_report`."""
    check_change(report, membership)
    if is_shared and not report.is_shared:
        _check_sharing(membership, is_shared)
        _check_room(membership, is_shared)
    was_shared, before = report.is_shared, report.name
    report.name, report.is_shared = _name(name), is_shared
    _save(report)
    if was_shared and not is_shared:
        # Nobody else finds it any more, nor do their schedules.
        report.schedules.exclude(owner=report.owner).delete()
    if was_shared or is_shared:
        changes = {"name": (before, report.name), "is_shared": (was_shared, is_shared)}
        audit.record(by, "report.update", report, {key: pair for key, pair in changes.items() if pair[0] != pair[1]})


def replace_report(
    report: CustomReport, membership: Membership, parameters: Mapping[str, Sequence[str]], *, by: Actor
) -> None:
    """It asks something else from now on, under the same name."""
    check_change(report, membership)
    before, report.parameters = report.parameters, _parameters(parameters)
    _save(report)
    if report.is_shared and before != report.parameters:
        audit.record(by, "report.update", report, {"parameters": (str(before), str(report.parameters))})


def delete_report(report: CustomReport, membership: Membership, *, by: Actor) -> None:
    """Its schedules go with it; files that were made stay until they expire."""
    check_change(report, membership)
    if report.is_shared:
        audit.record(by, "report.delete", report, {"name": (report.name, None)})
    report.delete()


def check_change(report: CustomReport, membership: Membership) -> None:
    """Raises ApiError 403."""
    if not may_change(report, membership):
        raise ApiError(403, "forbidden", "Your role does not change shared reports.")


def _save(report: CustomReport) -> None:
    report.changed_at = now()
    try:
        with transaction.atomic():
            report.save()
    except IntegrityError as error:
        raise ApiError(409, "name_taken", f"There is a report called {report.name} already.", param="name") from error


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise ApiError(422, "invalid_parameter", "A report needs a name.", param="name")
    return name


def _parameters(given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    kept = kept_of(given)
    if len(urlencode(kept, doseq=True)) > LONGEST:
        raise ApiError(422, "invalid_parameter", f"A report has at most {LONGEST:,} characters of filters.")
    return kept


def _check_sharing(membership: Membership, is_shared: bool) -> None:
    if is_shared and not may_share(membership):
        raise ApiError(403, "forbidden", "Your role does not share reports.", param="is_shared")


def _check_room(membership: Membership, is_shared: bool) -> None:
    if is_shared and CustomReport.objects.filter(is_shared=True).count() >= MOST_SHARED:
        raise ApiError(422, "too_many", f"An organization shares at most {MOST_SHARED} reports.")
    if CustomReport.objects.filter(owner=membership, is_shared=False).count() >= MOST_OWN:
        raise ApiError(422, "too_many", f"You have {MOST_OWN} reports already, which is the most. Delete one first.")
