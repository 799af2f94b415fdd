"""What a customer does on the hosted pages, as a browser would send it."""

from __future__ import annotations

import httpx
import pytest
import stripe

from .ears import Ears

CARD = {"number": "4242 4242 4242 4242", "expires": "12/34", "cvc": "123", "name": "Ada"}


def saving(api: stripe.StripeClient, customer: str) -> stripe.checkout.Session:
    return api.v1.checkout.sessions.create(
        {
            "mode": "setup",
            "customer": customer,
            "currency": "usd",
            "success_url": "https://app.test/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://app.test/back",
        }
    )


@pytest.fixture
def customer(api: stripe.StripeClient) -> str:
    return api.v1.customers.create({"name": "Northbound"}).id


def test_a_card_is_saved(api: stripe.StripeClient, customer: str, ears: Ears) -> None:
    session = saving(api, customer)
    assert session.url is not None
    shown = httpx.get(session.url)
    assert "Save a card" in shown.text
    assert "https://app.test/back" in shown.text
    done = httpx.post(session.url, data=CARD)
    assert done.headers["location"] == f"https://app.test/done?session={session.id}"
    heard = ears.wait_for("checkout.session.completed").data.object
    setup = api.v1.setup_intents.retrieve(heard["setup_intent"])
    kept = api.v1.payment_methods.list({"customer": customer}).data
    assert [method.id for method in kept] == [setup.payment_method]
    assert httpx.post(session.url, data=CARD).status_code == 410


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"number": "4000000000000002"}, "Your card was declined."),
        ({"number": "4242424242424241"}, "Your card number is incorrect."),
        ({"number": "4111111111111111"}, "non test card"),
        ({"expires": "12/20"}, "in the past"),
        ({"expires": "13/34"}, "expiration month"),
        ({"cvc": "1"}, "security code"),
    ],
)
def test_what_is_wrong_with_a_card_is_said_there(
    api: stripe.StripeClient, customer: str, change: dict[str, str], words: str
) -> None:
    session = saving(api, customer)
    assert session.url is not None
    answer = httpx.post(session.url, data=CARD | change)
    assert answer.status_code == 402
    assert words in answer.text.replace("&#x27;", "'")
    assert api.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert httpx.post(session.url, data=CARD).status_code == 303


def paying(api: stripe.StripeClient, customer: str) -> stripe.checkout.Session:
    return api.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": customer,
            "success_url": "https://app.test/paid",
            "line_items": [
                {
                    "quantity": 2,
                    "price_data": {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "Credits"}},
                }
            ],
            "payment_intent_data": {"metadata": {"purchase": "7"}, "setup_future_usage": "off_session"},
        }
    )


def test_a_payment(api: stripe.StripeClient, customer: str, ears: Ears) -> None:
    session = paying(api, customer)
    assert session.url is not None
    assert "Pay 50.00 USD" in httpx.get(session.url).text
    assert httpx.post(session.url, data=CARD).status_code == 303
    done = api.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (done.status, done.payment_status) == ("complete", "paid")
    assert isinstance(done.payment_intent, stripe.PaymentIntent)
    assert done.payment_intent.metadata is not None
    assert done.payment_intent.metadata["purchase"] == "7"
    ears.wait_for("payment_intent.succeeded")


@pytest.mark.parametrize(("answer", "status"), [("yes", "complete"), ("no", "open")])
def test_a_bank_that_asks(api: stripe.StripeClient, customer: str, answer: str, status: str) -> None:
    session = paying(api, customer)
    assert session.url is not None
    asked = httpx.post(session.url, data=CARD | {"number": "4000002760003184"})
    assert "/authenticate/" in asked.headers["location"]
    assert "Your bank asks" in httpx.get(asked.headers["location"]).text
    httpx.post(asked.headers["location"], data={"answer": answer})
    assert api.v1.checkout.sessions.retrieve(session.id).status == status


def test_the_portal(api: stripe.StripeClient, customer: str) -> None:
    session = api.v1.billing_portal.sessions.create({"customer": customer, "return_url": "https://app.test/billing"})
    assert "None yet" in httpx.get(session.url).text
    for number in ("4242424242424242", "5555555555554444"):
        assert httpx.post(session.url, data=CARD | {"do": "add", "number": number}).status_code == 303
    newest, oldest = api.v1.payment_methods.list({"customer": customer}).data
    settings = api.v1.customers.retrieve(customer).invoice_settings
    assert settings is not None
    assert settings.default_payment_method == oldest.id
    httpx.post(session.url, data={"do": "default", "method": newest.id})
    httpx.post(session.url, data={"do": "remove", "method": oldest.id})
    settings = api.v1.customers.retrieve(customer).invoice_settings
    assert settings is not None
    assert settings.default_payment_method == newest.id
    assert [m.id for m in api.v1.payment_methods.list({"customer": customer}).data] == [newest.id]
    assert httpx.post(session.url, data={"do": "remove", "method": "pm_nobody"}).status_code == 402


def test_an_invoice_is_paid_on_its_page(api: stripe.StripeClient, customer: str) -> None:
    api.v1.invoice_items.create({"customer": customer, "amount": 700, "currency": "usd", "description": "<Usage>"})
    draft = api.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    assert draft.id is not None
    url = api.v1.invoices.finalize_invoice(draft.id).hosted_invoice_url
    assert url is not None
    assert "&lt;Usage&gt;" in httpx.get(url).text
    assert httpx.post(url, data=CARD | {"number": "4000000000000002"}).status_code == 402
    assert "This invoice is paid" in httpx.post(url, data=CARD).text


def test_addresses_that_lead_nowhere(server: str) -> None:
    for path in ("/c/pay/cs_x", "/i/in_x", "/p/session/bps_x", "/authenticate/pi_x"):
        assert httpx.get(server + path).status_code == 404
