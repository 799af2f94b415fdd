"""The operator takes an invoice back: with a reason, and only the one whose number they typed."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization
from billing.dunning.facts import refused
from billing.models import Invoice
from core.tenancy import organization_scope
from tests.billing.invoices.selling import issue
from tests.billing.plans import subscribed

pytestmark = pytest.mark.django_db
NUMBER = "INV-2026-9001"
PAGE = f"/operator/invoices/{NUMBER}/"
CREDIT = f"{PAGE}credit/"
TOLD = {"reason": "Billed twice", "number": NUMBER}


@pytest.fixture
def invoice(acme: Organization) -> Invoice:
    subscribed(acme, "developer")
    return issue(acme, "Plan", NUMBER)


def notes(organization: Organization) -> list[Invoice]:
    with organization_scope(organization.pk):
        return list(Invoice.objects.filter(kind="credit_note"))


@pytest.mark.parametrize("person", ["alice", "fiona", "charlie"])
def test_nobody_else_learns_that_it_exists(
    person: str, invoice: Invoice, acme: Organization, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    for address in (PAGE, f"{PAGE}pdf", CREDIT):
        assert client.get(address).status_code == 404
    assert client.post(CREDIT, TOLD).status_code == 404
    assert notes(acme) == []


def test_a_refused_payment_is_said(olga_client: Client, invoice: Invoice) -> None:
    refused(invoice, 1, code="card_declined", message="Declined.", pay_url="", at=now())
    for address in (PAGE, "/operator/organizations/acme/"):
        assert "Payment failed" in olga_client.get(address).content.decode()


def test_from_the_organization_to_the_credit_note(olga_client: Client, invoice: Invoice, acme: Organization) -> None:
    assert PAGE in olga_client.get("/operator/organizations/acme/").content.decode()
    assert CREDIT in olga_client.get(PAGE).content.decode()
    assert "$34.51" in olga_client.get(CREDIT).content.decode()
    answer = olga_client.post(CREDIT, TOLD, follow=True)
    (note,) = notes(acme)
    assert answer.redirect_chain[-1][0] == f"/operator/invoices/{note.number}/"
    page = answer.content.decode()
    assert f"{note.number} takes {NUMBER} back." in page
    assert "Billed twice" in page
    assert f"/operator/invoices/{note.number}/pdf" in page
    assert note.created_by_label == "olga@operator.test"
    with organization_scope(acme.pk):
        entry = AuditEntry.objects.get(action="invoice.void")
    assert (entry.actor_label, entry.changes) == ("olga@operator.test", {"credit_note": [None, note.number]})
    taken = olga_client.get(PAGE).content.decode()
    assert note.number in taken
    assert CREDIT not in taken
    again = olga_client.post(CREDIT, TOLD, follow=True)
    assert "was taken back before" in again.content.decode()
    assert len(notes(acme)) == 1
    assert olga_client.get(f"/operator/invoices/{note.number}/credit/").status_code == 404


@pytest.mark.parametrize(
    ("values", "field"),
    [({"number": "INV-2026-9002"}, "number"), ({"number": ""}, "number"), ({"reason": ""}, "reason"),
     ({"reason": "x" * 201}, "reason")],
)  # fmt: skip
def test_what_does_not_take_it_back(
    olga_client: Client, invoice: Invoice, acme: Organization, values: dict[str, str], field: str
) -> None:
    answer = olga_client.post(CREDIT, TOLD | values)
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert notes(acme) == []


def test_one_that_there_is_not(olga_client: Client) -> None:
    assert olga_client.get(PAGE).status_code == 404
    assert olga_client.post(CREDIT, TOLD).status_code == 404


def test_the_paper_is_written_down_as_taken(olga_client: Client, invoice: Invoice, acme: Organization) -> None:
    answer = olga_client.get(f"{PAGE}pdf")
    assert answer["content-type"] == "application/pdf"
    with organization_scope(acme.pk):
        assert AuditEntry.objects.get(action="invoice.download").actor_label == "olga@operator.test"
