"""Checkout sessions: what a customer is sent to, and what their card then does."""

from __future__ import annotations

import datetime as dt
from typing import Any

from billing.providers.stripe.fake import cards, customers, payments, settling, subscriptions
from billing.providers.stripe.fake.calls import Call, page
from billing.providers.stripe.fake.errors import InvalidRequestError, without
from billing.providers.stripe.fake.params import Params, merged
from billing.providers.stripe.fake.state import Document

_DAY = 86_400
_IGNORED = (
    "payment_method_types", "billing_address_collection", "locale", "ui_mode", "automatic_tax", "tax_id_collection",
    "customer_update", "submit_type", "saved_payment_method_options", "allow_promotion_codes", "invoice_creation",
    "payment_method_collection",
)  # fmt: skip


def create(call: Call) -> Document:
    params = call.params
    mode = params.choice("mode", ("payment", "setup", "subscription"), "payment")
    customer, success_url = params.text("customer"), params.required("success_url")
    if customer:
        call.get("customer", customer, "customer")
    identity = call.state.new_id("cs_test")
    entries = [_entry(call, entry) for entry in params.items("line_items")]
    if mode != "setup" and not entries:
        raise without("line_items")
    total = sum(entry["amount"] for entry in entries)
    session: Document = {
        "id": identity,
        "object": "checkout.session",
        "amount_subtotal": None if mode == "setup" else total,
        "amount_total": None if mode == "setup" else total,
        "cancel_url": params.text("cancel_url"),
        "client_reference_id": params.text("client_reference_id"),
        "created": call.now(),
        "currency": entries[0]["currency"] if entries else params.text("currency"),
        "customer": customer,
        "customer_details": None,
        "customer_email": params.text("customer_email"),
        "expires_at": params.integer("expires_at") or call.now() + _DAY,
        "invoice": None,
        "livemode": False,
        "metadata": merged({}, params.inner("metadata")),
        "mode": mode,
        "payment_intent": None,
        "payment_method_types": ["card"],
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "setup_intent": None,
        "status": "open",
        "subscription": None,
        "success_url": success_url,
        "ui_mode": "hosted",
        "url": f"{call.base_url}/c/pay/{identity}",
        "_entries": entries,
        "_intent_data": params.inner("payment_intent_data") or params.inner("setup_intent_data"),
        "_subscription_data": params.inner("subscription_data"),
    }
    params.skip("payment_intent_data", "setup_intent_data", "customer_creation", *_IGNORED)
    params.close()
    return call.state.put(session)


def _entry(call: Call, given: Any) -> Document:
    entry = Params(given if isinstance(given, dict) else {})
    quantity = entry.integer("quantity") or 1
    if price_id := entry.text("price"):
        price = call.get("price", price_id, "line_items[price]")
        name = price["nickname"] or price["product"]
        unit = price["unit_amount"] or 0
        found = {"price": price_id, "name": name, "currency": price["currency"]}
    else:
        data = Params(entry.inner("price_data"))
        product = data.inner("product_data")
        unit = data.integer("unit_amount") or 0
        found = {"price": None, "name": str(product.get("name", "Payment")), "currency": data.currency()}
        data.skip("recurring", "tax_behavior")
        data.close()
    entry.close()
    return found | {"quantity": quantity, "amount": unit * quantity}


def retrieve(call: Call) -> Document:
    call.params.close()
    return call.get("checkout.session")


def sessions(call: Call) -> Document:
    customer = call.params.text("customer")
    return page(call, "checkout.session", lambda s: not customer or s["customer"] == customer)


def expire(call: Call) -> Document:
    session = call.get("checkout.session")
    call.params.close()
    if session["status"] != "open":
        raise InvalidRequestError('Only Checkout Sessions with a status in ["open"] can be expired.')
    session["status"] = "expired"
    call.state.put(session)
    call.emit("checkout.session.expired", session)
    return session


# ── The customer's part ──


def typed_card(call: Call, form: dict[str, str]) -> Document:
    """The card from a hosted page's form. Raises CardError, in words for the person who typed it."""
    month, _, year = form.get("expires", "").replace(" ", "").partition("/")
    today = dt.datetime.fromtimestamp(call.now(), dt.UTC).date()
    number = cards.read(form.get("number", ""), month, year, form.get("cvc", ""), today)
    until = int(year) + 2000 if int(year) < 100 else int(year)
    return customers.new_method(call, number, int(month), until, form.get("name") or None)


def complete(call: Call, session: Document, method: Document, *, is_authenticated: bool = False) -> Document:
    """The card does what the session is for. Raises CardError; with `next_action` in the intent the bank asks first."""
    customer = _customer(call, session)
    if session["mode"] == "payment":
        intent = _pay(call, session, customer, method, is_authenticated=is_authenticated)
        if intent["status"] == "requires_action":
            return intent
        session |= {"payment_intent": intent["id"], "payment_status": "paid"}
    else:
        customers.keep(call, method, customer)
        if session["mode"] == "setup":
            session["setup_intent"] = _set_up(call, session, customer, method)["id"]
        else:
            _subscribe(call, session, customer, method)
    session |= {"status": "complete", "customer": customer["id"]}
    session["customer_details"] = {"email": customer["email"], "name": customer["name"]}
    call.state.put(session)
    call.emit("checkout.session.completed", session)
    return session


def _customer(call: Call, session: Document) -> Document:
    if session["customer"]:
        return call.get("customer", session["customer"])
    given = {"email": session["customer_email"] or ""}
    return customers.create(Call(call.state, Params(given), "", call.base_url, call.request_id))


def _pay(call: Call, session: Document, customer: Document, method: Document, *, is_authenticated: bool) -> Document:
    data = session["_intent_data"]
    intent = payments.new_intent(
        call,
        session["amount_total"],
        session["currency"],
        customer["id"],
        payment_method=method["id"],
        status="requires_confirmation",
        description=data.get("description"),
        metadata=merged({}, data.get("metadata", {})),
    )
    if data.get("setup_future_usage"):
        customers.keep(call, method, customer)
    return payments.confirm_with(call, intent, is_off_session=False, is_authenticated=is_authenticated)


def _set_up(call: Call, session: Document, customer: Document, method: Document) -> Document:
    identity = call.state.new_id("seti")
    intent = call.state.put(
        {
            "id": identity,
            "object": "setup_intent",
            "client_secret": f"{identity}_secret",
            "created": call.now(),
            "customer": customer["id"],
            "description": None,
            "last_setup_error": None,
            "latest_attempt": None,
            "livemode": False,
            "metadata": merged({}, session["_intent_data"].get("metadata", {})),
            "next_action": None,
            "payment_method": method["id"],
            "payment_method_types": ["card"],
            "status": "succeeded",
            "usage": "off_session",
        }
    )
    call.emit("setup_intent.succeeded", intent)
    return intent


def retrieve_setup_intent(call: Call) -> Document:
    call.params.close()
    return call.get("setup_intent")


def _subscribe(call: Call, session: Document, customer: Document, method: Document) -> None:
    data = session["_subscription_data"]
    given: dict[str, Any] = {
        "customer": customer["id"],
        "default_payment_method": method["id"],
        "items": [{"price": entry["price"], "quantity": str(entry["quantity"])} for entry in session["_entries"]],
        "metadata": data.get("metadata", {}),
        "payment_behavior": "error_if_incomplete",
    }
    if trial := data.get("trial_period_days"):
        given["trial_period_days"] = trial
    made = subscriptions.create(Call(call.state, Params(given), "", call.base_url, call.request_id))
    session |= {"subscription": made["id"], "invoice": made["latest_invoice"], "payment_status": "paid"}


def pay_invoice(call: Call, method: Document) -> Document:
    """The hosted page of an invoice: the card typed there pays it, and is kept."""
    invoice = call.get("invoice")
    customers.keep(call, method, call.get("customer", invoice["customer"]))
    return settling.pay_with(call, invoice, method["id"])
