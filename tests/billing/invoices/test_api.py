from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import connection
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization, Scope
from billing.invoices.closing import close_period
from billing.invoices.crediting import take_back
from billing.invoices.payments import record_payment
from billing.models import Invoice, Seller
from billing.periods import Period
from core.tenancy import organization_scope
from tests.cast import Key, make_key
from tests.queries import Counter

from .selling import BY, call, day, sell, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(acme: Organization) -> Key:
    return make_key(acme, [Scope.BILLING_READ])


@pytest.fixture
def invoices(acme: Organization) -> list[Invoice]:
    """January with usage above the allowance, paid; February taken back; March overdue."""
    sell(acme, since=day(1, 1))
    use(acme, [call("a", day(1, 5), 4_000_000), call("b", day(1, 6), 3_000_000)])
    with organization_scope(acme.pk):
        months = [Period(dt.date(2026, month, 1), dt.date(2026, month + 1, 1)) for month in (1, 2, 3)]
        closed = [close_period(acme, month, by=BY, at=day(4, 4), as_of=now()) for month in months]
        found = [one.invoice for one in closed if one.invoice]
        pay(found[0], found[0].gross)
        take_back(found[1], reason="Goodwill", by=BY, at=day(4, 5))
    return found


def pay(invoice: Invoice, amount: int) -> None:
    record_payment(invoice, amount, received_on=dt.date(2026, 4, 9), method="bank transfer", source="t", by=BY)


def test_the_list_by_status(key: Key, invoices: list[Invoice]) -> None:
    listed = key.client.get("/v1/invoices").json()["data"]
    assert [(one["number"], one["status"]) for one in listed] == [
        ("CN-2026-0001", "issued"),
        ("INV-2026-0003", "overdue"),
        ("INV-2026-0002", "void"),
        ("INV-2026-0001", "paid"),
    ]
    for one in listed:
        found = key.client.get(f"/v1/invoices?status={one['status']}").json()["data"]
        assert [other["number"] for other in found] == [one["number"]]
    assert key.client.get("/v1/invoices?status=open").json()["data"] == []
    first = key.client.get("/v1/invoices?limit=3").json()
    rest = key.client.get(f"/v1/invoices?limit=3&cursor={first['next_cursor']}").json()
    assert [one["number"] for one in first["data"] + rest["data"]] == [one["number"] for one in listed]


def test_one_adds_up_and_names_its_events(key: Key, invoices: list[Invoice]) -> None:
    body = key.client.get("/v1/invoices/INV-2026-0001").json()
    assert sum(Decimal(line["amount_usd"]) for line in body["lines"]) == Decimal(body["net_usd"])
    assert sum(Decimal(tax["tax_usd"]) for tax in body["taxes"]) == Decimal(body["tax_usd"])
    assert [payment["amount_usd"] for payment in body["payments"]] == [body["total_usd"]] == [body["paid_usd"]]
    assert body["due_usd"] == "0.00"
    usage = [line for line in body["lines"] if line["manifest"]]
    assert {line["manifest"]["digest"] for line in usage} == {body["manifest"]["digest"]}
    assert body["period"] == {"starts_on": "2026-01-01", "ends_on": "2026-02-01"}
    note = key.client.get("/v1/invoices/CN-2026-0001").json()
    assert (note["corrects"], note["kind"]) == ("INV-2026-0002", "credit_note")
    assert key.client.get("/v1/invoices/INV-2026-0002").json()["credit_note"] == "CN-2026-0001"


def test_the_running_period(key: Key, invoices: list[Invoice], acme: Organization) -> None:
    body = key.client.get("/v1/invoices/draft").json()
    assert (body["number"], body["status"], body["due_on"]) == ("Draft", "draft", None)
    assert sum(Decimal(line["amount_usd"]) for line in body["lines"]) == Decimal(body["net_usd"])


def test_no_seller_and_no_plan(acme: Organization, key: Key) -> None:
    assert key.client.get("/v1/invoices/draft").status_code == 404
    sell(acme, since=day(1, 1))
    Seller.objects.all().delete()
    refused = key.client.get("/v1/invoices/draft")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_seller")


def test_the_pdf_and_who_took_it(key: Key, invoices: list[Invoice], acme: Organization) -> None:
    response = key.client.get("/v1/invoices/INV-2026-0001/pdf")
    assert (response.status_code, response["Content-Type"]) == (200, "application/pdf")
    assert response.content.startswith(b"%PDF-")
    assert response["Content-Disposition"] == 'attachment; filename="INV-2026-0001.pdf"'
    with organization_scope(acme.pk):
        entry = AuditEntry.objects.get(action="invoice.download")
        assert (entry.target_label, entry.actor_label) == ("INV-2026-0001", f"key {key.row.prefix}")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?status=nonsense", 422),
        ("?cursor=nonsense", 422),
        ("/INV-2026-9999", 404),
        ("/INV-2026-9999/pdf", 404),
        ("/a%00b", 404),
    ],
)
def test_refusals(key: Key, path: str, status: int) -> None:
    response = key.client.get(f"/v1/invoices{path}")
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"


def test_anothers_are_not_found(globex_key: Key, invoices: list[Invoice]) -> None:
    assert globex_key.client.get("/v1/invoices/INV-2026-0001").status_code == 404
    assert globex_key.client.get("/v1/invoices/INV-2026-0001/pdf").status_code == 404
    assert globex_key.client.get("/v1/invoices").json()["data"] == []


def test_queries_do_not_grow_with_the_rows(key: Key, invoices: list[Invoice]) -> None:
    few, many = Counter(), Counter()
    with connection.execute_wrapper(few):
        key.client.get("/v1/invoices?limit=1")
    with connection.execute_wrapper(many):
        key.client.get("/v1/invoices?limit=4")
    assert many.number <= few.number
