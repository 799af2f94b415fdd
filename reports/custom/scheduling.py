"""Schedules: set by people, run by beat with their owner's rights at that moment, told to those who may see it.

One run of a schedule per due time: its row is locked, and a result is unique by schedule and due time. What was missed
while nothing ran is made up for once, by the latest. An owner who may not see that usage any more pauses it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Membership, Organization
from accounts.permissions import Right, may
from core.errors import ApiError
from core.facts import Fact, moment
from core.facts import tell as tell_fact
from core.periods import local_day
from core.tenancy import organization_scope, unscoped
from reports.custom import making, records, results
from reports.custom.attached import FAMILY
from reports.custom.definition import Report, report_of
from reports.custom.timing import missed, next_due
from reports.models import ReportSchedule, Result, ResultState

MOST_OF_A_REPORT = 20
MOST_RECEIVERS = 50
MOST_AT_ONCE = 500
LEFT = "Its owner has left, or cannot log in."
UNSHARED = "Its report is not shared with its owner any more."
NARROWED = "Its owner may no longer see the usage it was set up for."


def visible_schedules(membership: Membership) -> QuerySet[ReportSchedule]:
    """Of reports this person finds: their own, everybody's for who looks after reports. Needs the scope."""
    rows = ReportSchedule.objects.select_related("report__owner__user", "owner__user").filter(
        report__in=records.visible_reports(membership)
    )
    return rows if may(membership.role, Right.MANAGE_REPORTS) else rows.filter(owner=membership)


def counts_of_others(membership: Membership) -> dict[int, int]:
    """By report that this person finds, how many schedules it has that are not theirs to see. Needs the scope."""
    rows = ReportSchedule.objects.filter(report__in=records.visible_reports(membership)).exclude(
        pk__in=visible_schedules(membership)
    )
    return dict(rows.values_list("report").annotate(models.Count("pk")))


def may_change(schedule: ReportSchedule, membership: Membership) -> bool:
    return schedule.owner_id == membership.pk or may(membership.role, Right.MANAGE_REPORTS)


def possible_receivers(report: Report) -> list[Membership]:
    """Who may see what this person's report holds; for who does not look after reports, only themselves.

    Who looks after reports sees everybody's usage, so such a report holds just that.
    """
    if not may(report.membership.role, Right.MANAGE_REPORTS):
        return [report.membership]
    members = Membership.objects.filter(ended_at=None, user__is_active=True).select_related("user", "organization")
    return [
        member
        for member in members.order_by("user__name", "user__email")
        if may(member.role, Right.SEE_USAGE) and all(may(member.role, right) for right in report.rights)
    ]


# ── Changes ──


def set_schedule(
    schedule: ReportSchedule, membership: Membership, values: dict[str, Any], *, by: Actor
) -> ReportSchedule:
    """New or changed; whoever sets it becomes its owner. Needs the organization's scope.

    `values`: file_format, frequency, cron, receivers. Raises ApiError for a report that this person cannot run, for
    receivers who may not see it, and 422 for one too many.
    """
    report = report_of(membership, schedule.report.parameters, now())
    report.definition()
    _check_receivers(report, values["receivers"])
    is_new = schedule.pk is None
    if is_new and ReportSchedule.objects.filter(report=schedule.report).count() >= MOST_OF_A_REPORT:
        raise ApiError(422, "too_many", f"A report has at most {MOST_OF_A_REPORT} schedules.")
    for name, value in values.items():
        setattr(schedule, name, value)
    schedule.owner = membership
    schedule.scope, schedule.ref = report.scope
    schedule.paused_at, schedule.pause_reason = None, ""
    schedule.next_at = next_due(schedule.cron, report.chosen.zone, now())
    schedule.save()
    fields = ("file_format", "cron", "receivers")
    audit.record(
        by, "report_schedule.create" if is_new else "report_schedule.update", schedule,
        audit.creation(schedule, fields), label=schedule.report.name,
    )  # fmt: skip
    return schedule


def _check_receivers(report: Report, receivers: Sequence[int]) -> None:
    if not receivers:
        raise ApiError(422, "invalid_parameter", "Somebody has to receive it.", param="receivers")
    if len(receivers) > MOST_RECEIVERS:
        raise ApiError(422, "too_many", f"At most {MOST_RECEIVERS} people receive it.", param="receivers")
    possible = {member.pk for member in possible_receivers(report)}
    if not set(receivers) <= possible:
        raise ApiError(422, "invalid_parameter", "Somebody chosen may not see what it holds.", param="receivers")


def pause(schedule: ReportSchedule, *, by: Actor) -> None:
    _pause(schedule, "")
    audit.record(by, "report_schedule.pause", schedule, label=schedule.report.name)


def delete(schedule: ReportSchedule, *, by: Actor) -> None:
    audit.record(by, "report_schedule.delete", schedule, {"cron": (schedule.cron, None)}, label=schedule.report.name)
    schedule.delete()


def _pause(schedule: ReportSchedule, reason: str) -> None:
    schedule.next_at, schedule.paused_at, schedule.pause_reason = None, now(), reason
    schedule.save(update_fields=["next_at", "paused_at", "pause_reason"])


# ── What beat does ──


def due(at: dt.datetime) -> list[tuple[int, int]]:
    """(organization, schedule) of what is to be made, the longest due first."""
    with unscoped("beat looks after every organization's schedules"):
        rows = ReportSchedule.objects.filter(next_at__lte=at).order_by("next_at")
        return list(rows.values_list("organization_id", "pk")[:MOST_AT_ONCE])


def run(organization_id: int, schedule_id: int, at: dt.datetime) -> Result | None:
    """Have its report made for the latest time it was due, or pause it. None when it is not due (any more)."""
    with organization_scope(organization_id):
        schedule: ReportSchedule | None = (
            ReportSchedule.objects.select_for_update(of=("self",))
            .select_related("report", "owner__user", "owner__organization")
            .filter(pk=schedule_id, next_at__lte=at)
            .first()
        )
        if schedule is None or schedule.next_at is None:
            return None
        organization: Organization = schedule.owner.organization
        due_at, schedule.next_at = missed(schedule.cron, organization.zone, schedule.next_at, at)
        try:
            result = _result(schedule, due_at)
        except ApiError as error:
            _pause(schedule, error.message)
            _tell_failure(schedule, due_at, error.message, key=f"schedule:{schedule.pk}:{moment(due_at)}")
            return None
        schedule.save(update_fields=["next_at"])
        return results.enlist(result, is_bounded=False)


def _result(schedule: ReportSchedule, due_at: dt.datetime) -> Result:
    """Raises ApiError where its owner may not have it, or it makes no sense any more."""
    owner, saved = schedule.owner, schedule.report
    if owner.ended_at is not None or not owner.user.is_active:
        raise ApiError(403, "forbidden", LEFT)
    if not records.visible_reports(owner).filter(pk=saved.pk).exists():
        raise ApiError(403, "forbidden", UNSHARED)
    report = report_of(owner, saved.parameters, due_at)
    if report.scope != (schedule.scope, schedule.ref):
        raise ApiError(403, "forbidden", NARROWED)
    result = results.queued(owner.organization, making.wanted(report, saved.name, schedule.file_format), owner)
    result.report, result.schedule, result.due_at = saved, schedule, due_at
    return result


# ── Telling ──


def tell(result: Result, schedule: ReportSchedule) -> None:
    """The receivers who may see it hear that it is ready; who looks after it, that it is not. In the transaction."""
    if result.state == ResultState.FAILED and result.due_at is not None:
        _tell_failure(schedule, result.due_at, result.problem, key=f"{FAMILY}:{result.pk}")
    if result.state != ResultState.READY:
        return
    people = tuple(member.user_id for member in readers(result, schedule))
    if not people:
        return
    owner = Membership.objects.select_related("organization", "user").get(pk=result.asked_by_id)
    report = making.report_behind(result, owner)
    span, zone = report.chosen.range, report.chosen.zone
    tell_fact(
        Fact(
            "report.ready",
            result.organization_id,
            f"{FAMILY}:{result.pk}",
            {
                "page": reverse("reports:result", args=[owner.organization.slug, result.pk]),
                "report": schedule.report.name,
                "period_start": local_day(span.start, zone).isoformat(),
                "period_end": local_day(span.end - span.end.resolution, zone).isoformat(),
                "formats": [schedule.file_format],
                "about": None,
                "revision": 0,
                "cost_usd": None,
                "cost_usd_before": None,
                "total_tokens": None,
                "requests": None,
            },
            people=people,
        )
    )


def _tell_failure(schedule: ReportSchedule, due_at: dt.datetime, reason: str, *, key: str) -> None:
    """A report of the organization's is its managers' business, a private one its owner's alone."""
    report = schedule.report
    owner = Membership.objects.select_related("user", "organization").get(pk=schedule.owner_id)
    if not report.is_shared and owner.ended_at is not None:
        return
    data = {
        "page": reverse("reports:report", args=[owner.organization.slug, report.pk]),
        "report": report.name,
        "due_at": moment(due_at),
        "reason": reason,
        "is_paused": schedule.paused_at is not None,
    }
    people = () if report.is_shared else (owner.user_id,)
    tell_fact(Fact("report.failed", schedule.organization_id, key, data, people=people))


def readers(result: Result, schedule: ReportSchedule) -> list[Membership]:
    """Of the receivers, those who are here and may see it now."""
    members = Membership.objects.filter(pk__in=schedule.receivers, ended_at=None, user__is_active=True)
    return [
        member
        for member in members.select_related("user")
        if results.visible_results(member).filter(pk=result.pk).exists()
    ]
