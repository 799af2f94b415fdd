"""What is told of a month's report: that it is there, or that it could not be made."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from django.urls import reverse

from accounts.models import Organization, Team
from core import facts
from core.facts import Fact
from core.money import usd_text
from reports.models import MonthlyReport
from reports.monthly.figures import Whose
from reports.monthly.month import Month

READY, FAILED = "report.ready", "report.failed"
# In the keys of facts, before the report's id.
FAMILY = "monthly"


def tell_made(report: MonthlyReport, whose: Whose) -> None:
    """In the transaction that makes it."""
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
    facts.tell(Fact(READY, report.organization_id, f"{FAMILY}:{report.pk}", data, str(report.scope), report.ref))


def tell_given_up(report: MonthlyReport, attempted_at: dt.datetime) -> None:
    """Who looks after reports hears of it; once of the same last attempt. Needs the organization's scope."""
    team = Team.objects.filter(pk=report.ref).first() if report.ref else None
    data = {
        "page": path_of(report.organization, team),
        "report": f"Report of {month_of(report).name}" + (f", {report.label}" if report.ref else ""),
        "due_at": facts.moment(report.asked_at),
        "reason": f"It was tried {report.attempts} times. It can be tried again from the list of reports.",
        "is_paused": False,
    }
    facts.tell(Fact(FAILED, report.organization_id, f"{FAMILY}:{report.pk}:{facts.moment(attempted_at)}", data))


def month_of(report: MonthlyReport) -> Month:
    return Month(report.month, ZoneInfo(report.timezone))


def path_of(organization: Organization, team: Team | None) -> str:
    """The page that lists them."""
    path = reverse("reports:monthly", args=[organization.slug])
    return f"{path}?team={team.slug}" if team else path
