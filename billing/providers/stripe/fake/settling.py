"""What becomes of an invoice: final, paid, refused by a bank, void, or credited."""

from __future__ import annotations

from billing.providers.stripe.fake import payments
from billing.providers.stripe.fake.calls import Call, page
from billing.providers.stripe.fake.customers import method_of
from billing.providers.stripe.fake.errors import CardError, InvalidRequestError, without
from billing.providers.stripe.fake.invoices import draft
from billing.providers.stripe.fake.params import merged
from billing.providers.stripe.fake.state import Document


def finalize(call: Call) -> Document:
    invoice = draft(call, call.id)
    call.params.skip("auto_advance")
    call.params.close()
    return finalized(call, invoice)


def finalized(call: Call, invoice: Document) -> Document:
    customer = call.get("customer", invoice["customer"])
    if invoice["number"] is None:
        number = customer["next_invoice_sequence"]
        call.state.put(customer | {"next_invoice_sequence": number + 1, "currency": invoice["currency"]})
        invoice["number"] = f"{customer['invoice_prefix']}-{number:04}"
    invoice["status_transitions"]["finalized_at"] = call.now(customer)
    invoice |= {"status": "open", "hosted_invoice_url": f"{call.base_url}/i/{invoice['id']}"}
    call.state.put(invoice)
    call.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        _paid(call, invoice, 0)
    return invoice


def pay(call: Call) -> Document:
    invoice = call.get("invoice")
    chosen = call.params.text("payment_method")
    is_elsewhere = call.params.flag("paid_out_of_band")
    call.params.skip("off_session", "forgive")
    call.params.close()
    return pay_with(call, invoice, chosen, is_elsewhere=is_elsewhere)


def pay_with(call: Call, invoice: Document, chosen: str | None = None, *, is_elsewhere: bool = False) -> Document:
    """Charge the given card, the invoice's, or the customer's default one. Raises CardError when the bank refuses."""
    if invoice["status"] == "draft":
        invoice = finalized(call, invoice)
    if invoice["status"] == "paid":
        raise InvalidRequestError("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] == "void":
        raise InvalidRequestError("Invoice is void", code="invoice_not_payable")
    if is_elsewhere:
        return _paid(call, invoice, invoice["amount_remaining"])
    customer = call.get("customer", invoice["customer"])
    default = customer["invoice_settings"]["default_payment_method"]
    card = chosen or invoice["default_payment_method"] or default
    if not card:
        raise InvalidRequestError(
            "This customer has no attached payment source or default payment method.",
            code="invoice_payment_intent_requires_action" if chosen else "resource_missing",
        )
    intent = payments.new_intent(
        call,
        invoice["amount_remaining"],
        invoice["currency"],
        customer["id"],
        payment_method=method_of(call, card)["id"],
        status="requires_confirmation",
        description=invoice["description"],
        metadata=invoice["metadata"],
    )
    _note_payment(call, invoice, intent, "open")
    invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    try:
        payments.confirm_with(call, intent, is_off_session=True)
    except CardError:
        call.state.put(invoice)
        call.emit("invoice.payment_failed", invoice)
        raise
    _note_payment(call, invoice, intent, "paid")
    return _paid(call, invoice, intent["amount"])


def _note_payment(call: Call, invoice: Document, intent: Document, status: str) -> None:
    """The invoice's payments: one entry for each payment intent."""
    kept = [entry for entry in invoice["payments"]["data"] if entry["payment"]["payment_intent"] != intent["id"]]
    is_paid = status == "paid"
    kept.append(
        {
            "id": call.state.new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": intent["amount"] if is_paid else None,
            "amount_requested": intent["amount"],
            "created": intent["created"],
            "currency": intent["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": status,
            "status_transitions": {"canceled_at": None, "paid_at": call.now() if is_paid else None},
        }
    )
    invoice["payments"]["data"] = kept


def _paid(call: Call, invoice: Document, amount: int) -> Document:
    invoice["status_transitions"]["paid_at"] = call.now(call.get("customer", invoice["customer"]))
    paid = invoice["amount_paid"] + amount
    invoice |= {"status": "paid", "amount_paid": paid, "amount_remaining": 0, "next_payment_attempt": None}
    call.state.put(invoice)
    call.emit("invoice.paid", invoice)
    if amount:
        call.emit("invoice.payment_succeeded", invoice)
    return invoice


def void(call: Call) -> Document:
    return _ended(call, "void", "voided_at", "invoice.voided")


def mark_uncollectible(call: Call) -> Document:
    return _ended(call, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")


def _ended(call: Call, status: str, transition: str, fact: str) -> Document:
    invoice = call.get("invoice")
    call.params.close()
    if invoice["status"] not in ("open", "uncollectible"):
        raise InvalidRequestError(
            f"You can only pass in open invoices. This invoice isn't open: it is {invoice['status']}.",
            code="invoice_not_open",
        )
    invoice["status_transitions"][transition] = call.now()
    invoice["status"] = status
    if status == "void":
        invoice["amount_remaining"] = 0
    call.state.put(invoice)
    call.emit(fact, invoice)
    return invoice


def send(call: Call) -> Document:
    invoice = call.get("invoice")
    call.params.close()
    if invoice["status"] == "draft":
        finalized(call, invoice)
    call.emit("invoice.sent", invoice)
    return invoice


# ── Credit notes ──


def credit(call: Call) -> Document:
    """Of an open invoice it lowers what is due; of a paid one the amount is refunded, or settled elsewhere."""
    params = call.params
    invoice = call.get("invoice", params.required("invoice"), "invoice")
    amount, refunded = params.integer("amount"), params.integer("refund_amount") or 0
    elsewhere, reason = params.integer("out_of_band_amount") or 0, params.text("reason")
    memo, metadata = params.text("memo"), merged({}, params.inner("metadata"))
    params.close()
    if amount is None or amount <= 0:
        raise without("amount")
    is_paid = invoice["status"] == "paid"
    _check_credit(invoice, amount, refunded, elsewhere)
    made = call.state.put(
        {
            "id": call.state.new_id("cn"),
            "object": "credit_note",
            "amount": amount,
            "created": call.now(),
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "invoice": invoice["id"],
            "livemode": False,
            "memo": memo,
            "metadata": metadata,
            "number": f"{invoice['number']}-CN-{call.state.count('credit_note') + 1:02}",
            "out_of_band_amount": elsewhere or None,
            "reason": reason,
            "refunds": [_refund(call, invoice, refunded)] if refunded else [],
            "status": "issued",
            "total": amount,
            "type": "post_payment" if is_paid else "pre_payment",
            "voided_at": None,
        }
    )
    invoice["post_payment_credit_notes_amount" if is_paid else "pre_payment_credit_notes_amount"] += amount
    call.state.put(invoice)
    call.emit("credit_note.created", made)
    if not is_paid:
        invoice["amount_due"] -= amount
        invoice["amount_remaining"] -= amount
        call.state.put(invoice)
        if invoice["amount_remaining"] == 0:
            _paid(call, invoice, 0)
    return made


def _check_credit(invoice: Document, amount: int, refunded: int, elsewhere: int) -> None:
    if invoice["status"] not in ("open", "paid"):
        raise InvalidRequestError("You can only create credit notes for open or paid invoices.", param="invoice")
    is_paid = invoice["status"] == "paid"
    credited = invoice["post_payment_credit_notes_amount"]
    left = invoice["amount_paid"] - credited if is_paid else invoice["amount_remaining"]
    if amount > left:
        raise InvalidRequestError(
            f"The credit note amount is greater than what is left of the invoice ({left}).", param="amount"
        )
    if is_paid and refunded + elsewhere != amount:
        raise InvalidRequestError("The sum of refund_amount and out_of_band_amount must equal the credit note amount.")
    if not is_paid and refunded + elsewhere:
        raise InvalidRequestError("An open invoice has nothing to refund.", param="refund_amount")


def _refund(call: Call, invoice: Document, amount: int) -> Document:
    paid = next((entry for entry in invoice["payments"]["data"] if entry["status"] == "paid"), None)
    if paid is None:
        raise InvalidRequestError("This invoice was not paid by a charge.", param="refund_amount")
    intent = call.get("payment_intent", paid["payment"]["payment_intent"])
    made = payments.refund_part(call, call.get("charge", intent["latest_charge"]), amount)
    return {"amount_refunded": amount, "refund": made["id"], "type": "refund"}


def retrieve_credit(call: Call) -> Document:
    call.params.close()
    return call.get("credit_note")


def credits_of(call: Call) -> Document:
    invoice = call.params.text("invoice")
    return page(call, "credit_note", lambda note: not invoice or note["invoice"] == invoice)
