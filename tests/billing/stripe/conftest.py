"""The product connected to the fake Stripe: cards are real there, webhooks come when a test brings them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import httpx
import pytest
import stripe
from pytest_django.fixtures import Settings

from accounts.models import Organization
from billing.invoices.closing import close_due_periods
from billing.models import Invoice, StripeCustomer
from billing.providers.stripe import customers
from core.tenancy import organization_scope
from tests.billing.fake_stripe.conftest import api, ears, server  # noqa: F401
from tests.billing.invoices.selling import BY, day, sell

ISSUED = dt.datetime(2026, 2, 4, 12, tzinfo=dt.UTC)
CARD = {"number": "4242 4242 4242 4242", "expires": "12/34", "cvc": "123", "name": "Ada"}
DECLINES_LATER = "4000 0000 0000 0341"


@pytest.fixture
def connected(settings: Settings, server: str) -> str:  # noqa: F811
    settings.STRIPE_API_KEY = "sk_test_1"
    settings.STRIPE_API_BASE = server
    settings.STRIPE_WEBHOOK_SECRET = "whsec_test"
    return server


@pytest.fixture
def enter_card(acme: Organization) -> Callable[[str], str]:
    """Type a card on Stripe's page; returns the id of the Checkout session."""

    def enter(number: str = CARD["number"], *, is_adopted: bool = True) -> str:
        page = customers.card_page(acme, back="https://app.test/back", done="https://app.test/done")
        answer = httpx.post(page, data={**CARD, "number": number})
        session = answer.headers["location"].rpartition("=")[2]
        if is_adopted:
            assert customers.adopt_card(session) == acme
        return str(session)

    return enter


@pytest.fixture
def invoice(acme: Organization) -> Iterator[Invoice]:
    """Of January, issued on 4 February 2026 with German tax."""
    sell(acme, since=day(1, 1))
    (closed,) = close_due_periods(acme, by=BY, at=ISSUED)
    assert closed.invoice is not None
    with organization_scope(acme.pk):
        yield Invoice.objects.select_related("organization").get(pk=closed.invoice.pk)


@pytest.fixture
def customer_at_stripe(acme: Organization, api: stripe.StripeClient) -> Callable[[], stripe.Customer]:  # noqa: F811
    def find() -> stripe.Customer:
        with organization_scope(acme.pk):
            return api.v1.customers.retrieve(StripeCustomer.objects.get().stripe_id)

    return find
