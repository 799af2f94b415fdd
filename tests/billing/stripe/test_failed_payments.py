"""What pages say while a payment failed: what, why, when it is tried again, when calls stop, and how to pay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from pytest_django.fixtures import Settings

from accounts.models import Membership, Organization, User
from billing.dunning import facts
from billing.models import Invoice, StripeCustomer, StripeInvoice
from billing.providers.stripe.connection import is_connected
from billing.views.dunning import failed_payments
from core.tenancy import organization_scope
from tests.billing.invoices.selling import issue
from tests.billing.plans import subscribed

pytestmark = pytest.mark.django_db
PAY = "https://pay.stripe.test/i/1"
WHY = "Your card was declined."


@pytest.fixture
def owed(acme: Organization, settings: Settings) -> Iterator[Invoice]:
    """Issued, at Stripe, not paid."""
    settings.STRIPE_API_KEY = "sk_test_1"
    subscribed(acme, "developer", now() - dt.timedelta(days=70))
    invoice = issue(acme, "Developer plan")
    with organization_scope(acme.pk):
        StripeCustomer.objects.create(organization=acme, stripe_id="cus_1", method_id="pm_1", card_last4="4242")
        StripeInvoice.objects.create(organization=acme, invoice=invoice, stripe_id="in_1", pay_url=PAY)
        yield Invoice.objects.select_related("organization").get(pk=invoice.pk)


def refuse(invoice: Invoice, days_ago: int, attempt: int = 1) -> None:
    at = now() - dt.timedelta(days=days_ago)
    facts.refused(invoice, attempt, code="card_declined", message=WHY, pay_url=PAY, at=at)


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def day(days: int) -> str:
    return f"{now() + dt.timedelta(days=days):%-d %B}"


def test_every_page_says_it_to_who_sees_money(
    owed: Invoice, fiona_client: Client, alice_client: Client, bob_client: Client
) -> None:
    assert "could not be paid" not in text(fiona_client, "/o/acme/usage")
    refuse(owed, 2)
    for client in (fiona_client, alice_client):
        page = text(client, "/o/acme/usage")
        assert f'$34.51 for <a href="/o/acme/billing/invoices/{owed.number}/">' in page
        assert f"{WHY} It is tried again on {day(0)}. Calls stop on {day(12)} if it is not paid by then." in page
        assert f'href="{PAY}">Pay now' in page
        assert "Use another card" in page
    assert "could not be paid" not in text(bob_client, "/o/acme/usage")


def test_billing_and_invoices_say_it(owed: Invoice, fiona_client: Client) -> None:
    refuse(owed, 2)
    refuse(owed, 1, attempt=2)
    billing = text(fiona_client, "/o/acme/billing/")
    assert "Payments that failed" in billing
    assert f"until {now() + dt.timedelta(days=12):%-d %b %Y}" in billing
    assert "Payment failed" in text(fiona_client, "/o/acme/billing/invoices/")
    detail = text(fiona_client, f"/o/acme/billing/invoices/{owed.number}/")
    assert detail.count(f"Payment refused: {WHY}") == 2
    assert "Pay by card" in detail


def test_suspended_and_recovered(owed: Invoice, fiona_client: Client) -> None:
    refuse(owed, 15)
    facts.suspend(owed, pay_url=PAY, at=now())
    page = text(fiona_client, "/o/acme/overview")
    assert f"Calls are suspended: {owed.number} is not paid." in page
    assert "Calls stop on" not in page
    assert "Calls suspended" in text(fiona_client, f"/o/acme/billing/invoices/{owed.number}/")
    form = text(fiona_client, f"/o/acme/billing/invoices/{owed.number}/payment/")
    token = form.partition('name="token" value="')[2].partition('"')[0]
    paid = {"amount": "34.51", "received_on": f"{now():%Y-%m-%d}", "method": "bank transfer", "token": token}
    fiona_client.post(f"/o/acme/billing/invoices/{owed.number}/payment/", paid)
    facts.recover(owed, at=now())
    assert "Calls are suspended" not in text(fiona_client, "/o/acme/overview")


def test_without_stripe_there_is_the_transfer(owed: Invoice, fiona_client: Client, settings: Settings) -> None:
    refuse(owed, 2)
    StripeInvoice.objects.update(pay_url="")
    settings.STRIPE_API_KEY = ""
    assert not is_connected()
    page = text(fiona_client, "/o/acme/usage")
    assert "How to pay" in page
    assert "Use another card" not in page


def test_who_owes_nothing_is_asked_once(acme: Organization, fiona: User, bob: User) -> None:
    def counted(person: User) -> int:
        with organization_scope(acme.pk):
            membership = Membership.objects.select_related("organization").get(user=person)
        with CaptureQueriesContext(connection) as asked:
            assert failed_payments(membership) == []
        return sum("billing_" in one["sql"] for one in asked.captured_queries)

    assert (counted(fiona), counted(bob)) == (1, 0)
