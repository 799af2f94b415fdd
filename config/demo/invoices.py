"""Who bills in the demo, whom, and the invoices of every period that is over: issued, paid, and one taken back."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.timezone import now as current_time

from accounts.models import Organization
from accounts.organizations import update_organization
from billing.contracts import Contract
from billing.credits import wallets
from billing.dunning import facts as dunning
from billing.invoices.closing import GRACE, close_period, open_periods
from billing.invoices.crediting import take_back
from billing.invoices.payments import record_payment
from billing.models import BillingProfile, EnteredTaxRate, Invoice, Seller, TaxStanding
from billing.periods import Period
from config.demo.neighbors import NEIGHBORS
from config.demo.organization import BY, NAME, SECOND_NAME
from core import emails
from core.money import NANOS_PER_USD
from core.periods import day_start, local_day
from core.tenancy import organization_scope, unscoped

SELLER = {
    "name": "Lumen Cloud GmbH",
    "street": "Hafenstraße 12",
    "postal_code": "20457",
    "city": "Hamburg",
    "country": "DE",
    "email": "billing@lumen.test",
    "tax_number": "DE136695976",
    "is_registered": True,
    # Longer than a period and its grace: the latest invoice is open until there is another.
    "payment_days": 30,
}
ENTERED_RATES: tuple[dict[str, Any], ...] = (
    {"country": "CH", "name": "MWST", "percent": Decimal("8.1"), "since": dt.date(2024, 1, 1)},
    {"country": "NO", "name": "MVA", "percent": Decimal(25), "since": dt.date(2024, 4, 1)},
)
NORTHBOUND = {
    "billing_name": "Northbound Labs GmbH",
    "billing_email": "fiona@northbound.test",
    "billing_address": "Torstraße 85",
    "billing_postal_code": "10119",
    "billing_city": "Berlin",
}
TAX_NUMBER, REFERENCE = "DE129273398", "PO-4471"
GOODWILL = "The month of setting up is on us."
# How many days after its issue an invoice was paid, one after the other.
PAID_AFTER = (9, 6, 12, 8, 27, 7, 11)


def create(organization: Organization) -> None:
    """Before anything is billed: the seller, and where the organization's invoices go."""
    Seller.objects.get_or_create(pk=1, defaults=SELLER)
    for rate in ENTERED_RATES:
        EnteredTaxRate.objects.get_or_create(**rate)
    with organization_scope(organization.pk):
        update_organization(organization, NORTHBOUND, by=BY)
        BillingProfile.objects.create(
            organization=organization,
            tax_number=TAX_NUMBER,
            tax_standing=TaxStanding.CONFIRMED,
            tax_checked_at=current_time(),
            tax_reference="the operator",
            reference=REFERENCE,
        )


def state() -> None:
    """The invoices of all organizations, in the order of their days, from the events that are there by now."""
    as_of = current_time()
    names = [NAME, SECOND_NAME, *(one.name for one in NEIGHBORS)]
    with unscoped("the demo bills every organization"):
        organizations = list(Organization.objects.filter(name__in=names))
    due = [one for organization in organizations for one in _due(organization, as_of)]
    first = True
    unpaid: tuple[Invoice, dt.datetime] | None = None
    for number, (at, _, organization, period) in enumerate(sorted(due, key=lambda one: one[:2])):
        invoice = close_period(organization, period, by=BY, at=at, as_of=as_of).invoice
        if invoice is None:
            continue
        if first:
            take_back(invoice, reason=GOODWILL, by=BY, at=at + dt.timedelta(days=5))
            first = False
        else:
            _pay(invoice, invoice.issued_on + dt.timedelta(days=PAID_AFTER[number % len(PAID_AFTER)]), as_of)
        if organization.name == SECOND_NAME:
            unpaid = (invoice, at)
    _thank(next(one for one in organizations if one.name == NAME), as_of)
    if unpaid is not None:
        _refuse(*unpaid, as_of)


def _refuse(invoice: Invoice, issued_at: dt.datetime, at: dt.datetime) -> None:
    """The latest of the second organization could not be paid two days ago, or as soon as it was issued."""
    dunning.refused(
        invoice,
        1,
        code="insufficient_funds",
        message="Your card has insufficient funds.",
        pay_url=emails.absolute(reverse("billing:invoice", args=[invoice.organization.slug, invoice.number])),
        at=max(issued_at, at - dt.timedelta(days=2)),
    )


def _thank(organization: Organization, at: dt.datetime) -> None:
    """What was given before is on an invoice by now; this is to be taken off the next one."""
    until = day_start(local_day(at, organization.zone) + dt.timedelta(days=61), organization.zone)
    wallets.grant(
        organization, 40 * NANOS_PER_USD, "demo:thanks", by=BY, at=at, expires_at=until, note="Thank you for the talk"
    )


def _due(organization: Organization, at: dt.datetime) -> list[tuple[dt.datetime, int, Organization, Period]]:
    """Periods to close, each with the moment of its closing."""
    with organization_scope(organization.pk):
        contract = Contract.load(organization)
        if contract is None:
            return []
        ends = [
            (period.instants(contract.zone)[1] + GRACE, period) for period in open_periods(contract, contract.today(at))
        ]
    return [(end, organization.pk, organization, period) for end, period in ends if end <= at]


def _pay(invoice: Invoice, on: dt.date, at: dt.datetime) -> None:
    """The latest of each organization is open still."""
    if invoice.issued_on > (at - dt.timedelta(days=34)).date():
        return
    payment: dict[str, Any] = {"received_on": on, "method": "bank transfer", "source": f"transfer {invoice.number}"}
    with organization_scope(invoice.organization_id):
        record_payment(invoice, invoice.gross, **payment, by=BY)
