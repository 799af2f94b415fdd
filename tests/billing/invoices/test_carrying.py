"""No invoice is below 0: what a period owes the customer is carried over to the next, until it is used up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization
from billing.credits import ledger, wallets
from billing.documents.einvoice import electronic
from billing.invoices.carrying import Remainder, carried, left, remainder
from billing.invoices.charges import Charge
from billing.invoices.closing import close_due_periods, document_of
from billing.invoices.crediting import take_back
from billing.invoices.drafting import drafts
from billing.invoices.proof import differences_of
from billing.models import Invoice, InvoiceLine, LineKind, Seller
from billing.subscriptions import cancel, change_plan
from core.errors import ApiError
from core.money import minor_units_from_nanos
from core.tenancy import organization_scope
from tests.billing.documents.judge import broken_rules

from .selling import BY, call, sell, use
from .test_closing import on

pytestmark = pytest.mark.django_db
USD = 10**9


def corrected(organization: Organization, tokens: int) -> None:
    """January has 20 million tokens beyond the allowance, invoiced ($50.00); afterwards it has `tokens`."""
    use(organization, [call("full", on(1, 2), 5_000_000), call("a", on(1, 3), 20_000_000)])
    close_due_periods(organization, by=BY, at=on(2, 4))
    use(organization, [call("b", on(1, 3), tokens, supersedes="a")], received_at=on(2, 10))


@pytest.fixture
def acme_pays(acme: Organization) -> Iterator[Organization]:
    """On the Developer plan, $29.00 a month, from 1 January."""
    sell(acme, since=on(1, 1))
    with organization_scope(acme.pk):
        yield acme


def closed(organization: Organization, month: int) -> Invoice:
    """Of the month before."""
    (period,) = close_due_periods(organization, by=BY, at=on(month, 4))
    assert period.invoice is not None
    return period.invoice


def carries(invoice: Invoice) -> list[tuple[str, int]]:
    lines = InvoiceLine.objects.filter(invoice=invoice, kind=LineKind.CARRIED).order_by("position")
    return list(lines.values_list("description", "amount"))


def holds(invoice: Invoice, organization: Organization) -> None:
    assert invoice.gross >= 0
    assert broken_rules(electronic(document_of(invoice))) == []
    assert differences_of(invoice, organization.zone) == []


def test_it_is_carried_over_until_it_is_used_up(acme_pays: Organization) -> None:
    """$50.00 come back, of a fee of $29.00 a month."""
    corrected(acme_pays, 0)
    february, march = closed(acme_pays, 3), closed(acme_pays, 4)
    assert (february.net, february.tax, february.gross) == (0, 0, 0)
    assert carries(february) == [("Carried over to the next invoice", 2_100)]
    assert carries(march) == [(f"Carried over from {february.number}", -2_100)]
    assert (march.net, march.tax) == (800, 152), "19 % of what is left"
    assert remainder() == Remainder()
    assert carries(closed(acme_pays, 5)) == []
    for invoice in (february, march):
        holds(invoice, acme_pays)


def test_a_lone_correction_after_the_plan_was_left(acme_pays: Organization) -> None:
    """It waits while there is nothing to charge, and is taken off when there is again."""
    cancel(acme_pays, by=BY, at=on(1, 20))
    corrected(acme_pays, 18_000_000)
    february = closed(acme_pays, 3)
    assert (february.gross, carries(february)) == (0, [("Carried over to the next invoice", 500)])
    holds(february, acme_pays)
    (nothing,) = close_due_periods(acme_pays, by=BY, at=on(4, 4))
    assert (nothing.invoice, remainder()) == (None, Remainder(5 * USD, february.number))
    change_plan(acme_pays, "developer", by=BY, at=on(5, 1))
    _, may = close_due_periods(acme_pays, by=BY, at=on(6, 4))
    assert may.invoice is not None
    assert (carries(may.invoice), may.invoice.net) == ([(f"Carried over from {february.number}", -500)], 2_400)
    holds(may.invoice, acme_pays)


def test_the_page_of_invoices_says_it(fiona_client: Client, acme_pays: Organization) -> None:
    corrected(acme_pays, 0)
    february = closed(acme_pays, 3)
    page = fiona_client.get(f"/o/{acme_pays.slug}/billing/invoices/")
    assert f"$21.00 before tax is carried over from {february.number}" in page.content.decode()


def test_more_of_it_adds_up(acme_pays: Organization) -> None:
    cancel(acme_pays, by=BY, at=on(1, 20))
    corrected(acme_pays, 18_000_000)
    closed(acme_pays, 3)
    use(acme_pays, [call("c", on(1, 3), 16_000_000, supersedes="b")], received_at=on(3, 10))
    march = closed(acme_pays, 4)
    assert [amount for _, amount in carries(march)] == [-500, 1_000]
    assert remainder() == Remainder(10 * USD, march.number)
    holds(march, acme_pays)


def test_it_comes_before_promotional_credits(acme_pays: Organization) -> None:
    corrected(acme_pays, 0)
    closed(acme_pays, 3)
    wallets.grant(acme_pays, 20 * USD, "gift", by=BY, at=on(3, 1))
    march = closed(acme_pays, 4)
    assert march.gross == 0
    assert ledger.balance_nanos() == 12 * USD, "$8.00 were left to charge"
    holds(march, acme_pays)


def test_prices_that_include_tax(acme_pays: Organization) -> None:
    Seller.objects.update(prices_include_tax=True)
    corrected(acme_pays, 0)
    february, march = closed(acme_pays, 3), closed(acme_pays, 4)
    assert (february.net, february.tax, march.gross) == (0, 0, 800)
    for invoice in (february, march):
        holds(invoice, acme_pays)


def test_the_draft_takes_it_off(acme_pays: Organization) -> None:
    corrected(acme_pays, 0)
    closed(acme_pays, 3)
    march, april = drafts(acme_pays, on(4, 2))
    assert (march.document.net, april.document.net) == (800, 2_900)


def test_taking_back(acme_pays: Organization) -> None:
    """What an invoice took off is open again; one that carries over has nothing that could be taken back."""
    corrected(acme_pays, 0)
    february, march = closed(acme_pays, 3), closed(acme_pays, 4)
    with pytest.raises(ApiError, match="carries"):
        take_back(february, reason="", by=BY, at=on(4, 5))
    take_back(march, reason="", by=BY, at=on(4, 5))
    assert remainder() == Remainder(21 * USD, february.number)
    april = closed(acme_pays, 5)
    assert april.net == 800
    for invoice in (march, april):
        holds(invoice, acme_pays)


def test_what_was_carried_is_proved(acme_pays: Organization) -> None:
    corrected(acme_pays, 0)
    closed(acme_pays, 3)
    march = closed(acme_pays, 4)
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("UPDATE billing_invoiceline SET nanos = nanos + 1 WHERE kind = 'carried' AND nanos > 0")
        cursor.execute("SET ROLE tokenledger_app")
    (found,) = differences_of(march, acme_pays.zone)
    assert (found.field, found.expected) == ("carried over in nano-dollars", str(-21 * USD - 1))


@given(st.lists(st.lists(st.integers(-(10**12), 10**12), max_size=5), max_size=6))
def test_nothing_is_lost_and_nothing_is_below_0(periods: list[list[int]]) -> None:
    open_, charged, billed = Remainder(), 0, 0
    for number, worths in enumerate(periods):
        before = [Charge(LineKind.LATE, "x", nanos) for nanos in worths]
        charges = carried(before, open_)
        cents = sum(minor_units_from_nanos(charge.nanos) for charge in charges)
        assert cents >= 0
        open_ = left(open_, charges, f"INV-{number}")
        assert open_.nanos >= 0
        charged += sum(minor_units_from_nanos(nanos) for nanos in worths)
        billed += cents
    assert billed - open_.nanos // 10**7 == charged
