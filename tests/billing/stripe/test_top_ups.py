"""Credits paid on Stripe's page or with the card: once, and what goes back of the money takes them along."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
import stripe
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization
from billing.credits import purchases
from billing.credits.ledger import balance_nanos
from billing.models import CreditEntry, TopUp, TopUpStatus
from billing.providers.stripe import top_ups
from billing.providers.stripe.schedule import collect_due
from core.tenancy import organization_scope, unscoped
from tests.billing.plans import BY

from .conftest import CARD, ISSUED
from .test_inbox import post, process_all, told

pytestmark = pytest.mark.django_db
EnterCard = Callable[..., str]
USD = 10**9
PAGE = "/o/acme/billing/credits/"


@pytest.fixture
def at_acme(acme: Organization, connected: str) -> Iterator[Organization]:
    with organization_scope(acme.pk):
        yield acme


def ordered(organization: Organization, *, charges_card: bool = False) -> TopUp:
    return purchases.order(organization, 50 * USD, by=BY, charges_card=charges_card, at=ISSUED)


def page_of(top_up: TopUp) -> str:
    return top_ups.checkout_page(top_up, back="https://app.test/back", done="https://app.test/done")


def hear(api: stripe.StripeClient, times: int = 1) -> None:
    for payload in told(api) * times:
        post(payload)
    process_all()


def entries() -> list[tuple[str, int]]:
    return list(CreditEntry.objects.order_by("number").values_list("kind", "amount_nanos"))


def test_paid_on_stripes_page(at_acme: Organization, api: stripe.StripeClient) -> None:
    top_up = ordered(at_acme)
    page = page_of(top_up)
    assert page_of(top_up) == page, "one page a purchase"
    session = httpx.post(page, data=CARD).headers["location"].rpartition("=")[2]
    for _ in range(2):
        with unscoped("test"):
            assert top_ups.follow_checkout(session, ISSUED) == top_up
    hear(api, 2)
    assert entries() == [("purchase", 50 * USD)]
    assert TopUp.objects.get().payment_id.startswith("pi_")


def test_a_page_nobody_paid_on_ends_the_purchase(at_acme: Organization, api: stripe.StripeClient) -> None:
    top_up = ordered(at_acme)
    session = page_of(top_up).rpartition("/")[2]
    collect_due(at_acme, ISSUED)
    assert TopUp.objects.get().status == TopUpStatus.DUE
    api.v1.checkout.sessions.expire(session)
    hear(api)
    assert TopUp.objects.get().status == TopUpStatus.WITHDRAWN


def test_a_card_is_not_charged_for_what_is_paid_on_the_page(
    at_acme: Organization, enter_card: EnterCard, api: stripe.StripeClient
) -> None:
    ordered(at_acme)
    enter_card()
    collect_due(at_acme, ISSUED, with_new_card=True)
    assert api.v1.charges.list().data == []


def test_paid_twice_one_goes_back(at_acme: Organization, api: stripe.StripeClient) -> None:
    """By hand, while the page was open."""
    top_up = ordered(at_acme)
    page = page_of(top_up)
    purchases.complete(top_up, by=BY, note="Transfer")
    httpx.post(page, data=CARD)
    hear(api, 2)
    assert entries() == [("purchase", 50 * USD)]
    assert [refund.amount for refund in api.v1.refunds.list().data] == [5_000]


def test_refunds_of_the_dashboard(at_acme: Organization, enter_card: EnterCard, api: stripe.StripeClient) -> None:
    enter_card()
    ordered(at_acme, charges_card=True)
    collect_due(at_acme, ISSUED)
    payment = TopUp.objects.get().payment_id
    api.v1.refunds.create({"payment_intent": payment, "amount": 1_200})
    hear(api, 2)
    assert entries() == [("purchase", 50 * USD), ("refund", -12 * USD)]
    api.v1.refunds.create({"payment_intent": payment})
    hear(api, 2)
    assert entries()[2:] == [("refund", -38 * USD)]
    assert balance_nanos() == 0


def test_a_lost_dispute(at_acme: Organization, enter_card: EnterCard, api: stripe.StripeClient) -> None:
    enter_card("4000 0000 0000 0259")
    ordered(at_acme, charges_card=True)
    collect_due(at_acme, ISSUED)
    hear(api)
    assert balance_nanos() == 50 * USD
    (dispute,) = api.v1.disputes.list().data
    api.v1.disputes.close(dispute.id)
    hear(api, 2)
    assert entries()[1:] == [("refund", -50 * USD)]


def test_what_stripe_does_not_take_ends_openly(
    acme: Organization, at_acme: Organization, enter_card: EnterCard, fiona_client: Client
) -> None:
    """Ordered before amounts were checked."""
    enter_card()
    top_up = TopUp.objects.create(organization=at_acme, amount_nanos=USD * 3 // 10, due_at=ISSUED)
    for _ in range(2):
        collect_due(at_acme, ISSUED)
    top_up.refresh_from_db()
    assert top_up.status == TopUpStatus.FAILED
    assert "at least $0.50" in top_up.refusal
    page = shown(fiona_client)
    assert "The payment was refused" in page
    assert "at least $0.50" in page
    ordered(at_acme, charges_card=True)
    collect_due(at_acme, ISSUED)
    assert entries() == [("purchase", 50 * USD)]


# ── Pages ──


def shown(client: Client, path: str = PAGE) -> str:
    return client.get(path).content.decode()


def test_with_the_card_on_file(
    acme: Organization,
    fiona_client: Client,
    connected: str,
    enter_card: EnterCard,
) -> None:
    enter_card()
    assert "Visa ending 4242 is charged" in shown(fiona_client, f"{PAGE}buy/")
    fiona_client.post(f"{PAGE}buy/", {"amount": "50"})
    with organization_scope(acme.pk):
        state = f"{PAGE}{TopUp.objects.get().pk}/state"
    assert b"The card is being charged" in fiona_client.get(state).content
    assert fiona_client.get(f"{PAGE}{state.split('/')[-2]}/paid/").status_code == 404, "Stripe tells what was paid"
    collect_due(acme, now())
    assert fiona_client.get(state).headers["HX-Refresh"] == "true"
    with organization_scope(acme.pk):
        assert balance_nanos() == 50 * USD


def test_on_stripes_page(
    acme: Organization,
    fiona_client: Client,
    charlie_client: Client,
    connected: str,
    api: stripe.StripeClient,
) -> None:
    page = fiona_client.post(f"{PAGE}buy/", {"amount": "50"})
    assert page.status_code == 303
    with organization_scope(acme.pk):
        again = fiona_client.post(f"{PAGE}{TopUp.objects.get().pk}/checkout")
    assert again.headers["location"] == page.headers["location"]
    assert "Pay at Stripe" in shown(fiona_client)
    session = httpx.post(page.headers["location"], data=CARD).headers["location"].rpartition("=")[2]
    assert charlie_client.get(f"/o/globex/billing/credits/return?session={session}").status_code == 404
    for _ in range(2):
        assert fiona_client.get(f"{PAGE}return?session={session}").status_code == 302
    with organization_scope(acme.pk):
        assert balance_nanos() == 50 * USD
    assert fiona_client.get(f"{PAGE}return?session=cs_other").status_code == 404
