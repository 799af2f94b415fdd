from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Iterator

import pytest
from django.db import connection
from pypdf import PdfReader

from accounts.models import Organization
from billing import tasks
from billing.invoices.crediting import take_back
from billing.invoices.papers import paper_of, stated
from billing.invoices.payments import record_payment
from billing.models import Invoice, InvoicePaper
from core.tenancy import organization_scope

from .selling import BY, day
from .test_payments import invoice_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def invoice(acme: Organization) -> Iterator[Invoice]:
    with organization_scope(acme.pk):
        yield invoice_of(acme)


def pay(invoice: Invoice, amount: int, source: str = "transfer-1") -> None:
    record_payment(invoice, amount, received_on=dt.date(2026, 2, 10), method="bank transfer", source=source, by=BY)


def text_of(paper: InvoicePaper) -> str:
    pages = PdfReader(io.BytesIO(bytes(paper.content))).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_it_is_made_once_for_what_it_states(invoice: Invoice) -> None:
    first = paper_of(invoice)
    assert paper_of(invoice).pk == first.pk
    assert first.digest == hashlib.sha256(bytes(first.content)).hexdigest()
    assert invoice.number in text_of(first)
    assert "Paid on" not in text_of(first)
    pay(invoice, invoice.gross)
    second = paper_of(invoice)
    assert second.pk != first.pk
    assert "Paid on 10 February 2026 by bank transfer" in text_of(second)
    pay(invoice, -100, "refund-1")
    assert "Returned on 10 February 2026 by bank transfer" in text_of(paper_of(invoice))
    assert InvoicePaper.objects.count() == 3


def test_what_came_is_taken_off_what_is_due(invoice: Invoice) -> None:
    pay(invoice, 100)
    document = stated(invoice)
    assert (document.paid, document.due) == (100, invoice.gross - 100)


def test_a_credit_note_has_one_too(invoice: Invoice) -> None:
    note = take_back(invoice, reason="Wrong plan", by=BY, at=day(2, 20))
    words = text_of(paper_of(note))
    assert note.number in words
    assert invoice.number in words


def test_the_worker_makes_it_after_each_change(
    acme: Organization, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(tasks.make_paper, "apply_async", lambda args, countdown: asked.append(args))
    with django_capture_on_commit_callbacks(execute=True), organization_scope(acme.pk):  # type: ignore[operator]
        invoice = invoice_of(acme)
        pay(invoice, 100)
    assert asked == [(acme.pk, invoice.pk)] * 2
    tasks.make_paper(*asked[0])
    with organization_scope(acme.pk):
        assert InvoicePaper.objects.get().invoice == invoice


def test_nobody_changes_or_removes_one(invoice: Invoice) -> None:
    paper_of(invoice)
    with connection.cursor() as cursor:
        for statement in ("UPDATE billing_invoicepaper SET digest = 'x'", "DELETE FROM billing_invoicepaper"):
            cursor.execute(statement)
            assert cursor.rowcount == 0
