"""Subscriptions: begun, renewed when their period ends, retried when a card fails, ended."""

from __future__ import annotations

import calendar
import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from billing.providers.stripe.fake import catalog, invoices, settling
from billing.providers.stripe.fake.calls import Call, listed, page
from billing.providers.stripe.fake.errors import CardError, InvalidRequestError, without
from billing.providers.stripe.fake.params import Params, merged
from billing.providers.stripe.fake.state import Document, State

_DAY = 86_400
# Days after a refused renewal on which the card is tried again; after the last one the subscription ends.
_RETRY_DAYS = (1, 3, 5)
_LIVE = ("trialing", "active", "past_due")


def create(call: Call) -> Document:
    params = call.params
    customer = call.get("customer", params.required("customer"), "customer")
    given = params.items("items")
    if not given:
        raise without("items")
    metadata, card = merged({}, params.inner("metadata")), params.text("default_payment_method")
    trial_days, trial_end = params.integer("trial_period_days"), params.integer("trial_end")
    anchor = params.integer("billing_cycle_anchor")
    behavior = params.choice(
        "payment_behavior", ("allow_incomplete", "error_if_incomplete", "default_incomplete"), "allow_incomplete"
    )
    params.skip("off_session", "proration_behavior", "collection_method", "payment_settings", "billing_mode")
    params.close()
    now = call.now(customer)
    trial_end = trial_end or (now + trial_days * _DAY if trial_days else None)
    if anchor is not None and anchor < (trial_end or now):
        raise InvalidRequestError("billing_cycle_anchor is in the past.", param="billing_cycle_anchor")
    first_end = anchor or trial_end
    subscription: Document = {
        "id": call.state.new_id("sub"),
        "object": "subscription",
        "billing_cycle_anchor": first_end or now,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": "usd",
        "customer": customer["id"],
        "default_payment_method": card,
        "ended_at": None,
        "latest_invoice": None,
        "livemode": False,
        "metadata": metadata,
        "start_date": now,
        "status": "trialing" if trial_end else "active",
        "test_clock": customer["test_clock"],
        "trial_end": trial_end,
        "trial_start": now if trial_end else None,
        "_retry_at": None,
        "_retries": 0,
    }
    subscription["items"] = listed([_item(call, subscription, item, now, first_end) for item in given])
    call.state.put(subscription)
    if not trial_end:
        _bill(call, subscription, "subscription_create", now, now, must_pay=behavior == "error_if_incomplete")
    call.emit("customer.subscription.created", subscription)
    return subscription


def _item(call: Call, subscription: Document, given: Any, start: int, first_end: int | None) -> Document:
    item = Params(given if isinstance(given, dict) else {})
    price = call.get("price", item.required("price"), "items[price]")
    quantity = item.integer("quantity")
    item.close()
    if price["recurring"] is None:
        raise InvalidRequestError("The price specified is set to `type=one_time`.", param="items[price]")
    is_metered = price["recurring"]["usage_type"] == "metered"
    return {
        "id": call.state.new_id("si"),
        "object": "subscription_item",
        "created": start,
        "current_period_end": first_end or after(start, price["recurring"]),
        "current_period_start": start,
        "metadata": {},
        "price": price,
        "quantity": None if is_metered else quantity or 1,
        "subscription": subscription["id"],
    }


def after(start: int, recurring: Document) -> int:
    """The end of a period that begins at `start`: the same day of a later month, or its last one."""
    count, interval = int(recurring["interval_count"]), recurring["interval"]
    if interval in ("day", "week"):
        return start + count * _DAY * (7 if interval == "week" else 1)
    moment = dt.datetime.fromtimestamp(start, dt.UTC)
    months = moment.year * 12 + moment.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


def retrieve(call: Call) -> Document:
    call.params.close()
    return call.get("subscription")


def subscriptions(call: Call) -> Document:
    customer, status = call.params.text("customer"), call.params.text("status")
    wanted = ("canceled",) if status == "ended" else (status,)
    return page(
        call,
        "subscription",
        lambda s: (
            (not customer or s["customer"] == customer)
            and (status == "all" or (s["status"] in wanted if status else s["status"] != "canceled"))
        ),
    )


def end_with_period(call: Call, subscription: Document, *, ends: bool) -> None:
    """As its customer decides in the portal."""
    before = {"cancel_at_period_end": subscription["cancel_at_period_end"]}
    end = subscription["items"]["data"][0]["current_period_end"]
    subscription |= {"cancel_at_period_end": ends, "cancel_at": end if ends else None}
    call.state.put(subscription)
    call.emit("customer.subscription.updated", subscription, before)


def live(state: State, customer: str) -> list[Document]:
    return list(state.newest("subscription", lambda s: s["customer"] == customer and s["status"] in _LIVE))


def update(call: Call) -> Document:
    subscription = _live(call)
    params = call.params
    before = {
        name: subscription[name] for name in ("cancel_at_period_end", "default_payment_method", "items", "metadata")
    }
    subscription["cancel_at_period_end"] = params.flag(
        "cancel_at_period_end", default=subscription["cancel_at_period_end"]
    )
    end = subscription["items"]["data"][0]["current_period_end"]
    subscription["cancel_at"] = end if subscription["cancel_at_period_end"] else None
    subscription["default_payment_method"] = params.text(
        "default_payment_method", subscription["default_payment_method"]
    )
    subscription["metadata"] = merged(subscription["metadata"], params.inner("metadata"))
    for given in params.items("items"):
        _change_item(call, subscription, given)
    params.skip("proration_behavior", "payment_behavior", "proration_date", "off_session")
    params.close()
    previous = {name: value for name, value in before.items() if subscription[name] != value}
    call.state.put(subscription)
    call.emit("customer.subscription.updated", subscription, previous)
    return subscription


def _change_item(call: Call, subscription: Document, given: Any) -> None:
    """Another price or quantity from now on. Prorations are the caller's own lines: this server makes none."""
    item = Params(given if isinstance(given, dict) else {})
    wanted = item.required("id")
    kept = next((entry for entry in subscription["items"]["data"] if entry["id"] == wanted), None)
    if kept is None:
        raise InvalidRequestError(f"No such subscription item: '{wanted}'", code="resource_missing", param="items[id]")
    if price := item.text("price"):
        kept["price"] = call.get("price", price, "items[price]")
    kept["quantity"] = item.integer("quantity") or kept["quantity"]
    item.close()


def cancel(call: Call) -> Document:
    subscription = _live(call)
    call.params.skip("invoice_now", "prorate", "cancellation_details")
    call.params.close()
    return _end(call, subscription)


def _live(call: Call) -> Document:
    subscription = call.get("subscription")
    if subscription["status"] not in _LIVE:
        raise InvalidRequestError(f"No such subscription: '{subscription['id']}'", code="resource_missing", status=404)
    return subscription


def _end(call: Call, subscription: Document) -> Document:
    now = call.state.now(subscription["test_clock"])
    subscription |= {"status": "canceled", "canceled_at": now, "ended_at": now, "_retry_at": None}
    call.state.put(subscription)
    call.emit("customer.subscription.deleted", subscription)
    return subscription


# ── As time passes ──


def next_due(state: State, clock: str | None) -> tuple[int, str] | None:
    """The next moment at which a subscription of this clock has something to do, and which."""
    due = [
        (s["_retry_at"] or s["items"]["data"][0]["current_period_end"], s["id"])
        for s in state.newest("subscription", lambda s: s["test_clock"] == clock and s["status"] in _LIVE)
    ]
    return min(due) if due else None


def act(call: Call, id: str) -> None:  # noqa: A002
    subscription = call.get("subscription", id)
    if subscription["_retry_at"]:
        _retry(call, subscription)
    elif subscription["cancel_at_period_end"]:
        _end(call, subscription)
    else:
        _renew(call, subscription)


def _renew(call: Call, subscription: Document) -> None:
    items = subscription["items"]["data"]
    start, end = items[0]["current_period_start"], items[0]["current_period_end"]
    for item in items:
        item["current_period_start"] = end
        item["current_period_end"] = after(end, item["price"]["recurring"])
    was = subscription["status"]
    subscription["status"] = "active"
    call.state.put(subscription)
    _bill(call, subscription, "subscription_cycle", start, end)
    call.emit("customer.subscription.updated", subscription, {"status": was})


def _bill(call: Call, subscription: Document, reason: str, start: int, end: int, *, must_pay: bool = False) -> None:
    """Fixed prices for the period that begins, metered ones for the period [start, end) that ended."""
    customer = call.get("customer", subscription["customer"])
    invoice = invoices.new_invoice(call, customer, subscription["currency"], reason)
    invoice["parent"] = {
        "type": "subscription_details",
        "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
    }
    invoice["default_payment_method"] = subscription["default_payment_method"]
    for item in subscription["items"]["data"]:
        price = item["price"]
        quantity = item["quantity"]
        if quantity is None:
            meter = call.get("billing.meter", price["recurring"]["meter"])
            quantity = catalog.metered(call.state, meter, customer["id"], start, end)
        amount = int((Decimal(price["unit_amount_decimal"]) * quantity).to_integral_value(ROUND_HALF_UP))
        invoices.add_line(call, invoice, amount, f"{quantity} × {price['nickname'] or price['product']}", {}, None)
    call.state.put(invoice)
    call.emit("invoice.created", invoice)
    settling.finalized(call, invoice)
    subscription["latest_invoice"] = invoice["id"]
    call.state.put(subscription)
    if invoice["status"] != "paid":
        _collect(call, subscription, invoice, must_pay=must_pay)


def _collect(call: Call, subscription: Document, invoice: Document, *, must_pay: bool = False) -> None:
    try:
        settling.pay_with(call, invoice)
    except (CardError, InvalidRequestError):
        if must_pay:
            raise
        _refused(call, subscription)
    else:
        subscription |= {"status": "active", "_retry_at": None, "_retries": 0}
        call.state.put(subscription)


def _refused(call: Call, subscription: Document) -> None:
    tried = subscription["_retries"]
    if subscription["latest_invoice"] and tried >= len(_RETRY_DAYS):
        _end(call, subscription)
        return
    now = call.state.now(subscription["test_clock"])
    subscription |= {"status": "past_due", "_retries": tried + 1, "_retry_at": now + _RETRY_DAYS[tried] * _DAY}
    call.state.put(subscription)


def _retry(call: Call, subscription: Document) -> None:
    invoice = call.get("invoice", subscription["latest_invoice"])
    was = subscription["status"]
    subscription["_retry_at"] = None
    if invoice["status"] == "open":
        _collect(call, subscription, invoice)
    else:
        subscription |= {"status": "active", "_retries": 0}
        call.state.put(subscription)
    if subscription["status"] != "canceled":
        call.emit("customer.subscription.updated", subscription, {"status": was})
