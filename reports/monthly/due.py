"""When the report of a month is due: in the organization's zone, once late usage was waited for and it is closed."""

from __future__ import annotations

import datetime as dt

from django.db.models import QuerySet

from accounts.models import Organization
from billing.contracts import Contract
from billing.invoices.closing import GRACE, open_periods
from core.periods import local_day
from core.tenancy import organization_scope, unscoped
from metering.models import Ledger
from metering.query.latest import first_event_at
from reports.models import MonthlyReport, ReportScope
from reports.monthly import records
from reports.monthly.month import Month

# A period that cannot be closed (nobody bills yet) holds up nobody's report for longer.
LONGEST_WAIT = dt.timedelta(days=1)
# What was asked for is tried again when nothing was heard of it for so long.
LOST_AFTER = dt.timedelta(minutes=10)


def due_organizations(at: dt.datetime) -> list[int]:
    """Those with usage whose last month may be told and was not asked for."""
    with unscoped("beat looks for every organization's month that is over"):
        rows = list(Organization.objects.filter(pk__in=Ledger.objects.values("organization")).order_by("pk"))
        months = {row.pk: Month.at(at, row.zone).before for row in rows}
        asked = set(
            MonthlyReport.objects.filter(
                scope=ReportScope.ORGANIZATION, revision=0, month__in={month.first for month in months.values()}
            ).values_list("organization_id", "month")
        )
    return [pk for pk, month in months.items() if month.ends_at + GRACE <= at and (pk, month.first) not in asked]


def ask_when_due(organization_id: int, at: dt.datetime) -> list[MonthlyReport]:
    """Ask for the reports of the last month, where it is due."""
    with organization_scope(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        month = due_month(organization, at)
        return [] if month is None else records.ask_for_all(organization, month)


def due_month(organization: Organization, at: dt.datetime) -> Month | None:
    """The last calendar month of its zone; None while it is waited for, and before the first usage. Needs its scope."""
    month = Month.at(at, organization.zone).before
    waited = at - month.ends_at
    if waited < GRACE or (waited < GRACE + LONGEST_WAIT and not _is_closed(organization, month)):
        return None
    began_at = first_event_at(organization.pk)
    return month if began_at is not None and began_at < month.ends_at else None


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
