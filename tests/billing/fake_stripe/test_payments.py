"""Payments by Stripe's own library: what its documentation promises of test mode."""

from __future__ import annotations

import pytest
import stripe

from .ears import Ears


def customer_with(api: stripe.StripeClient, card: str) -> stripe.Customer:
    customer = api.v1.customers.create({"name": "Northbound", "email": "finance@northbound.test"})
    method = api.v1.payment_methods.attach(card, {"customer": customer.id})
    return api.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})


def test_a_card_pays(api: stripe.StripeClient, ears: Ears) -> None:
    customer = customer_with(api, "pm_card_visa")
    intent = api.v1.payment_intents.create(
        {
            "amount": 2599,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": str(customer.invoice_settings.default_payment_method),
            "off_session": True,
            "confirm": True,
        }
    )
    assert (intent.status, intent.amount_received) == ("succeeded", 2599)
    charge = api.v1.charges.retrieve(str(intent.latest_charge))
    assert charge.paid
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "4242"
    assert ears.wait_for("payment_intent.succeeded").data.object["id"] == intent.id


@pytest.mark.parametrize(
    ("card", "code", "decline"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ],
)
def test_some_cards_cannot_even_be_kept(api: stripe.StripeClient, card: str, code: str, decline: str) -> None:
    with pytest.raises(stripe.CardError) as refused:
        customer_with(api, card)
    assert refused.value.code == code
    assert refused.value.error is not None
    assert refused.value.error.decline_code == decline


def test_a_refused_payment_is_remembered(api: stripe.StripeClient, ears: Ears) -> None:
    customer = customer_with(api, "pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError) as refused:
        api.v1.payment_intents.create(
            {
                "amount": 1000,
                "currency": "usd",
                "customer": customer.id,
                "payment_method": str(customer.invoice_settings.default_payment_method),
                "confirm": True,
            }
        )
    assert refused.value.error is not None
    assert refused.value.error.payment_intent is not None
    intent = api.v1.payment_intents.retrieve(refused.value.error.payment_intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == "card_declined"
    ears.wait_for("payment_intent.payment_failed")


def test_a_bank_that_wants_to_ask_refuses_without_the_customer(api: stripe.StripeClient) -> None:
    customer = customer_with(api, "pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as refused:
        api.v1.payment_intents.create(
            {
                "amount": 1000,
                "currency": "usd",
                "customer": customer.id,
                "payment_method": str(customer.invoice_settings.default_payment_method),
                "confirm": True,
                "off_session": True,
            }
        )
    assert refused.value.code == "authentication_required"


def paid(api: stripe.StripeClient, amount: int, card: str = "pm_card_visa") -> stripe.PaymentIntent:
    return api.v1.payment_intents.create({"amount": amount, "currency": "usd", "payment_method": card, "confirm": True})


def test_refunds_end_where_the_money_does(api: stripe.StripeClient, ears: Ears) -> None:
    intent = paid(api, 1000)
    first = api.v1.refunds.create({"payment_intent": intent.id, "amount": 400, "reason": "requested_by_customer"})
    assert (first.status, first.amount) == ("succeeded", 400)
    with pytest.raises(stripe.InvalidRequestError, match=r"greater than unrefunded amount on charge \(\$6.00\)"):
        api.v1.refunds.create({"payment_intent": intent.id, "amount": 601})
    assert api.v1.refunds.create({"payment_intent": intent.id}).amount == 600
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.refunds.create({"payment_intent": intent.id})
    assert refused.value.code == "charge_already_refunded"
    assert api.v1.charges.retrieve(str(intent.latest_charge)).refunded
    ears.wait_for("charge.refunded")


def test_a_disputed_charge(api: stripe.StripeClient, ears: Ears) -> None:
    intent = paid(api, 5000, "pm_card_createDispute")
    dispute = api.v1.disputes.list({"charge": str(intent.latest_charge)}).data[0]
    assert (dispute.amount, dispute.status) == (5000, "needs_response")
    with pytest.raises(stripe.InvalidRequestError):
        api.v1.refunds.create({"payment_intent": intent.id})
    won = api.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    assert won.status == "won"
    assert not api.v1.charges.retrieve(str(intent.latest_charge)).disputed
    assert ears.wait_for("charge.dispute.closed").data.object["status"] == "won"


@pytest.mark.parametrize(("amount", "code"), [(49, "amount_too_small"), (100_000_000, "amount_too_large")])
def test_amounts_have_limits(api: stripe.StripeClient, amount: int, code: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        paid(api, amount)
    assert refused.value.code == code
