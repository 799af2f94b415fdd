"""Reports of months as rows: asked for once, made once, made again as another revision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Membership, Organization, Team, TeamMembership
from accounts.permissions import Right, administered_team_ids, may
from billing.features import includes
from billing.models import Feature
from core import facts
from core.facts import Fact
from core.money import usd_text
from core.tenancy import organization_scope
from metering.query.metrics import Figures
from metering.tasks import enqueue
from reports.models import MonthlyReport, ReportScope
from reports.monthly.around import look_around
from reports.monthly.document import Stamp, render
from reports.monthly.figures import MonthFigures, Whose, read
from reports.monthly.month import Month

KIND = "report.ready"
# In the keys of facts, before the report's id.
FAMILY = "monthly"
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


def is_made(whose: Whose, month: Month, revision: int) -> bool:
    return of_months(whose, [month]).filter(revision=revision, made_at__isnull=False).exists()


def ask(whose: Whose, month: Month, *, revision: int = 0, by: str = "") -> MonthlyReport:
    """Have it made; the row that is there when it was asked for before. `by` is empty for the calendar.

    Asking again for one that could not be made has it tried again. Needs the organization's scope.
    """
    report: MonthlyReport
    report, is_new = MonthlyReport.objects.get_or_create(
        organization=whose.organization,
        scope=ReportScope.TEAM if whose.team else ReportScope.ORGANIZATION,
        ref=whose.team.pk if whose.team else 0,
        month=month.first,
        revision=revision,
        defaults={"label": whose.label, "timezone": month.zone.key, "asked_by_label": by[:254]},
    )
    if report.made_at is None:
        if not is_new and report.attempts:
            MonthlyReport.objects.filter(pk=report.pk, made_at=None).update(attempts=0)
        have_made(report)
    return report


def have_made(report: MonthlyReport) -> None:
    """By a worker, once the row is committed."""
    from reports.monthly.tasks import make_monthly_report

    enqueue(make_monthly_report, report.organization_id, report.pk)


# ── Made ──


def make(organization_id: int, report_id: int) -> bool:
    """Make its file and tell of it, in one transaction; False where it is made, is being made, or was tried too often.

    Whoever is killed in between leaves the row as it was, with one attempt more.
    """
    with organization_scope(organization_id):
        waiting = MonthlyReport.objects.filter(pk=report_id, made_at=None, attempts__lt=MOST_ATTEMPTS)
        if not waiting.update(attempts=F("attempts") + 1, attempted_at=now()):
            return False
    with organization_scope(organization_id):
        rows = MonthlyReport.objects.select_for_update(skip_locked=True, of=("self",)).select_related("organization")
        report = rows.filter(pk=report_id, made_at=None).first()
        if report is None:
            return False
        whose = _whose(report)
        if whose is None:
            # The team was deleted before: there is nobody left to tell.
            report.delete()
            return False
        _fill(report, whose)
        _tell(report, whose)
    return True


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


def _tell(report: MonthlyReport, whose: Whose) -> None:
    month = month_of(report)
    team = whose.team
    data = {
        "page": path_of(whose.organization, whose.team),
        "report": f"Report of {month.name}",
        "period_start": month.first.isoformat(),
        "period_end": month.last.isoformat(),
        "formats": ["pdf"],
        "about": {
            "scope": str(report.scope),
            "of": team.slug if team else None,
            "label": team.name if team else None,
        },
        "revision": report.revision,
        "cost_usd": usd_text(report.cost_nanos),
        "cost_usd_before": usd_text(report.before_nanos),
        "total_tokens": report.total_tokens,
        "requests": report.requests,
    }
    facts.tell(Fact(KIND, report.organization_id, f"{FAMILY}:{report.pk}", data, str(report.scope), report.ref))


# ── Of a row ──


def month_of(report: MonthlyReport) -> Month:
    return Month(report.month, ZoneInfo(report.timezone))


def path_of(organization: Organization, team: Team | None) -> str:
    """The page that lists them."""
    path = reverse("reports:monthly", args=[organization.slug])
    return f"{path}?team={team.slug}" if team else path


def file_name(report: MonthlyReport, slug: str) -> str:
    """northbound-labs-2026-10.pdf; a team's has its id, a revision its number."""
    parts = [slug, *([f"team-{report.ref}"] if report.ref else []), f"{report.month:%Y-%m}"]
    return "-".join([*parts, *([f"revision-{report.revision}"] if report.revision else [])]) + ".pdf"


def moved_since(report: MonthlyReport, totals: Figures) -> bool:
    """Whether the month comes to something else by now than the report says."""
    said = (report.requests, report.total_tokens, report.known_cost_nanos)
    return said != (totals.requests, totals.total_tokens, totals.known_cost_nanos)


# ── Who may ──


def may_see(member: Membership, team_id: int) -> bool:
    """Whether a member reads the reports of a team, or of the organization (0). Needs the organization's scope."""
    return may(member.role, Right.SEE_USAGE) or team_id in administered_team_ids(member)


def may_make(member: Membership, team_id: int) -> bool:
    """Whether they may have one made. Needs the organization's scope."""
    return may(member.role, Right.MANAGE_REPORTS) or team_id in administered_team_ids(member)
