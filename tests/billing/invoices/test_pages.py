"""The pages of invoices: what they say, who may record a payment, and that a form sent twice counts once."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization
from billing.invoices.closing import close_period
from billing.invoices.crediting import take_back
from billing.models import Invoice, InvoicePayment, Seller
from billing.periods import Period
from core.tenancy import organization_scope
from tests.queries import Counter

from .selling import BY, call, day, issue, sell, use

pytestmark = pytest.mark.django_db
ADDRESS = "/o/acme/billing/invoices/"


@pytest.fixture
def invoices(acme: Organization) -> list[Invoice]:
    """January with usage above the allowance, February taken back, March."""
    sell(acme, since=day(1, 1))
    use(acme, [call("a", day(1, 5), 4_000_000), call("b", day(1, 6), 3_000_000)])
    with organization_scope(acme.pk):
        months = [Period(dt.date(2026, month, 1), dt.date(2026, month + 1, 1)) for month in (1, 2, 3)]
        closed = [close_period(acme, month, by=BY, at=day(4, 4), as_of=now()) for month in months]
        found = [one.invoice for one in closed if one.invoice]
        take_back(found[1], reason="Goodwill", by=BY, at=day(4, 5))
    return found


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def form_of(client: Client, number: str, **change: str) -> dict[str, str]:
    page = text(client, f"{ADDRESS}{number}/payment/")
    token = re.search(r'name="token" value="([^"]+)"', page)
    amount = re.search(r'name="amount" value="([^"]+)"', page)
    assert token
    assert amount
    given = {"amount": amount[1], "received_on": "2026-04-09", "method": "bank transfer", "note": "", "token": token[1]}
    return given | change


def test_the_list_by_status_and_number(fiona_client: Client, invoices: list[Invoice], acme_api: Client) -> None:
    page = text(fiona_client, ADDRESS)
    for one in acme_api.get("/v1/invoices").json()["data"]:
        assert one["number"] in page
        assert f"${Decimal(one['total_usd']):,.2f}" in page
    assert "INV-2026-0001" not in text(fiona_client, f"{ADDRESS}?status=void")
    assert "INV-2026-0002" in text(fiona_client, f"{ADDRESS}?status=void")
    assert "No invoice is like that" in text(fiona_client, f"{ADDRESS}?q=9999")
    assert "so far" in page


def test_the_file(fiona_client: Client, invoices: list[Invoice]) -> None:
    rows = fiona_client.get(f"{ADDRESS}list.csv?status=issued").content.decode().split()
    assert rows[0].startswith("number,kind,status")
    assert rows[1].startswith("CN-2026-0001,credit_note,issued,2026-04-05")
    assert len(rows) == 2


def test_one_says_what_the_api_says(fiona_client: Client, invoices: list[Invoice], acme_api: Client) -> None:
    page, body = text(fiona_client, f"{ADDRESS}INV-2026-0001/"), acme_api.get("/v1/invoices/INV-2026-0001").json()
    for line in body["lines"]:
        assert line["description"] in page
        assert f"${Decimal(line['amount_usd']):,.2f}" in page
    assert body["manifest"]["digest"][:8] in page
    assert "Takes back" in text(fiona_client, f"{ADDRESS}CN-2026-0001/")
    assert "taken back by" in text(fiona_client, f"{ADDRESS}INV-2026-0002/")


def test_proved_from_its_events(fiona_client: Client, invoices: list[Invoice], acme: Organization) -> None:
    answer = fiona_client.post(f"{ADDRESS}INV-2026-0001/prove/", follow=True)
    assert "INV-2026-0001 is proved" in answer.content.decode()
    with connection.cursor() as cursor, organization_scope(acme.pk):
        cursor.execute("UPDATE metering_event SET cost_nanos = cost_nanos + 1 WHERE organization_id = %s", [acme.pk])
    answer = fiona_client.post(f"{ADDRESS}INV-2026-0001/prove/", follow=True)
    assert "differs from its events" in answer.content.decode()
    assert fiona_client.post(f"{ADDRESS}CN-2026-0001/prove/").status_code == 404


def test_a_payment_sent_twice_counts_once(fiona_client: Client, invoices: list[Invoice], acme: Organization) -> None:
    form = form_of(fiona_client, "INV-2026-0001", note="Statement 12")
    for _ in range(2):
        assert fiona_client.post(f"{ADDRESS}INV-2026-0001/payment/", form).status_code == 302
    with organization_scope(acme.pk):
        payment = InvoicePayment.objects.get()
        assert (payment.amount, payment.note) == (invoices[0].gross, "Statement 12")
    assert "Paid" in text(fiona_client, f"{ADDRESS}INV-2026-0001/")
    back = form_of(fiona_client, "INV-2026-0001", amount="-1.00")
    assert fiona_client.post(f"{ADDRESS}INV-2026-0001/payment/", back).status_code == 302
    assert "$1.00" in text(fiona_client, f"{ADDRESS}INV-2026-0001/payment/")


@pytest.mark.parametrize(
    "change",
    [{"amount": "99999"}, {"amount": "0"}, {"amount": "-1"}, {"amount": "NaN"}, {"received_on": "2100-01-01"},
     {"method": "goats"}, {"token": "x"}],
)  # fmt: skip
def test_payments_that_cannot_be(
    fiona_client: Client, invoices: list[Invoice], acme: Organization, change: dict[str, str]
) -> None:
    form = form_of(fiona_client, "INV-2026-0001", **change)
    assert fiona_client.post(f"{ADDRESS}INV-2026-0001/payment/", form).status_code == 422
    with organization_scope(acme.pk):
        assert not InvoicePayment.objects.exists()


def test_nothing_is_paid_for_what_is_void(fiona_client: Client, invoices: list[Invoice]) -> None:
    for number in ("INV-2026-0002", "CN-2026-0001"):
        assert fiona_client.get(f"{ADDRESS}{number}/payment/").status_code == 404


def test_the_pdf_and_who_took_it(fiona_client: Client, invoices: list[Invoice], acme: Organization) -> None:
    answer = fiona_client.get(f"{ADDRESS}INV-2026-0001/pdf")
    assert answer.content.startswith(b"%PDF-")
    with organization_scope(acme.pk):
        assert AuditEntry.objects.get(action="invoice.download").actor_label == "fiona@acme.test"


def test_the_running_period(fiona_client: Client, invoices: list[Invoice]) -> None:
    assert "Total so far" in text(fiona_client, f"{ADDRESS}so-far/")
    assert "April 2026 so far" in text(fiona_client, f"{ADDRESS}so-far/?period=2026-04-01")
    Seller.objects.all().delete()
    assert "Nobody bills yet" in text(fiona_client, f"{ADDRESS}so-far/")


def test_without_anything(fiona_client: Client) -> None:
    assert "There is no plan" in text(fiona_client, f"{ADDRESS}so-far/")
    assert "No invoice yet" in text(fiona_client, ADDRESS)


def test_the_address_on_the_paper(fiona_client: Client, charlie_client: Client, invoices: list[Invoice]) -> None:
    answer = fiona_client.get("/prove/INV-2026-0001")
    assert (answer.status_code, answer["Location"]) == (302, f"{ADDRESS}INV-2026-0001/#proof")
    assert charlie_client.get("/prove/INV-2026-0001").status_code == 404


def test_queries_do_not_grow_with_the_rows(fiona_client: Client, invoices: list[Invoice], acme: Organization) -> None:
    few, many = Counter(), Counter()
    fiona_client.get(ADDRESS)
    with connection.execute_wrapper(few):
        fiona_client.get(ADDRESS)
    for number in range(9):
        issue(acme, "Plan", f"INV-2026-900{number}")
    with connection.execute_wrapper(many):
        fiona_client.get(ADDRESS)
    assert many.number <= few.number
