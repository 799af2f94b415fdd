from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connections

from accounts.audit_log import changes_of
from accounts.models import AuditEntry, Organization
from billing.invoices.closing import close_due_periods
from billing.invoices.crediting import take_back
from billing.invoices.payments import Standing, record_payment, standing_of
from billing.models import Invoice, InvoicePayment
from core.errors import ApiError
from core.facts import Fact
from core.figures import money_exact
from core.tenancy import organization_scope

from .selling import BY, day, sell

pytestmark = pytest.mark.django_db
DUE_LONG_AGO = dt.date(2040, 1, 1)


def invoice_of(organization: Organization) -> Invoice:
    """Of January, issued on 4 February 2026."""
    sell(organization, since=day(1, 1))
    (closed,) = close_due_periods(organization, by=BY, at=day(2, 4))
    assert closed.invoice is not None
    return closed.invoice


@pytest.fixture
def invoice(acme: Organization) -> Iterator[Invoice]:
    with organization_scope(acme.pk):
        yield invoice_of(acme)


def pay(invoice: Invoice, amount: int, source: str = "transfer-1") -> InvoicePayment:
    return record_payment(
        invoice, amount, received_on=dt.date(2026, 2, 10), method="bank transfer", source=source, by=BY
    )


def standing(invoice: Invoice, today: dt.date = dt.date(2026, 2, 5)) -> Standing:
    return standing_of(Invoice.objects.get(pk=invoice.pk), today)


def test_it_is_paid_when_all_of_it_came(told_facts: list[Fact], invoice: Invoice) -> None:
    assert standing(invoice) is Standing.OPEN
    pay(invoice, 100)
    assert standing(invoice, DUE_LONG_AGO) is Standing.OVERDUE
    pay(invoice, invoice.gross - 100, "transfer-2")
    assert standing(invoice, DUE_LONG_AGO) is Standing.PAID
    pay(invoice, -50, "refund-1")
    assert standing(invoice) is Standing.OPEN
    assert [(fact.kind, fact.data["number"]) for fact in told_facts] == [
        ("invoice.finalized", invoice.number),
        ("invoice.paid", invoice.number),
    ]
    entries = AuditEntry.objects.filter(action__in=("invoice.finalize", "invoice.payment")).order_by("pk")
    said = [changes_of(entry) for entry in entries]
    gross = money_exact(Decimal(invoice.gross).scaleb(-2))
    assert said[0] == [("gross", None, gross)]
    assert [amount for ((_, _, amount),) in said[1:]] == [
        "$1.00", money_exact(Decimal(invoice.gross - 100).scaleb(-2)), "−$0.50",
    ]  # fmt: skip


def test_a_payment_counts_once(invoice: Invoice) -> None:
    assert pay(invoice, 100).pk == pay(invoice, 100).pk
    with pytest.raises(ApiError, match="another payment"):
        pay(invoice, 200)


@pytest.mark.parametrize(("amount", "status"), [(0, 422), (10**9, 422), (-1, 422)])
def test_amounts_that_cannot_be(invoice: Invoice, amount: int, status: int) -> None:
    with pytest.raises(ApiError) as refused:
        pay(invoice, amount)
    assert refused.value.status == status


def test_a_day_to_come_is_refused(invoice: Invoice) -> None:
    with pytest.raises(ApiError):
        record_payment(invoice, 1, received_on=dt.date(2100, 1, 1), method="cash", source="x", by=BY)


def test_taken_back(invoice: Invoice) -> None:
    note = take_back(invoice, reason="Wrong plan", by=BY, at=day(2, 20))
    assert note.number == "CN-2026-0001"
    assert (note.gross, note.corrects, note.document["corrects"]) == (invoice.gross, invoice, invoice.number)
    assert standing(invoice) is Standing.VOID
    assert standing(note) is Standing.ISSUED
    for act in (
        lambda: take_back(invoice, reason="", by=BY),
        lambda: take_back(note, reason="", by=BY),
        lambda: pay(invoice, 1),
    ):
        with pytest.raises(ApiError) as refused:
            act()
        assert refused.value.status == 409


@pytest.mark.django_db(transaction=True)
def test_two_payments_at_once_are_not_more_than_what_is_due(acme: Organization) -> None:
    with organization_scope(acme.pk):
        invoice = invoice_of(acme)
    outcomes: list[int] = []
    barrier = threading.Barrier(4)

    def pays(number: int) -> None:
        try:
            barrier.wait(20)
            pay(invoice, invoice.gross, f"transfer-{number}")
            outcomes.append(200)
        except ApiError as error:
            outcomes.append(error.status)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=pays, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [200, 409, 409, 409]


def test_the_command_closes_what_is_due(acme: Organization, capsys: pytest.CaptureFixture[str]) -> None:
    sell(acme, since=day(1, 1, year=2026))
    call_command("close_period", "acme")
    told = capsys.readouterr().out
    assert "acme 2026-01-01: INV-" in told
    call_command("close_period")
    assert capsys.readouterr().out == ""
