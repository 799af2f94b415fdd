"""Reports of months as rows: asked for once, made once, made again as another revision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from django.db.models import QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Membership, Organization, Team, TeamMembership
from accounts.permissions import Right, administered_team_ids, may
from billing.features import includes
from billing.models import Feature
from core.errors import ApiError
from core.tenancy import organization_scope
from metering.query.latest import first_event_at
from metering.query.metrics import Figures
from metering.tasks import enqueue
from reports.models import MonthlyReport, ReportScope
from reports.monthly.around import look_around
from reports.monthly.document import Stamp, render
from reports.monthly.figures import MonthFigures, Whose, read
from reports.monthly.month import Month
from reports.monthly.telling import month_of, path_of, tell_made

MOST_ATTEMPTS = 5


# ── Asked for ──


def ask_for_all(organization: Organization, month: Month) -> list[MonthlyReport]:
    """The organization's, and that of each team somebody administers, where teams are in its plan. Those that are there
    are not asked for again. Needs the organization's scope."""
    teams: Iterable[Team] = ()
    if includes(organization, Feature.TEAM_USAGE):
        led = TeamMembership.objects.filter(is_admin=True, membership__ended_at=None, membership__user__is_active=True)
        teams = Team.objects.filter(pk__in=led.values("team")).order_by("pk")
    return [ask(Whose(organization, team), month) for team in (None, *teams)]


def of_months(whose: Whose, months: Sequence[Month]) -> QuerySet[MonthlyReport]:
    """Every revision of their reports. Needs the organization's scope."""
    scope = ReportScope.TEAM if whose.team else ReportScope.ORGANIZATION
    rows: QuerySet[MonthlyReport] = MonthlyReport.objects.filter(
        scope=scope, ref=whose.team.pk if whose.team else 0, month__in=[month.first for month in months]
    )
    return rows


def ask(whose: Whose, month: Month, *, revision: int = 0, by: Actor | None = None) -> MonthlyReport:
    """Have it made; the row that is there when it was asked for before. Without `by` it is the calendar that asks.

    Asking again for one that could not be made has it tried again. Raises ApiError: 404 for a month that is not over or
    is before the record, and for a revision with none before it; 409 for one that would say the same as the one before.
    Needs the organization's scope.
    """
    report = of_months(whose, [month]).filter(revision=revision).first()
    is_new = report is None
    if report is None:
        _refuse_needless(whose, month, revision)
        report, is_new = MonthlyReport.objects.get_or_create(
            organization=whose.organization,
            scope=ReportScope.TEAM if whose.team else ReportScope.ORGANIZATION,
            ref=whose.team.pk if whose.team else 0,
            month=month.first,
            revision=revision,
            defaults={
                "label": whose.label,
                "timezone": month.zone.key,
                "asked_by_label": by.label[:254] if by else "",
            },
        )
    is_again = not is_new and _unmade(report.pk).filter(attempts__gte=MOST_ATTEMPTS).update(attempts=0) > 0
    if report.made_at is None:
        have_made(report)
    if by is not None and (is_new or is_again):
        audit.record(by, "report.make", report, {"revision": (None, report.revision)}, label=title_of(report))
    return report


def _refuse_needless(whose: Whose, month: Month, revision: int) -> None:
    began_at = first_event_at(whose.organization.pk)
    if began_at is None or began_at >= month.ends_at:
        raise ApiError(404, "not_found", f"Nothing was recorded yet in {month.name}.")
    if month.ends_at > now():
        raise ApiError(404, "not_found", f"{month.name} is not over yet.")
    if not revision:
        return
    last = of_months(whose, [month]).filter(revision=revision - 1, made_at__isnull=False).defer("content").first()
    if last is None:
        raise ApiError(404, "not_found", f"The report of {month.name} has no revision before that one.")
    if not moved_since(last, month, whose.run(month.span, month).totals):
        raise ApiError(
            409,
            "conflict",
            f"{month.name} comes to what its report says: another revision would say the same. It can be made again"
            " once usage comes late or is corrected.",
        )


def have_made(report: MonthlyReport) -> None:
    """By a worker, once the row is committed."""
    from reports.monthly.tasks import make_monthly_report

    enqueue(make_monthly_report, report.organization_id, report.pk)


# ── Made ──


def make(organization_id: int, report_id: int) -> bool:
    """Make its file and tell of it, in one transaction; False where it is made, is being made, or was tried too often.

    Whoever is killed in between leaves the row as it was, with one attempt more.
    """
    if not _begin(organization_id, report_id):
        return False
    with organization_scope(organization_id):
        report = _unmade(report_id).select_related("organization").first()
        if report is None:
            return False
        whose = _whose(report)
        if whose is None:
            # The team was deleted before: there is nobody left to tell.
            report.delete()
            return False
        _fill(report, whose)
        tell_made(report, whose)
    return True


def _begin(organization_id: int, report_id: int) -> bool:
    """Count an attempt, before it can fail. Who finds it being made neither waits nor takes one of its attempts."""
    with organization_scope(organization_id):
        report = _unmade(report_id).filter(attempts__lt=MOST_ATTEMPTS).first()
        if report is None:
            return False
        report.attempts, report.attempted_at = report.attempts + 1, now()
        report.save(update_fields=["attempts", "attempted_at"])
        return True


def _unmade(report_id: int) -> QuerySet[MonthlyReport]:
    """The row, locked; nothing where another has it."""
    rows = MonthlyReport.objects.select_for_update(skip_locked=True, of=("self",))
    found: QuerySet[MonthlyReport] = rows.filter(pk=report_id, made_at=None)
    return found


def _whose(report: MonthlyReport) -> Whose | None:
    if report.scope == ReportScope.ORGANIZATION:
        return Whose(report.organization)
    team = Team.objects.filter(pk=report.ref).first()
    return None if team is None else Whose(report.organization, team)


def _fill(report: MonthlyReport, whose: Whose) -> None:
    found = read(whose, month_of(report))
    at = now()
    content = render(found, look_around(found), Stamp(at, report.revision, path_of(whose.organization, whose.team)))
    report.made_at, report.content = at, content
    report.digest, report.size_bytes = hashlib.sha256(content).hexdigest(), len(content)
    _note(report, found)
    report.save()


def _note(report: MonthlyReport, found: MonthFigures) -> None:
    totals = found.totals
    report.requests, report.total_tokens = totals.requests, totals.total_tokens
    report.known_cost_nanos, report.is_cost_known = totals.known_cost_nanos, totals.is_cost_known
    report.before_nanos = found.before.cost_nanos if found.before is not None else None


# ── Of a row ──


def file_name(report: MonthlyReport, slug: str) -> str:
    """northbound-labs-2026-10.pdf; a team's has its id, a revision its number."""
    parts = [slug, *([f"team-{report.ref}"] if report.ref else []), f"{report.month:%Y-%m}"]
    return "-".join([*parts, *([f"revision-{report.revision}"] if report.revision else [])]) + ".pdf"


def title_of(report: MonthlyReport) -> str:
    """For lists of what was done: Search, October 2026, revision 1."""
    return f"{report}, revision {report.revision}" if report.revision else str(report)


def moved_since(report: MonthlyReport, month: Month, totals: Figures) -> bool:
    """Whether the month comes to something else by now than its report says; one of another zone is another month."""
    said = (report.requests, report.total_tokens, report.known_cost_nanos)
    return report.timezone == month.zone.key and said != (
        totals.requests,
        totals.total_tokens,
        totals.known_cost_nanos,
    )


# ── Who may ──


def may_see(member: Membership, team_id: int) -> bool:
    """Whether a member reads the reports of a team, or of the organization (0). Needs the organization's scope."""
    return may(member.role, Right.SEE_USAGE) or team_id in administered_team_ids(member)


def may_make(member: Membership, team_id: int) -> bool:
    """Whether they may have one made. Needs the organization's scope."""
    return may(member.role, Right.MANAGE_REPORTS) or team_id in administered_team_ids(member)
