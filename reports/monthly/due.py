"""When the report of a month is due: in the organization's zone, once late usage was waited for and it is closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import QuerySet

from accounts.models import Organization
from billing.contracts import Contract
from billing.invoices.closing import GRACE, open_periods
from core.periods import local_day
from core.tenancy import organization_scope, unscoped
from metering.models import Ledger
from metering.query.latest import first_event_at
from reports.models import MonthlyReport, ReportScope
from reports.monthly import records, telling
from reports.monthly.month import Month

# A period that cannot be closed (nobody bills yet) holds up nobody's report for longer.
LONGEST_WAIT = dt.timedelta(days=1)
# Of months that nothing ran in, no more are made up for.
MOST_MISSED = 12
# What was asked for is tried again when nothing was heard of it for so long.
LOST_AFTER = dt.timedelta(minutes=10)
# How long beat says again that one could not be made; who is told hears of it once.
TOLD_FOR = dt.timedelta(days=2)


def due_organizations(at: dt.datetime) -> list[int]:
    """Those with usage of which a month may be told and was not asked for."""
    with unscoped("beat looks for every organization's months that are over"):
        rows = list(Organization.objects.filter(pk__in=Ledger.objects.values("organization")).order_by("pk"))
        asked: dict[int, list[MonthlyReport]] = {}
        oldest = min((_last_months(row, at)[-1].first for row in rows), default=at.date())
        for report in _asked().filter(month__gte=oldest):
            asked.setdefault(report.organization_id, []).append(report)
    return [
        row.pk for row in rows if any(month.ends_at + GRACE <= at for month in _unasked(row, asked.get(row.pk, []), at))
    ]


def ask_when_due(organization_id: int, at: dt.datetime) -> list[MonthlyReport]:
    """Ask for the reports of the months that are due."""
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        return [report for month in due_months(organization, at) for report in records.ask_for_all(organization, month)]


def due_months(organization: Organization, at: dt.datetime) -> list[Month]:
    """Months of its zone that are not asked for, the latest first; none before the first usage. Needs its scope."""
    began_at = first_event_at(organization.pk)
    if began_at is None:
        return []
    return [
        month
        for month in _unasked(organization, list(_asked()), at)
        if began_at < month.ends_at and _is_ripe(organization, month, at)
    ]


def _asked() -> QuerySet[MonthlyReport]:
    rows: QuerySet[MonthlyReport] = MonthlyReport.objects.filter(scope=ReportScope.ORGANIZATION, revision=0).only(
        "organization_id", "month", "asked_by_label"
    )
    return rows


def _last_months(organization: Organization, at: dt.datetime) -> list[Month]:
    last = Month.at(at, organization.zone).before
    return [last.back(back) for back in range(MOST_MISSED)]


def _unasked(organization: Organization, asked: Sequence[MonthlyReport], at: dt.datetime) -> list[Month]:
    """The last month, and those that were missed: up to one that the calendar asked for, because nobody is sent the
    months of before there were reports."""
    months = _last_months(organization, at)
    known = {report.month for report in asked}
    by_calendar = {report.month for report in asked if not report.asked_by_label}
    since = next((number for number, month in enumerate(months) if month.first in by_calendar), 1)
    return [month for month in months[:since] if month.first not in known]


def _is_ripe(organization: Organization, month: Month, at: dt.datetime) -> bool:
    """Whether late usage was waited for, and for its billing periods to be closed."""
    waited = at - month.ends_at
    return waited >= GRACE + LONGEST_WAIT or (waited >= GRACE and _is_closed(organization, month))


def _is_closed(organization: Organization, month: Month) -> bool:
    """Whether every billing period that ended by the month's end is."""
    contract = Contract.load(organization)
    if contract is None:
        return True
    today = local_day(month.ends_at, contract.zone)
    return all(period.ends_on > month.end for period in open_periods(contract, today))


def waiting() -> QuerySet[MonthlyReport]:
    """What was asked for and is not made yet, and was not tried too often. Needs `unscoped`."""
    rows: QuerySet[MonthlyReport] = MonthlyReport.objects.filter(
        made_at=None, attempts__lt=records.MOST_ATTEMPTS
    ).order_by("asked_at", "pk")
    return rows


def lost(at: dt.datetime) -> QuerySet[MonthlyReport]:
    """Of these the ones nobody is making: their task was lost, or their worker. Needs `unscoped`."""
    return waiting().filter(asked_at__lt=at - LOST_AFTER).exclude(attempted_at__gte=at - LOST_AFTER)


def given_up(at: dt.datetime) -> QuerySet[MonthlyReport]:
    """What could not be made, by now not in the last attempt either. Needs `unscoped`."""
    rows: QuerySet[MonthlyReport] = MonthlyReport.objects.filter(
        made_at=None,
        attempts__gte=records.MOST_ATTEMPTS,
        attempted_at__lt=at - LOST_AFTER,
        attempted_at__gte=at - LOST_AFTER - TOLD_FOR,
    )
    return rows


def tell_given_up(at: dt.datetime) -> None:
    """Who looks after an organization's reports hears of each that could not be made."""
    with unscoped("beat looks for every organization's reports that could not be made"):
        found = list(given_up(at).values_list("organization_id", "pk"))
    for organization_id, report_id in found:
        with organization_scope(organization_id):
            report = given_up(at).select_related("organization").filter(pk=report_id).first()
            if report is not None and report.attempted_at is not None:
                telling.tell_given_up(report, report.attempted_at)
