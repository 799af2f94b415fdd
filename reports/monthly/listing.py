"""The reports of months as a page lists them: every closed month of the record, the newest first."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.exceptions import PermissionDenied
from django.urls import reverse

from accounts.models import Membership, Organization, Team
from accounts.permissions import Right, administered_team_ids, may
from core.periods import local_day, month_start
from core.tenancy import organization_scope
from metering.query.latest import first_event_at
from metering.query.metrics import Figures
from metering.query.ranges import Span
from reports.models import MonthlyReport, ReportScope
from reports.monthly.figures import Whose, is_part
from reports.monthly.month import Month
from reports.monthly.records import MOST_ATTEMPTS, may_make, moved_since, of_months
from reports.monthly.telling import path_of

MOST_MONTHS = 24
# On the page of all reports.
FEW_MONTHS = 3


def readable_teams(member: Membership) -> list[Team]:
    """Whose reports a member may choose beside the organization's: all that have one, or those they administer."""
    own = administered_team_ids(member)
    refs: set[int] = set(own)
    if may(member.role, Right.SEE_USAGE):
        refs |= set(MonthlyReport.objects.filter(scope=ReportScope.TEAM).values_list("ref", flat=True))
    return list(Team.objects.filter(pk__in=refs).order_by("name"))


def first_readable(member: Membership) -> Team | None:
    """What a member's list begins with: the organization (None), or the first team they administer.

    Raises PermissionDenied for who reads no report. Needs the organization's scope.
    """
    if may(member.role, Right.SEE_USAGE):
        return None
    team = next(iter(readable_teams(member)), None)
    if team is None:
        raise PermissionDenied("Only who administers a team reads its reports.")
    return team


def listing(organization: Organization, member: Membership, team: Team | None, at: dt.datetime) -> dict[str, Any]:
    """What templates/reports/_monthly_list.html places, of the organization's reports or a team's."""
    with organization_scope(organization.pk):
        rows = _rows(Whose(organization, team), at, MOST_MONTHS)
        return _said(organization, member, team, rows) | {
            "is_under_way": any(row["state"] == "making" for row in rows),
            "whose": _whose_links(organization, member, team),
        }


def latest(organization: Organization, member: Membership, at: dt.datetime) -> dict[str, Any] | None:
    """The same of the last few months, as a part of another page; None for who reads no report."""
    with organization_scope(organization.pk):
        try:
            team = first_readable(member)
        except PermissionDenied:
            return None
        rows = _rows(Whose(organization, team), at, FEW_MONTHS)
        return _said(organization, member, team, rows) | {"is_part": True}


def _said(
    organization: Organization, member: Membership, team: Team | None, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "rows": rows,
        "team": team,
        "may_make": may_make(member, team.pk if team else 0),
        "make_url": reverse("reports:monthly-make", args=[organization.slug]),
        "url": path_of(organization, team),
    }


def _whose_links(organization: Organization, member: Membership, team: Team | None) -> list[dict[str, Any]]:
    whole = [None] if may(member.role, Right.SEE_USAGE) else []
    options = [*whole, *readable_teams(member)]
    if len(options) < 2:
        return []
    return [
        {
            "label": one.name if one else organization.name,
            "url": path_of(organization, one),
            "is_current": (one.pk if one else 0) == (team.pk if team else 0),
        }
        for one in options
    ]


def _rows(whose: Whose, at: dt.datetime, most: int) -> list[dict[str, Any]]:
    zone = whose.organization.zone
    began_at = first_event_at(whose.organization.pk)
    if began_at is None:
        return []
    began_on = local_day(began_at, zone)
    months = _months(whose, began_on, at, most)
    if not months:
        return []
    reports: dict[dt.date, list[MonthlyReport]] = {}
    for report in of_months(whose, months).defer("content").order_by("-revision"):
        reports.setdefault(report.month, []).append(report)
    # One more, which the oldest is held against.
    span = Span(months[-1].before.starts_at, months[0].ends_at)
    now = {local_day(row.start, zone): row.figures for row in whose.run(span, months[0], interval="month").rows}
    return [
        _row(
            whose,
            month,
            reports.get(month.first, []),
            now.get(month.first, Figures()),
            # A part of a month is nothing to hold a whole one against.
            now.get(month.before.first, Figures()) if began_on <= month.before.first else None,
        )
        | {"recorded_since": began_on if is_part(began_on, month) else None}
        for month in months
    ]


def _months(whose: Whose, began_on: dt.date, at: dt.datetime, most: int) -> list[Month]:
    month, first = Month.at(at, whose.organization.zone).before, Month(month_start(began_on), whose.organization.zone)
    found: list[Month] = []
    while month.first >= first.first and len(found) < most:
        found.append(month)
        month = month.before
    return found


def _row(
    whose: Whose, month: Month, reports: list[MonthlyReport], now: Figures, before: Figures | None
) -> dict[str, Any]:
    """`reports` are its revisions, the last one first. What there is no report of has the figures of today."""
    made = [report for report in reports if report.made_at is not None]
    waiting = next((report for report in reports if report.made_at is None), None)
    last = made[0] if made else None
    return {
        "month": month,
        "report": last,
        "older": [(report, _download(whose, report)) for report in made[1:]],
        "download_url": _download(whose, last) if last else None,
        "state": _state(last, waiting),
        # The next revision to be asked for; one that failed is asked for again.
        "revision": waiting.revision if waiting else last.revision + 1 if last else 0,
        "has_moved": last is not None and moved_since(last, month, now),
        "cost_nanos": last.cost_nanos if last else now.cost_nanos,
        "before_nanos": None if before is None else last.before_nanos if last else before.cost_nanos,
        "tokens": last.total_tokens if last else now.total_tokens,
        "moved_nanos": now.known_cost_nanos - (last.known_cost_nanos or 0) if last else 0,
    }


def _state(last: MonthlyReport | None, waiting: MonthlyReport | None) -> str:
    if waiting is not None:
        return "failed" if waiting.attempts >= MOST_ATTEMPTS else "making"
    return "ready" if last else "none"


def _download(whose: Whose, report: MonthlyReport) -> str:
    return reverse("reports:monthly-file", args=[whose.organization.slug, report.pk])
