"""The running period as an invoice that nobody has stated yet: fees for its days, usage and late usage so far."""

from __future__ import annotations

import datetime as dt

import msgspec
from django.utils.timezone import now

from accounts.models import Organization
from billing.contracts import Contract
from billing.credits import discounts
from billing.documents.document import BilledDocument
from billing.invoices.carrying import carried, left, remainder
from billing.invoices.charges import Usage, charges_of, discounted, late_so_far, usage_so_far
from billing.invoices.closing import open_periods
from billing.invoices.lines import billed_document, parties_of
from billing.models import LineKind
from billing.periods import Period
from core.tenancy import organization_scope
from metering.query.billed import Manifest

DRAFT = "Draft"


class Draft(msgspec.Struct, frozen=True):
    """`is_over`: the period has ended and is about to be closed."""

    period: Period
    document: BilledDocument
    usage: Usage
    is_over: bool


def drafts(organization: Organization, at: dt.datetime | None = None) -> list[Draft]:
    """Periods that are not closed, oldest first; none for an organization without a plan.

    The lines and sums of the invoice if it were stated now, from roll-ups, so it is quick and up to the moment; without
    the hashes of events. Late usage is with the oldest, which is stated first. Promotional credits are taken off as
    they would be now, and stay where they are. Raises NoSellerError.
    """
    at = at or now()
    with organization_scope(organization.pk):
        contract = Contract.load(organization)
        if contract is None:
            return []
        today = contract.today(at)
        room, open_ = discounts.expected_nanos(contract, at), remainder()
        found: list[Draft] = []
        for period in open_periods(contract, today):
            usage = usage_so_far(contract, period, at)
            late = [] if found else late_so_far(contract, period.starts_on)
            charges = [
                msgspec.structs.replace(charge, manifest=None) for charge in charges_of(contract, period, usage, late)
            ]
            charges = discounted(carried(charges, open_), room)
            open_ = left(open_, charges, DRAFT)
            room += sum(charge.nanos for charge in charges if charge.kind == LineKind.CREDITS)
            parties = parties_of(organization, period.ends_on - dt.timedelta(days=1))
            document = billed_document(charges, parties, period, number=DRAFT, issued_on=today, over=Manifest())
            found.append(Draft(period, document, usage, is_over=period.ends_on <= today))
        return found
