"""Products, prices, and meters with the events they count."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from billing.providers.stripe.fake.calls import Call, listed, page
from billing.providers.stripe.fake.errors import InvalidRequestError, without
from billing.providers.stripe.fake.params import Params, merged
from billing.providers.stripe.fake.state import Document, State

# What happened longer ago, or is still to come, is not counted.
_MOST_SECONDS_AGO = 35 * 86_400
_MOST_SECONDS_AHEAD = 5 * 60


def create_product(call: Call) -> Document:
    params = call.params
    name, description = params.required("name"), params.text("description")
    given, metadata = params.text("id"), merged({}, params.inner("metadata"))
    params.skip("tax_code", "unit_label", "active")
    params.close()
    if given and call.state.find(given):
        raise InvalidRequestError("Product already exists.", code="resource_already_exists", param="id")
    product = call.state.put(
        {
            "id": given or call.state.new_id("prod"),
            "object": "product",
            "active": True,
            "created": call.now(),
            "default_price": None,
            "description": description,
            "livemode": False,
            "metadata": metadata,
            "name": name,
            "type": "service",
            "updated": call.now(),
        }
    )
    call.emit("product.created", product)
    return product


def retrieve_product(call: Call) -> Document:
    call.params.close()
    return call.get("product")


def create_price(call: Call) -> Document:
    params = call.params
    currency, recurring = params.currency(), Params(params.inner("recurring"))
    if "product_data" in params:
        product = create_product(_with(call, Params(params.inner("product_data"))))["id"]
    else:
        product = call.get("product", params.required("product"), "product")["id"]
    amount = params.text("unit_amount") or params.text("unit_amount_decimal")
    lookup_key, nickname, metadata = params.text("lookup_key"), params.text("nickname"), params.inner("metadata")
    params.skip("billing_scheme", "tax_behavior", "transfer_lookup_key")
    params.close()
    price = call.state.put(
        {
            "id": call.state.new_id("price"),
            "object": "price",
            "active": True,
            "billing_scheme": "per_unit",
            "created": call.now(),
            "currency": currency,
            "livemode": False,
            "lookup_key": lookup_key,
            "metadata": merged({}, metadata),
            "nickname": nickname,
            "product": product,
            "recurring": _recurring(call, recurring) if "interval" in recurring else None,
            "type": "recurring" if "interval" in recurring else "one_time",
            **_amounts(amount),
        }
    )
    call.emit("price.created", price)
    return price


def _amounts(given: str | None) -> Document:
    try:
        exact = Decimal(given or "")
    except InvalidOperation:
        raise InvalidRequestError(f"Invalid decimal: {given}", param="unit_amount_decimal") from None
    is_whole = exact == exact.to_integral_value()
    return {"unit_amount": int(exact) if is_whole else None, "unit_amount_decimal": f"{exact.normalize():f}"}


def _recurring(call: Call, given: Params) -> Document:
    interval = given.choice("interval", ("day", "week", "month", "year"), "month")
    count = given.integer("interval_count") or 1
    usage_type, meter = given.choice("usage_type", ("licensed", "metered"), "licensed"), given.text("meter")
    given.close()
    if usage_type == "metered":
        if not meter:
            raise InvalidRequestError("Metered prices need a meter.", param="recurring[meter]")
        call.get("billing.meter", meter, "recurring[meter]")
    return {
        "interval": interval,
        "interval_count": count,
        "meter": meter,
        "trial_period_days": None,
        "usage_type": usage_type,
    }


def prices(call: Call) -> Document:
    product, keys = call.params.text("product"), call.params.items("lookup_keys")
    call.params.skip("active")
    return page(
        call,
        "price",
        lambda p: (not product or p["product"] == product) and (not keys or p["lookup_key"] in keys),
    )


def _with(call: Call, params: Params) -> Call:
    return Call(call.state, params, "", call.base_url, call.request_id, call.idempotency_key)


# ── Meters ──


def create_meter(call: Call) -> Document:
    params = call.params
    name, event = params.required("display_name"), params.required("event_name")
    formula = params.inner("default_aggregation").get("formula", "sum")
    params.skip("customer_mapping", "value_settings", "event_time_window")
    params.close()
    if formula not in ("sum", "count", "last"):
        raise InvalidRequestError(f"Invalid formula: {formula}", param="default_aggregation[formula]")
    if any(call.state.newest("billing.meter", lambda meter: meter["event_name"] == event)):
        raise InvalidRequestError(f"A meter of the event {event} exists already.", param="event_name")
    return call.state.put(
        {
            "id": call.state.new_id("mtr"),
            "object": "billing.meter",
            "created": call.now(),
            "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
            "default_aggregation": {"formula": formula},
            "display_name": name,
            "event_name": event,
            "livemode": False,
            "status": "active",
            "updated": call.now(),
            "value_settings": {"event_payload_key": "value"},
        }
    )


def meters(call: Call) -> Document:
    call.params.skip("status")
    return page(call, "billing.meter")


def add_meter_event(call: Call) -> Document:
    """Counted once by its `identifier`; a value is a whole number, as Stripe takes it."""
    params = call.params
    name, payload = params.required("event_name"), params.inner("payload")
    at, identifier = params.integer("timestamp"), params.text("identifier") or call.state.new_id("mev")
    params.close()
    if not any(call.state.newest("billing.meter", lambda meter: meter["event_name"] == name)):
        raise InvalidRequestError(f"No active meter found for event {name}.", code="no_meter", param="event_name")
    customer, value = payload.get("stripe_customer_id", ""), str(payload.get("value", ""))
    now = call.now(call.get("customer", customer, "payload[stripe_customer_id]"))
    if not value.removeprefix("-").isdigit():
        raise InvalidRequestError(f"Invalid value: {value}", code="meter_event_invalid_value", param="payload[value]")
    if at is not None and not now - _MOST_SECONDS_AGO <= at <= now + _MOST_SECONDS_AHEAD:
        code = "timestamp_in_future" if at > now else "timestamp_too_far_in_past"
        raise InvalidRequestError(f"The timestamp {at} is too far away.", code=code, param="timestamp")
    if call.state.find(f"meter_event:{identifier}"):
        raise InvalidRequestError(f"An event already exists with identifier {identifier}.", param="identifier")
    event: Document = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": name,
        "identifier": identifier,
        "livemode": False,
        "payload": {key: str(given) for key, given in payload.items()},
        "timestamp": at or now,
    }
    call.state.put(event | {"id": f"meter_event:{identifier}"})
    return event


def summaries(call: Call) -> Document:
    meter = call.get("billing.meter")
    params = call.params
    customer, start, end = params.required("customer"), params.integer("start_time"), params.integer("end_time")
    params.skip("value_grouping_window", "limit")
    params.close()
    if start is None or end is None:
        raise without("start_time")
    return listed(
        [
            {
                "id": call.state.new_id("mtrusg"),
                "object": "billing.meter_event_summary",
                "aggregated_value": metered(call.state, meter, customer, start, end),
                "end_time": end,
                "livemode": False,
                "meter": meter["id"],
                "start_time": start,
            }
        ]
    )


def metered(state: State, meter: Document, customer: str, start: int, end: int) -> int:
    """What a meter counted for a customer in [start, end)."""
    events = list(
        state.newest(
            "billing.meter_event",
            lambda event: (
                event["event_name"] == meter["event_name"]
                and event["payload"]["stripe_customer_id"] == customer
                and start <= event["timestamp"] < end
            ),
        )
    )
    values = [int(event["payload"]["value"]) for event in events]
    formula = meter["default_aggregation"]["formula"]
    if formula == "count":
        return len(values)
    if formula == "last":
        return max(events, key=lambda event: event["timestamp"])["payload"]["value"] if events else 0
    return sum(values)
