"""Payment intents, the charges they make, refunds of those, and disputes."""

from __future__ import annotations

import copy
from typing import Any

from billing.providers.stripe.fake import cards
from billing.providers.stripe.fake.calls import Call, page
from billing.providers.stripe.fake.customers import method_of
from billing.providers.stripe.fake.errors import CardError, InvalidRequestError, without
from billing.providers.stripe.fake.params import merged
from billing.providers.stripe.fake.state import Document

_LARGEST = 99_999_999


# ── Payment intents ──


def new_intent(call: Call, amount: int, currency: str, customer: str | None, **more: Any) -> Document:
    if not 50 <= amount <= _LARGEST:
        word = "at least $0.50 usd" if amount < 50 else "no more than $999,999.99"
        code = "amount_too_small" if amount < 50 else "amount_too_large"
        raise InvalidRequestError(f"Amount must be {word}", code=code, param="amount")
    state = call.state
    identity = state.new_id("pi")
    intent: Document = {
        "id": identity,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{identity}_secret_{state.new_id('x')[2:]}",
        "confirmation_method": "automatic",
        "created": call.now(),
        "currency": currency,
        "customer": customer,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "payment_method": None,
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "setup_future_usage": None,
        "statement_descriptor": None,
        "status": "requires_payment_method",
    }
    intent |= more
    return state.put(intent)


def create(call: Call) -> Document:
    params = call.params
    amount, currency = params.integer("amount"), params.currency()
    if amount is None:
        raise without("amount")
    customer = params.text("customer")
    if customer:
        call.get("customer", customer, "customer")
    more = {"description": params.text("description"), "metadata": merged({}, params.inner("metadata"))}
    more |= {"receipt_email": params.text("receipt_email"), "setup_future_usage": params.text("setup_future_usage")}
    chosen, is_confirmed = params.text("payment_method"), params.flag("confirm")
    is_off_session = params.flag("off_session")
    params.skip("automatic_payment_methods", "payment_method_types", "return_url", "error_on_requires_action")
    params.close()
    intent = new_intent(call, amount, currency, customer, **more)
    call.emit("payment_intent.created", intent)
    if chosen:
        method = method_of(call, chosen)
        intent["payment_method"], intent["status"] = method["id"], "requires_confirmation"
        call.state.put(intent)
    if is_confirmed:
        confirm_with(call, intent, is_off_session=is_off_session)
    return intent


def confirm(call: Call) -> Document:
    intent = call.get("payment_intent")
    if chosen := call.params.text("payment_method"):
        intent["payment_method"] = method_of(call, chosen)["id"]
    is_off_session = call.params.flag("off_session")
    call.params.skip("return_url")
    call.params.close()
    return confirm_with(call, intent, is_off_session=is_off_session)


def confirm_with(call: Call, intent: Document, *, is_off_session: bool, is_authenticated: bool = False) -> Document:
    """Charge the chosen card. Raises CardError, after what came of it is stored (see `Kept`)."""
    if intent["status"] in ("succeeded", "canceled"):
        raise InvalidRequestError(
            f"This PaymentIntent's payment could not be confirmed because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    if not intent["payment_method"]:
        raise InvalidRequestError(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    method = call.get("payment_method", intent["payment_method"], "payment_method")
    outcome = cards.OUTCOMES[method["_number"]]
    if outcome.needs_action and not is_authenticated:
        return _ask_for_authentication(call, intent, is_off_session=is_off_session)
    charge = _charge(call, intent, method, outcome)
    if outcome.code:
        return _refused(call, intent, outcome, charge)
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "last_payment_error": None,
        "next_action": None,
    }
    call.state.put(intent)
    call.emit("payment_intent.succeeded", intent)
    if outcome.is_disputed:
        _dispute(call, charge)
    return intent


def _ask_for_authentication(call: Call, intent: Document, *, is_off_session: bool) -> Document:
    if is_off_session:
        needed = cards.Outcome(
            "authentication_required", "authentication_required",
            "Your card was declined. This transaction requires authentication.",
        )  # fmt: skip
        return _refused(call, intent, needed, None)
    url = f"{call.base_url}/authenticate/{intent['id']}"
    intent |= {"status": "requires_action"}
    intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": None}}
    call.state.put(intent)
    call.emit("payment_intent.requires_action", intent)
    return intent


def _refused(call: Call, intent: Document, outcome: cards.Outcome, charge: Document | None) -> Document:
    error = cards.refuse(outcome, charge=charge["id"] if charge else None)
    intent |= {
        "status": "requires_payment_method",
        "last_payment_error": {**error.body, "payment_method": call.state.find(intent["payment_method"])},
        "latest_charge": charge["id"] if charge else intent["latest_charge"],
    }
    call.state.put(intent)
    call.emit("payment_intent.payment_failed", intent)
    raise CardError(outcome.message, **_without(error.body, "type", "message"), payment_intent=copy.deepcopy(intent))


def _without(body: Document, *names: str) -> Document:
    return {name: value for name, value in body.items() if name not in names}


def cancel(call: Call) -> Document:
    intent = call.get("payment_intent")
    reason = call.params.text("cancellation_reason")
    call.params.close()
    if intent["status"] in ("succeeded", "canceled"):
        raise InvalidRequestError(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    intent |= {"status": "canceled", "canceled_at": call.now(), "cancellation_reason": reason}
    call.state.put(intent)
    call.emit("payment_intent.canceled", intent)
    return intent


def retrieve(call: Call) -> Document:
    call.params.skip("client_secret")
    call.params.close()
    return call.get("payment_intent")


# ── Charges ──


def _charge(call: Call, intent: Document, method: Document, outcome: cards.Outcome) -> Document:
    state = call.state
    has_failed = outcome.code is not None
    charge: Document = {
        "id": state.new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if has_failed else intent["amount"],
        "amount_refunded": 0,
        "balance_transaction": None if has_failed else state.new_id("txn"),
        "billing_details": method["billing_details"],
        "captured": not has_failed,
        "created": call.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": outcome.code,
        "failure_message": outcome.message or None,
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": {
            "network_status": "declined_by_network" if has_failed else "approved_by_network",
            "reason": outcome.decline_code,
            "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline."
            if has_failed
            else "Payment complete.",
            "type": "issuer_declined" if has_failed else "authorized",
        },
        "paid": not has_failed,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": method["card"], "type": "card"},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "status": "failed" if has_failed else "succeeded",
    }
    state.put(charge)
    call.emit("charge.failed" if has_failed else "charge.succeeded", charge)
    return charge


def retrieve_charge(call: Call) -> Document:
    call.params.close()
    return call.get("charge")


def charges(call: Call) -> Document:
    customer, intent = call.params.text("customer"), call.params.text("payment_intent")
    return page(
        call,
        "charge",
        lambda c: (not customer or c["customer"] == customer) and (not intent or c["payment_intent"] == intent),
    )


# ── Refunds ──


def refund(call: Call) -> Document:
    params = call.params
    charge = _charged(call, params.text("charge"), params.text("payment_intent"))
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = params.integer("amount")
    reason = params.text("reason")
    metadata = merged({}, params.inner("metadata"))
    params.close()
    if reason not in (None, "duplicate", "fraudulent", "requested_by_customer"):
        raise InvalidRequestError(f"Invalid reason: {reason}", param="reason")
    return refund_part(call, charge, left if amount is None else amount, reason, metadata)


def refund_part(
    call: Call, charge: Document, amount: int, reason: str | None = None, metadata: dict[str, str] | None = None
) -> Document:
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left == 0:
        raise InvalidRequestError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if charge["disputed"]:
        raise InvalidRequestError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if amount <= 0:
        raise InvalidRequestError(f"Invalid positive integer: {amount}", param="amount")
    if amount > left:
        raise InvalidRequestError(
            f"Refund amount (${amount / 100:.2f}) is greater than unrefunded amount on charge (${left / 100:.2f})",
            param="amount",
        )
    state = call.state
    made = state.put(
        {
            "id": state.new_id("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": state.new_id("txn"),
            "charge": charge["id"],
            "created": call.now(),
            "currency": charge["currency"],
            "metadata": metadata or {},
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "receipt_number": None,
            "status": "succeeded",
        }
    )
    before = charge["amount_refunded"]
    charge["amount_refunded"] = before + amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    state.put(charge)
    call.emit("refund.created", made)
    call.emit("charge.refunded", charge, {"amount_refunded": before})
    return made


def retrieve_refund(call: Call) -> Document:
    call.params.close()
    return call.get("refund")


def refunds(call: Call) -> Document:
    charge, intent = call.params.text("charge"), call.params.text("payment_intent")
    return page(
        call,
        "refund",
        lambda r: (not charge or r["charge"] == charge) and (not intent or r["payment_intent"] == intent),
    )


def _charged(call: Call, charge: str | None, intent: str | None) -> Document:
    if charge:
        return call.get("charge", charge, "charge")
    if not intent:
        raise InvalidRequestError("One of the following params should be provided: payment_intent or charge.")
    found = call.get("payment_intent", intent, "payment_intent")
    if found["status"] != "succeeded":
        raise InvalidRequestError(
            f"This PaymentIntent ({intent}) has no successful charge to refund.", param="payment_intent"
        )
    return call.get("charge", found["latest_charge"])


# ── Disputes ──


def _dispute(call: Call, charge: Document) -> None:
    state = call.state
    now = call.now()
    dispute = state.put(
        {
            "id": state.new_id("dp"),
            "object": "dispute",
            "amount": charge["amount"],
            "balance_transactions": [],
            "charge": charge["id"],
            "created": now,
            "currency": charge["currency"],
            "evidence": {"uncategorized_text": None},
            "evidence_details": {"due_by": now + 7 * 86_400, "has_evidence": False, "submission_count": 0},
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": "fraudulent",
            "status": "needs_response",
        }
    )  # fmt: skip
    charge["disputed"] = True
    state.put(charge)
    call.emit("charge.dispute.created", dispute)


def retrieve_dispute(call: Call) -> Document:
    call.params.close()
    return call.get("dispute")


def disputes(call: Call) -> Document:
    charge = call.params.text("charge")
    return page(call, "dispute", lambda d: not charge or d["charge"] == charge)


def answer_dispute(call: Call) -> Document:
    """Evidence of the words "winning_evidence" or "losing_evidence" decides it, as in Stripe's test mode."""
    dispute = call.get("dispute")
    text = call.params.inner("evidence").get("uncategorized_text")
    call.params.skip("submit", "metadata")
    call.params.close()
    if text:
        dispute["evidence"] = {"uncategorized_text": text}
        dispute["evidence_details"] |= {"has_evidence": True, "submission_count": 1}
    _decide(call, dispute, {"winning_evidence": "won", "losing_evidence": "lost"}.get(text or "", "under_review"))
    return dispute


def close_dispute(call: Call) -> Document:
    dispute = call.get("dispute")
    call.params.close()
    _decide(call, dispute, "lost")
    return dispute


def _decide(call: Call, dispute: Document, status: str) -> None:
    if dispute["status"] in ("won", "lost"):
        raise InvalidRequestError("This dispute is already closed")
    before = dispute["status"]
    dispute["status"] = status
    call.state.put(dispute)
    if status == "won":
        charge = call.get("charge", dispute["charge"])
        call.state.put(charge | {"disputed": False})
    is_over = status in ("won", "lost")
    call.emit("charge.dispute.closed" if is_over else "charge.dispute.updated", dispute, {"status": before})
