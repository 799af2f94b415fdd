"""What holds for every call: keys, idempotency, cursors, expansion, nonsense."""

from __future__ import annotations

import httpx
import pytest
import stripe

from .ears import Ears


def test_a_key_of_idempotency_answers_again(api: stripe.StripeClient) -> None:
    options: stripe.RequestOptions = {"idempotency_key": "one"}
    first = api.v1.customers.create({"name": "A"}, options)
    again = api.v1.customers.create({"name": "A"}, options)
    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        api.v1.customers.create({"name": "B"}, options)
    assert len(api.v1.customers.list().data) == 1


def test_a_refusal_by_the_bank_is_replayed_too(api: stripe.StripeClient) -> None:
    customer = api.v1.customers.create({"name": "A"})
    method = api.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            api.v1.payment_intents.create(
                {
                    "amount": 100,
                    "currency": "usd",
                    "payment_method": method.id,
                    "customer": customer.id,
                    "confirm": True,
                },
                {"idempotency_key": "pay"},
            )
    assert len(api.v1.charges.list({"customer": customer.id}).data) == 1


def test_lists_go_on_behind_their_cursor(api: stripe.StripeClient) -> None:
    made = [api.v1.customers.create({"name": str(n)}).id for n in range(7)]
    first = api.v1.customers.list({"limit": 3})
    assert first.has_more
    assert [c.id for c in first.data] == made[:3:-1]
    assert [c.id for c in first.auto_paging_iter()] == made[::-1]


def test_what_is_asked_to_be_whole_is(api: stripe.StripeClient) -> None:
    customer = api.v1.customers.create({"name": "A"})
    session = api.v1.checkout.sessions.create(
        {"mode": "setup", "customer": customer.id, "success_url": "https://x.test", "expand": ["customer"]}
    )
    assert isinstance(session.customer, stripe.Customer)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.customers.retrieve(customer.id, {"expand": ["nothing"]})
    assert refused.value.code == "property_not_expandable"


@pytest.mark.parametrize(
    ("method", "path", "form", "status", "code"),
    [
        ("POST", "/v1/customers", "nmae=A", 400, "parameter_unknown"),
        ("POST", "/v1/payment_intents", "amount=ten&currency=usd", 400, "parameter_invalid_integer"),
        ("POST", "/v1/payment_intents", "currency=usd", 400, "parameter_missing"),
        ("POST", "/v1/invoices", "customer=cus_nobody", 404, "resource_missing"),
        ("GET", "/v1/customers/cus_nobody", "", 404, "resource_missing"),
        ("POST", "/v1/customers", "metadata=1&metadata[a]=2", 400, None),
        ("PATCH", "/v1/customers", "", 404, None),
        ("GET", "/v1/nothing", "", 404, None),
        ("GET", "/v1/customers?limit=0", "", 400, None),
    ],
)
def test_nonsense_is_refused_in_stripes_words(
    server: str, method: str, path: str, form: str, status: int, code: str | None
) -> None:
    headers = {"Authorization": "Bearer sk_test_1", "Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.request(method, server + path, content=form, headers=headers)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error.get("code") == code


@pytest.mark.parametrize("key", ["", "Bearer sk_live_1", "Basic c2tfdGVzdF8xOg=="])
def test_only_keys_of_test_mode_are_taken(server: str, key: str) -> None:
    assert httpx.get(f"{server}/v1/customers", headers={"Authorization": key} if key else {}).status_code == 401


def test_webhooks_are_sent_again_until_they_are_taken(api: stripe.StripeClient, ears: Ears) -> None:
    ears.answers = [500]
    customer = api.v1.customers.create({"name": "A"})
    heard = ears.wait_for("customer.created")
    assert heard.data.object["id"] == customer.id
    assert heard.api_version == stripe.api_version
    assert api.v1.events.retrieve(heard.id).type == "customer.created"


def test_updates_say_what_was_before(api: stripe.StripeClient, ears: Ears) -> None:
    customer = api.v1.customers.create({"name": "A", "metadata": {"a": "1", "b": "2"}})
    changed = api.v1.customers.update(customer.id, {"name": "B", "metadata": {"a": ""}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"b": "2"}
    before = ears.wait_for("customer.updated").data.previous_attributes
    assert before is not None
    assert before["name"] == "A"
