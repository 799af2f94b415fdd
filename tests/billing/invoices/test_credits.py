"""Promotional credits on invoices: taken off before tax, once, never more than there is to charge or to give."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection, connections
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AuditEntry, Organization
from billing.credits import ledger, wallets
from billing.documents.einvoice import electronic
from billing.invoices.charges import Charge, discounted
from billing.invoices.closing import close_due_periods, document_of
from billing.invoices.crediting import take_back
from billing.invoices.drafting import drafts
from billing.invoices.payments import Standing, standing_of
from billing.invoices.proof import differences_of
from billing.models import CreditEntry, CreditKind, Invoice, InvoiceLine, LineKind, Seller
from billing.subscriptions import change_plan
from core.money import minor_units_from_nanos
from core.tenancy import organization_scope
from tests.billing.documents.judge import broken_rules

from .selling import BY, call, day, sell, use

pytestmark = pytest.mark.django_db
YEAR = 2031
USD = 10**9
CENT = 10**7


def on(month: int, number: int, hour: int = 12) -> dt.datetime:
    return day(month, number, hour, YEAR)


@pytest.fixture
def acme_pays(acme: Organization) -> Iterator[Organization]:
    """On the Developer plan, $29.00 a month, from 1 January."""
    sell(acme, since=on(1, 1))
    with organization_scope(acme.pk):
        yield acme


def give(
    organization: Organization, nanos: int, source: str = "gift", *, at: dt.datetime | None = None, **more
) -> None:
    wallets.grant(organization, nanos, source, by=BY, at=at or on(1, 10), **more)


def closed(organization: Organization, at: dt.datetime) -> Invoice:
    (period,) = close_due_periods(organization, by=BY, at=at)
    assert period.invoice is not None
    return period.invoice


def off(invoice: Invoice) -> list[tuple[int, int]]:
    """Each line of credits: exact worth, cents."""
    lines = InvoiceLine.objects.filter(invoice=invoice, kind=LineKind.CREDITS)
    return list(lines.values_list("nanos", "amount"))


def spent() -> list[tuple[str, int]]:
    entries = CreditEntry.objects.filter(kind=CreditKind.INVOICE).order_by("number")
    return list(entries.values_list("source", "amount_nanos"))


def test_they_are_a_discount_before_tax(acme_pays: Organization) -> None:
    give(acme_pays, 10 * USD, note="Welcome")
    invoice = closed(acme_pays, on(2, 4))
    assert off(invoice) == [(-10 * USD, -1_000)]
    assert (invoice.net, invoice.tax, invoice.gross) == (1_900, 361, 2_261), "19 % of what is left"
    assert spent() == [(f"invoice:{invoice.number}", -10 * USD)]
    assert ledger.balance_nanos() == 0
    document = document_of(invoice)
    assert (document.lines[-1].section, document.lines[-1].description) == ("Credits", "Promotional credits")
    assert broken_rules(electronic(document)) == []
    assert differences_of(invoice, acme_pays.zone) == []
    assert AuditEntry.objects.filter(action="credits.invoice", target_label=f"invoice:{invoice.number}").count() == 1


def test_never_more_than_is_charged_and_the_rest_waits(acme_pays: Organization) -> None:
    give(acme_pays, 50 * USD)
    january = closed(acme_pays, on(2, 4))
    assert (january.net, january.tax, january.gross) == (0, 0, 0)
    assert standing_of(january, on(2, 5).date()) is Standing.PAID
    assert broken_rules(electronic(document_of(january))) == []
    february = closed(acme_pays, on(3, 4))
    assert [off(january), off(february)] == [[(-29 * USD, -2_900)], [(-21 * USD, -2_100)]]
    assert ledger.balance_nanos() == 0


def test_a_part_of_a_cent_stays(acme_pays: Organization) -> None:
    give(acme_pays, 10 * USD + CENT - 1)
    invoice = closed(acme_pays, on(2, 4))
    assert off(invoice) == [(-10 * USD, -1_000)]
    assert ledger.balance_nanos() == CENT - 1


def test_what_was_bought_is_no_discount(acme_pays: Organization) -> None:
    wallets.purchase(acme_pays, 100 * USD, "pay_1", by=BY, at=on(1, 10))
    invoice = closed(acme_pays, on(2, 4))
    assert (off(invoice), invoice.net, ledger.balance_nanos()) == ([], 2_900, 100 * USD)


def test_those_that_expire_first_are_taken_first_and_expired_ones_never(acme_pays: Organization) -> None:
    give(acme_pays, 5 * USD, "gone", expires_at=on(2, 1))
    give(acme_pays, 20 * USD, "later")
    give(acme_pays, 15 * USD, "soon", expires_at=on(4, 1))
    invoice = closed(acme_pays, on(2, 4))
    assert off(invoice) == [(-29 * USD, -2_900)]
    assert [lot.left_nanos for lot in ledger.lots()] == [6 * USD]
    assert CreditEntry.objects.get(kind=CreditKind.EXPIRY).amount_nanos == -5 * USD


def test_the_draft_shows_them_and_takes_nothing(acme_pays: Organization) -> None:
    give(acme_pays, 40 * USD)
    january, february = drafts(acme_pays, on(2, 2))
    assert [line.amount for line in january.document.lines if line.section == "Credits"] == [-2_900]
    assert [line.amount for line in february.document.lines if line.section == "Credits"] == [-1_100]
    assert (february.document.net, ledger.balance_nanos()) == (1_800, 40 * USD)
    assert spent() == []


def test_usage_that_is_paid_with_credits_comes_first(acme_pays: Organization) -> None:
    """Developer until February is over, calls paid with credits since."""
    give(acme_pays, 10 * USD)
    change_plan(acme_pays, "prepaid", by=BY, at=on(1, 20))
    use(acme_pays, [call("a", on(2, 2), 2_000_000)])
    (january, _) = drafts(acme_pays, on(2, 2, 20))
    expected = 10 * USD - 5_000_000_002
    assert [line.amount for line in january.document.lines if line.section == "Credits"] == [-(expected // CENT)]
    assert off(closed(acme_pays, on(2, 4))) == [(-(expected // CENT) * CENT, -(expected // CENT))]
    assert ledger.balance_nanos() == expected % CENT


def test_a_credit_note_gives_them_back(acme_pays: Organization) -> None:
    give(acme_pays, 10 * USD, "short", expires_at=on(2, 20))
    give(acme_pays, 4 * USD, "long")
    invoice = closed(acme_pays, on(2, 4))
    assert ledger.balance_nanos() == 0
    note = take_back(invoice, reason="Agreed", by=BY, at=on(3, 1))
    assert (note.net, note.gross) == (invoice.net, invoice.gross)
    assert spent()[-1] == (f"invoice:{note.number}", 14 * USD)
    assert [lot.left_nanos for lot in ledger.lots()] == [4 * USD], "what had expired meanwhile expires again"
    assert broken_rules(electronic(document_of(note))) == []
    assert differences_of(invoice, acme_pays.zone) == []
    assert off(closed(acme_pays, on(3, 4))) == [(-4 * USD, -400)]


def test_a_draw_that_is_missing_is_found(acme_pays: Organization) -> None:
    """By the proof, with the ledger's own rules out of the way."""
    give(acme_pays, 10 * USD)
    invoice = closed(acme_pays, on(2, 4))
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("UPDATE billing_creditentry SET source = 'other' WHERE kind = 'invoice'")
        cursor.execute("SET ROLE tokenledger_app")
    (found,) = differences_of(invoice, acme_pays.zone)
    assert (found.field, found.expected, found.found) == ("credits in nano-dollars", "0", str(-10 * USD))


def test_prices_that_include_tax(acme_pays: Organization) -> None:
    Seller.objects.update(prices_include_tax=True)
    give(acme_pays, 10 * USD)
    invoice = closed(acme_pays, on(2, 4))
    assert invoice.gross == 1_900
    assert (invoice.net, invoice.tax) == (1_597, 303)
    assert off(invoice)[0][0] == -10 * USD
    assert broken_rules(electronic(document_of(invoice))) == []


@pytest.mark.django_db(transaction=True)
def test_closing_twice_at_once_draws_once(acme: Organization) -> None:
    sell(acme, since=on(1, 1))
    give(acme, 10 * USD)

    def close() -> None:
        try:
            close_due_periods(acme, by=BY, at=on(2, 4))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=close) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with organization_scope(acme.pk):
        assert Invoice.objects.count() == 1
        assert [amount for _, amount in spent()] == [-10 * USD]


@given(st.lists(st.integers(-(10**11), 10**12), max_size=6), st.integers(0, 10**13))
def test_it_is_whole_cents_of_what_there_is(worths: list[int], room: int) -> None:
    charges = [Charge(LineKind.FEE, "x", nanos) for nanos in worths]
    found = discounted(charges, room)
    taken = -sum(charge.nanos for charge in found if charge.kind == LineKind.CREDITS)
    lines = sum(minor_units_from_nanos(nanos) for nanos in worths)
    assert 0 <= taken <= room
    assert taken % CENT == 0
    assert Decimal(taken) / CENT <= max(0, lines)
    assert taken // CENT == max(0, min(lines, room // CENT)), "and all of it"
