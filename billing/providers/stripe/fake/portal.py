"""The customer portal: a session, and what a customer may do with their cards and subscriptions there."""

from __future__ import annotations

from billing.providers.stripe.fake import customers, subscriptions
from billing.providers.stripe.fake.calls import Call, page
from billing.providers.stripe.fake.errors import InvalidRequestError
from billing.providers.stripe.fake.params import merged
from billing.providers.stripe.fake.state import Document


def create(call: Call) -> Document:
    customer = call.get("customer", call.params.required("customer"), "customer")
    return_url, configuration = call.params.text("return_url"), call.params.text("configuration")
    if configuration is not None:
        call.get("billing_portal.configuration", configuration, "configuration")
    call.params.skip("flow_data", "locale")
    call.params.close()
    identity = call.state.new_id("bps")
    return call.state.put(
        {
            "id": identity,
            "object": "billing_portal.session",
            "configuration": configuration or "bpc_default",
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


def create_configuration(call: Call) -> Document:
    features, metadata = call.params.inner("features"), call.params.inner("metadata")
    call.params.skip("business_profile", "default_return_url", "login_page")
    call.params.close()
    return call.state.put(
        {
            "id": call.state.new_id("bpc"),
            "object": "billing_portal.configuration",
            "active": True,
            "created": call.now(),
            "features": {
                name: dict(given) | {"enabled": given.get("enabled") == "true"} for name, given in features.items()
            },
            "is_default": False,
            "livemode": False,
            "metadata": merged({}, metadata),
        }
    )


def configurations(call: Call) -> Document:
    call.params.skip("active", "is_default")
    return page(call, "billing_portal.configuration")


def may_cancel(call: Call, session: Document) -> bool:
    """As the session's configuration says; Stripe's default one lets customers do so."""
    found = call.state.find(session["configuration"])
    return found is None or bool(found["features"].get("subscription_cancel", {}).get("enabled"))


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
        if not may_cancel(call, session):
            raise InvalidRequestError("Nobody can cancel here.")
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
