"""The year of tests/billing/invoices/test_year.py, paid by card: one that is refused in July, and one that pays again.

Which day is tried, when calls stop and what is paid follows here from a calendar, and from the sums calculated there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import stripe

from accounts.models import Organization
from billing.invoices.payments import Standing, standing_of
from billing.models import DunningFact, Invoice, InvoicePayment, StripeInvoice
from billing.providers.stripe.fake.state import State
from billing.providers.stripe.schedule import collect_due
from core.tenancy import organization_scope
from metering.models import Limit
from metering.prove import prove_month
from tests.billing.invoices.test_year import (
    BERLIN,
    CLOSING_DAY,
    YEAR,
    Call,
    at,
    half_even,
    live_through,
    nets,
    usage,
    use_all,
)

from .conftest import DECLINES_LATER

pytestmark = pytest.mark.django_db
CARDS = {dt.date(YEAR, 1, 10): "4242 4242 4242 4242", dt.date(YEAR, 7, 3): DECLINES_LATER}
RECOVERY = dt.date(YEAR, 7, 22)
REFUSED_ON = [dt.date(YEAR, 7, day) for day in (5, 6, 8, 10, 12)]
SUSPENDED = [dt.date(YEAR, 7, day) for day in (19, 20, 21)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[dt.datetime]:
    """The one moment it is, for Stripe and for whoever asks which payments can have come."""
    moment = [at(1, 1)]
    monkeypatch.setattr(State, "now", lambda self, clock=None: int(moment[0].timestamp()))
    monkeypatch.setattr("billing.invoices.payments.now", lambda: moment[0])
    return moment


@pytest.fixture
def lived(
    acme: Organization, clock: list[dt.datetime], connected: str, enter_card: Callable[..., str]
) -> Iterator[tuple[list[Call], list[dt.date]]]:
    """Calls of the year, and the days on whose evening calls were suspended."""
    calls, suspended = usage(), []
    use_all(acme, calls)
    with organization_scope(acme.pk):
        for noon in live_through(acme):
            clock[0] = noon
            today = noon.date()
            if number := CARDS.get(today):
                enter_card(number)
            if today == RECOVERY:
                enter_card()
            collect_due(acme, noon, with_new_card=today == RECOVERY)
            if Limit.objects.filter(source="payment", amount=0, is_hard=True).exists():
                suspended.append(today)
        yield calls, suspended


def test_every_invoice_is_paid_once_on_the_day_it_should_be(
    acme: Organization, lived: tuple[list[Call], list[dt.date]], api: stripe.StripeClient
) -> None:
    calls, suspended = lived
    due = {month: net + half_even(Fraction(net * 19, 100)) for month, net in nets(calls).items()}
    assert due.pop(5) == 0, "a gift of May's pays it: there is nothing to charge"
    paid = {
        payment.invoice.period_start.month: (payment.amount, payment.received_on, payment.method)
        for payment in InvoicePayment.objects.select_related("invoice")
    }
    assert paid == {
        month: (
            gross,
            RECOVERY if month == 6 else dt.date(YEAR, month + 1, CLOSING_DAY),
            "Visa card ending 4242",
        )
        for month, gross in due.items()
    }
    assert InvoicePayment.objects.count() == len(due) == Invoice.objects.count() - 1
    assert {standing_of(one, dt.date(YEAR, 12, 31)) for one in Invoice.objects.all()} == {Standing.PAID}

    facts = [(fact.kind, fact.occurred_at.astimezone(BERLIN).date()) for fact in DunningFact.objects.order_by("pk")]
    assert facts == [*(("refused", day) for day in REFUSED_ON), ("suspended", SUSPENDED[0]), ("recovered", RECOVERY)]
    assert suspended == SUSPENDED

    at_stripe = {str(one.number): (one.total, one.status) for one in api.v1.invoices.list({"limit": 100}).data}
    ours = {invoice.number: (due[invoice.period_start.month], "paid") for invoice in Invoice.objects.exclude(gross=0)}
    assert {number: at_stripe[number] for number in ours} == ours
    charges = api.v1.charges.list({"limit": 100}).data
    assert sum(charge.amount for charge in charges if charge.paid) == sum(due.values())
    assert sum(not charge.paid for charge in charges) == len(REFUSED_ON)
    assert StripeInvoice.objects.count() == len(due)

    for month in range(1, 13):
        proof = prove_month(acme.pk, dt.date(YEAR, month, 1))
        assert proof is not None
        assert {check.name: check.difference_count for check in proof.checks if check.difference_count} == {}, month
