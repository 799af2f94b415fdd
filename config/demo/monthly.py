"""The report of last month, asked for: a worker makes it, and has it sent, behind the start of the demo."""

from __future__ import annotations

from django.utils.timezone import now as current_time

from accounts.models import Organization
from billing.invoices.closing import GRACE
from core.tenancy import organization_scope
from reports.monthly import records
from reports.monthly.month import Month


def ask(organization: Organization) -> None:
    """Of the last month whose late usage was waited for."""
    month = Month.at(current_time() - GRACE, organization.zone).before
    with organization_scope(organization.pk):
        records.ask_for_all(organization, month)
