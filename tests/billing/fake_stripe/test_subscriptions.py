"""Subscriptions on a test clock: renewed, metered, refused and retried, ended."""

from __future__ import annotations

import datetime as dt

import pytest
import stripe

from .ears import Ears

START = int(dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC).timestamp())
DAY = 86_400


@pytest.fixture
def clock(api: stripe.StripeClient) -> str:
    return api.v1.test_helpers.test_clocks.create({"frozen_time": START}).id


def customer_on(api: stripe.StripeClient, clock: str, card: str) -> str:
    customer = api.v1.customers.create({"name": "A", "test_clock": clock})
    method = api.v1.payment_methods.attach(card, {"customer": customer.id})
    api.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    return customer.id


@pytest.fixture
def price(api: stripe.StripeClient) -> str:
    return api.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 2900,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Developer"},
        }
    ).id


def move(api: stripe.StripeClient, clock: str, *date: int) -> None:
    at = int(dt.datetime(*date, 13, tzinfo=dt.UTC).timestamp())  # type: ignore[misc,arg-type]
    api.v1.test_helpers.test_clocks.advance(clock, {"frozen_time": at})


def test_it_renews_on_the_last_day_of_short_months(api: stripe.StripeClient, clock: str, price: str) -> None:
    customer = customer_on(api, clock, "pm_card_visa")
    made = api.v1.subscriptions.create({"customer": customer, "items": [{"price": price}]})
    assert made.status == "active"
    move(api, clock, 2026, 3, 1)
    item = api.v1.subscriptions.retrieve(made.id).items.data[0]
    assert dt.datetime.fromtimestamp(item.current_period_start, dt.UTC).date() == dt.date(2026, 2, 28)
    found = api.v1.invoices.list({"customer": customer}).data
    assert [invoice.total for invoice in found] == [2900, 2900]
    assert {invoice.billing_reason for invoice in found} == {"subscription_create", "subscription_cycle"}


def test_what_a_meter_counted_is_billed(api: stripe.StripeClient, clock: str) -> None:
    customer = customer_on(api, clock, "pm_card_visa")
    meter = api.v1.billing.meters.create(
        {"display_name": "Tokens", "event_name": "tokens", "default_aggregation": {"formula": "sum"}}
    )
    metered = api.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount_decimal": "0.01",  # type: ignore[typeddict-item]
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "product_data": {"name": "Tokens"},
        }
    )
    api.v1.subscriptions.create({"customer": customer, "items": [{"price": metered.id}]})
    for number, value in enumerate(("100000", "250000")):
        event: stripe.params.billing.MeterEventCreateParams = {
            "event_name": "tokens",
            "payload": {"stripe_customer_id": customer, "value": value},
            "identifier": f"m{number}",
            "timestamp": START + 60,
        }
        api.v1.billing.meter_events.create(event)
        with pytest.raises(stripe.InvalidRequestError, match="already exists"):
            api.v1.billing.meter_events.create(event)
    summary = api.v1.billing.meters.event_summaries.list(
        meter.id, {"customer": customer, "start_time": START, "end_time": START + 2 * DAY}
    )
    assert summary.data[0].aggregated_value == 350_000
    move(api, clock, 2026, 3, 1)
    assert api.v1.invoices.list({"customer": customer, "limit": 1}).data[0].total == 3500


def test_a_card_that_stops_working(api: stripe.StripeClient, clock: str, price: str, ears: Ears) -> None:
    customer = customer_on(api, clock, "pm_card_chargeCustomerFail")
    trial = api.v1.subscriptions.create({"customer": customer, "items": [{"price": price}], "trial_end": START + DAY})
    assert trial.status == "trialing"
    move(api, clock, 2026, 2, 2)
    assert api.v1.subscriptions.retrieve(trial.id).status == "past_due"
    ears.wait_for("invoice.payment_failed")
    good = api.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    api.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": good.id}})
    move(api, clock, 2026, 2, 6)
    assert api.v1.subscriptions.retrieve(trial.id).status == "active"


def test_after_the_last_attempt_it_ends(api: stripe.StripeClient, clock: str, price: str, ears: Ears) -> None:
    customer = customer_on(api, clock, "pm_card_chargeCustomerFail")
    made = api.v1.subscriptions.create({"customer": customer, "items": [{"price": price}], "trial_end": START + DAY})
    move(api, clock, 2026, 2, 20)
    assert api.v1.subscriptions.retrieve(made.id).status == "canceled"
    (invoice,) = api.v1.invoices.list({"customer": customer}).data
    assert (invoice.attempt_count, invoice.status) == (4, "open")
    ears.wait_for("customer.subscription.deleted")


def test_it_ends_with_its_period_or_at_once(api: stripe.StripeClient, clock: str, price: str) -> None:
    customer = customer_on(api, clock, "pm_card_visa")
    first = api.v1.subscriptions.create({"customer": customer, "items": [{"price": price}]})
    second = api.v1.subscriptions.create({"customer": customer, "items": [{"price": price}]})
    api.v1.subscriptions.update(first.id, {"cancel_at_period_end": True})
    assert api.v1.subscriptions.cancel(second.id).status == "canceled"
    move(api, clock, 2026, 3, 1)
    assert api.v1.subscriptions.retrieve(first.id).status == "canceled"
    assert len(api.v1.invoices.list({"customer": customer}).data) == 2
