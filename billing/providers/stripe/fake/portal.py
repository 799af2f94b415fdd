"""The customer portal: a session, and what a customer may do with their cards and subscriptions there."""

from __future__ import annotations

from billing.providers.stripe.fake import customers, subscriptions
from billing.providers.stripe.fake.calls import Call
from billing.providers.stripe.fake.errors import InvalidRequestError
from billing.providers.stripe.fake.state import Document


def create(call: Call) -> Document:
    customer = call.get("customer", call.params.required("customer"), "customer")
    return_url = call.params.text("return_url")
    call.params.skip("configuration", "flow_data", "locale")
    call.params.close()
    identity = call.state.new_id("bps")
    return call.state.put(
        {
            "id": identity,
            "object": "billing_portal.session",
            "configuration": "bpc_default",
            "created": call.now(),
            "customer": customer["id"],
            "flow": None,
            "livemode": False,
            "locale": None,
            "on_behalf_of": None,
            "return_url": return_url,
            "url": f"{call.base_url}/p/session/{identity}",
        }
    )


def act(call: Call, session: Document, form: dict[str, str], method: Document | None) -> None:
    """`do` is add, default or remove (the last two name a card of this customer), cancel or renew a subscription."""
    customer = call.get("customer", session["customer"])
    wanted = form.get("do")
    if wanted == "add" and method is not None:
        customers.keep(call, method, customer)
        if customer["invoice_settings"]["default_payment_method"] is None:
            _prefer(call, customer, method)
        return
    if wanted in ("cancel", "renew"):
        subscription = call.get("subscription", form.get("subscription", ""))
        if subscription not in subscriptions.live(call.state, customer["id"]):
            raise InvalidRequestError("This subscription is not the customer's.")
        subscriptions.end_with_period(call, subscription, ends=wanted == "cancel")
        return
    card = call.get("payment_method", form.get("method", ""))
    if card["customer"] != customer["id"]:
        raise InvalidRequestError("This card is not the customer's.")
    if wanted == "remove":
        customers.let_go(call, card)
    elif wanted == "default":
        _prefer(call, customer, card)
    else:
        raise InvalidRequestError(f"Nobody can {wanted} here.")


def _prefer(call: Call, customer: Document, method: Document) -> None:
    before = dict(customer["invoice_settings"])
    customer["invoice_settings"]["default_payment_method"] = method["id"]
    call.state.put(customer)
    call.emit("customer.updated", customer, {"invoice_settings": before})
