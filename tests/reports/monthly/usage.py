"""A month with the one before it, for reports: who used what is known to the token."""

from __future__ import annotations

import datetime as dt
import io
from zoneinfo import ZoneInfo

import pypdf

from accounts.models import Organization, Project, Team, User
from core.tenancy import organization_scope
from metering.events import Usage, UsageEvent
from reports.models import MonthlyReport
from reports.monthly import records
from reports.monthly.figures import Whose
from reports.monthly.month import Month
from tests.metering.query.usage import make_event, write

BERLIN = ZoneInfo("Europe/Berlin")
MAY = Month(dt.date(2026, 5, 1), BERLIN)


def at(day: str, hour: int = 12) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T{hour:02}:00:00").replace(tzinfo=dt.UTC)


def cost(prompt: int, completion: int = 0) -> int:
    """What tests.metering.query.usage.SimplePrices asks for."""
    return prompt * 2_501 + completion * 10_007


def events(bob: User) -> list[UsageEvent]:
    """May: bob's team 9 calls through the website, nobody's 2 and an unpriced one. April: two, and one of before."""
    made = [
        make_event(f"w{n}", at(f"2026-05-{n + 1:02}"), usage=Usage(input=1000 * n, output=10), project="website")
        for n in range(1, 10)
    ]
    return [
        *made,
        make_event("c1", at("2026-05-20"), "claude", Usage(input=50_000, output=900), user=bob.email),
        make_event("n1", at("2026-05-21"), "gpt-4o-mini", Usage(input=7_000)),
        make_event("n2", at("2026-05-22"), "odd-model", Usage(input=123)),
        make_event("a1", at("2026-04-10"), usage=Usage(input=30_000, output=100), project="website"),
        make_event("a2", at("2026-04-11"), "o1", Usage(input=9_000), user=bob.email),
        make_event("a3", at("2026-03-11"), "o1", Usage(input=10)),
    ]


MAY_NANOS = cost(45_000, 90) + cost(50_000, 900) + cost(7_000)
APRIL_NANOS = cost(30_000, 100) + cost(9_000)


def write_may(acme: Organization, bob: User, website: Project) -> None:
    assert website.team is not None
    write(acme.pk, events(bob))


def asked(acme: Organization, team: Team | None = None, *, revision: int = 0, month: Month = MAY) -> MonthlyReport:
    with organization_scope(acme.pk):
        return records.ask(Whose(acme, team), month, revision=revision)


def made(acme: Organization, team: Team | None = None, *, revision: int = 0) -> MonthlyReport:
    report = asked(acme, team, revision=revision)
    assert records.make(acme.pk, report.pk)
    with organization_scope(acme.pk):
        return MonthlyReport.objects.get(pk=report.pk)


def text_of(report: MonthlyReport) -> list[str]:
    """Each page's words, spaces made one."""
    reader = pypdf.PdfReader(io.BytesIO(bytes(report.content)))
    return [" ".join(page.extract_text().split()) for page in reader.pages]
