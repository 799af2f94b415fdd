"""Customers and the cards they keep."""

from __future__ import annotations

import datetime as dt

from billing.providers.stripe.fake import cards
from billing.providers.stripe.fake.calls import Call, listed, page
from billing.providers.stripe.fake.errors import InvalidRequestError
from billing.providers.stripe.fake.params import Params, merged
from billing.providers.stripe.fake.state import Document

_TEXTS = ("name", "email", "phone", "description")


# ── Customers ──


def create(call: Call) -> Document:
    state = call.state
    customer: Document = {
        "id": state.new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "discount": None,
        "invoice_prefix": state.new_id("x")[2:10].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
        "livemode": False,
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **dict.fromkeys(_TEXTS),
    }  # fmt: skip
    if clock := call.params.text("test_clock"):
        customer["test_clock"] = call.get("test_helpers.test_clock", clock, "test_clock")["id"]
    customer["created"] = call.now(customer)
    _change(call, customer)
    call.params.close()
    state.put(customer)
    call.emit("customer.created", customer)
    return customer


def retrieve(call: Call) -> Document:
    call.params.close()
    return call.get("customer")


def update(call: Call) -> Document:
    customer = call.get("customer")
    before = dict(customer)
    _change(call, customer)
    call.params.close()
    previous = {name: before[name] for name, value in customer.items() if before[name] != value}
    call.state.put(customer)
    if previous:
        call.emit("customer.updated", customer, previous)
    return customer


def delete(call: Call) -> Document:
    customer = call.get("customer")
    call.params.close()
    for method in list(call.state.newest("payment_method", lambda m: m["customer"] == customer["id"])):
        call.state.put(method | {"customer": None})
    call.state.forget(customer["id"])
    call.emit("customer.deleted", customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}


def search(call: Call) -> Document:
    email = call.params.text("email")
    return page(call, "customer", lambda customer: email is None or customer["email"] == email)


def _change(call: Call, customer: Document) -> None:
    params = call.params
    for name in _TEXTS:
        customer[name] = params.text(name, customer[name])
    if "address" in params:
        given = params.inner("address")
        fields = ("city", "country", "line1", "line2", "postal_code", "state")
        customer["address"] = {name: given.get(name) or None for name in fields}
    customer["metadata"] = merged(customer["metadata"], params.inner("metadata"))
    customer["tax_exempt"] = params.choice("tax_exempt", ("none", "exempt", "reverse"), customer["tax_exempt"])
    settings = params.inner("invoice_settings")
    if chosen := settings.get("default_payment_method"):
        method = call.get("payment_method", chosen, "invoice_settings[default_payment_method]")
        if method["customer"] != customer["id"]:
            raise InvalidRequestError(
                "The customer does not have a payment method with the ID " + chosen + ".",
                code="resource_missing",
                param="invoice_settings[default_payment_method]",
            )
        customer["invoice_settings"] = customer["invoice_settings"] | {"default_payment_method": chosen}
    params.skip("preferred_locales", "shipping", "tax", "tax_id_data", "payment_method")


# ── Cards ──


def new_method(call: Call, number: str, exp_month: int, exp_year: int, name: str | None = None) -> Document:
    state = call.state
    method: Document = {
        "id": state.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {"address": None, "email": None, "name": name, "phone": None, "tax_id": None},
        "card": cards.described(number, exp_month, exp_year),
        "created": call.now(),
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
        "_number": number,
    }
    return state.put(method)


def create_method(call: Call) -> Document:
    """From a card's numbers (`card[number]`) or from a token (`card[token]=tok_visa`)."""
    call.params.choice("type", ("card",), "card")
    given = Params(call.params.inner("card"))
    call.params.skip("billing_details", "metadata")
    call.params.close()
    year = dt.datetime.fromtimestamp(call.now(), dt.UTC).year + 4
    if token := given.text("token"):
        return new_method(call, _named(token.removeprefix("tok_"), token, "card[token]"), 12, year)
    month, until = given.required("exp_month"), given.required("exp_year")
    today = dt.datetime.fromtimestamp(call.now(), dt.UTC).date()
    number = cards.read(given.required("number"), month, until, given.text("cvc", "123") or "", today)
    return new_method(call, number, int(month), int(until))


def method_of(call: Call, id: str, param: str = "payment_method") -> Document:  # noqa: A002
    """A payment method by its id, or one of Stripe's names for test cards (`pm_card_visa`), made now."""
    if not id.startswith("pm_card_"):
        return call.get("payment_method", id, param)
    year = dt.datetime.fromtimestamp(call.now(), dt.UTC).year + 4
    return new_method(call, _named(id.removeprefix("pm_card_"), id, param), 12, year)


def attach(call: Call) -> Document:
    customer = call.get("customer", call.params.required("customer"), "customer")
    call.params.close()
    return keep(call, method_of(call, call.id, "payment_method"), customer)


def keep(call: Call, method: Document, customer: Document) -> Document:
    """The card becomes the customer's. Raises CardError where the bank refuses even that."""
    outcome = cards.OUTCOMES[method["_number"]]
    if not outcome.is_attachable:
        raise cards.refuse(outcome)
    if method["customer"] not in (None, customer["id"]):
        raise InvalidRequestError("The payment method you provided has already been attached to a customer.")
    call.state.put(method | {"customer": customer["id"]})
    method["customer"] = customer["id"]
    call.emit("payment_method.attached", method)
    return method


def detach(call: Call) -> Document:
    method = call.get("payment_method")
    call.params.close()
    if method["customer"] is None:
        raise InvalidRequestError("The payment method you provided is not attached to a customer.")
    let_go(call, method)
    return method


def let_go(call: Call, method: Document) -> None:
    customer = call.state.find(method["customer"])
    if customer and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        customer["invoice_settings"]["default_payment_method"] = None
        call.state.put(customer)
        call.emit("customer.updated", customer, {"invoice_settings": {"default_payment_method": method["id"]}})
    before = method["customer"]
    method["customer"] = None
    call.state.put(method)
    call.emit("payment_method.detached", method, {"customer": before})


def methods(call: Call) -> Document:
    customer = call.params.text("customer") or call.id or None
    call.params.choice("type", ("card",), "card")
    return page(call, "payment_method", lambda m: m["customer"] is not None and m["customer"] == customer)


def kept_by(call: Call, customer: str) -> Document:
    return listed(list(call.state.newest("payment_method", lambda m: m["customer"] == customer)))


def retrieve_method(call: Call) -> Document:
    call.params.close()
    return method_of(call, call.id)


def _named(name: str, given: str, param: str) -> str:
    if name not in cards.BY_NAME:
        raise InvalidRequestError(f"No such PaymentMethod: '{given}'", code="resource_missing", param=param, status=404)
    return cards.BY_NAME[name]
