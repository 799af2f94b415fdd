"""Invoices and their lines, as drafts and to read; settling.py has what comes of them."""

from __future__ import annotations

from typing import Any

from billing.providers.stripe.fake.calls import Call, listed, page
from billing.providers.stripe.fake.errors import InvalidRequestError, without
from billing.providers.stripe.fake.params import Params, merged
from billing.providers.stripe.fake.state import Document

_IGNORED = ("automatic_tax", "payment_settings", "statement_descriptor", "rendering", "account_tax_ids")


# ── Making ──


def create(call: Call) -> Document:
    params = call.params
    customer = call.get("customer", params.required("customer"), "customer")
    currency = params.currency(default=customer["currency"] or "usd")
    auto_advance = params.flag("auto_advance")
    method = params.choice("collection_method", ("charge_automatically", "send_invoice"), "charge_automatically")
    days = params.integer("days_until_due")
    if method == "send_invoice" and days is None and "due_date" not in params:
        raise InvalidRequestError(
            "If invoice's collection method is `send_invoice`, you must pass one of `days_until_due` or `due_date`."
        )
    invoice = new_invoice(call, customer, currency, "manual")
    invoice |= {
        "auto_advance": auto_advance,
        "collection_method": method,
        "due_date": params.integer("due_date") or (call.now(customer) + days * 86_400 if days else None),
        "default_payment_method": params.text("default_payment_method"),
        "metadata": merged({}, params.inner("metadata")),
    }
    _texts(params, invoice)
    if params.choice("pending_invoice_items_behavior", ("exclude", "include"), "exclude") == "include":
        _take_pending(call, invoice)
    params.skip(*_IGNORED)
    params.close()
    call.state.put(invoice)
    call.emit("invoice.created", invoice)
    return invoice


def new_invoice(call: Call, customer: Document, currency: str, reason: str) -> Document:
    state = call.state
    now = call.now(customer)
    return state.put(
        {
            "id": state.new_id("in"),
            "object": "invoice",
            "account_country": "US",
            "account_name": "Tokenledger test account",
            "amount_due": 0,
            "amount_overpaid": 0,
            "amount_paid": 0,
            "amount_remaining": 0,
            "amount_shipping": 0,
            "attempt_count": 0,
            "attempted": False,
            "auto_advance": False,
            "billing_reason": reason,
            "collection_method": "charge_automatically",
            "confirmation_secret": None,
            "created": now,
            "currency": currency,
            "customer": customer["id"],
            "customer_address": customer["address"],
            "customer_email": customer["email"],
            "customer_name": customer["name"],
            "customer_tax_exempt": customer["tax_exempt"],
            "default_payment_method": None,
            "description": None,
            "discounts": [],
            "due_date": None,
            "ending_balance": None,
            "footer": None,
            "hosted_invoice_url": None,
            "invoice_pdf": None,
            "lines": listed([]),
            "livemode": False,
            "metadata": {},
            "next_payment_attempt": None,
            "number": None,
            "parent": None,
            "payments": listed([]),
            "period_end": now,
            "period_start": now,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "receipt_number": None,
            "starting_balance": 0,
            "status": "draft",
            "status_transitions": {
                "finalized_at": None,
                "marked_uncollectible_at": None,
                "paid_at": None,
                "voided_at": None,
            },
            "subtotal": 0,
            "test_clock": customer["test_clock"],
            "total": 0,
            "total_excluding_tax": 0,
            "total_taxes": [],
        }
    )


def _take_pending(call: Call, invoice: Document) -> None:
    customer = invoice["customer"]
    for item in call.state.newest("invoiceitem", lambda i: i["customer"] == customer and not i["invoice"]):
        call.state.put(item | {"invoice": invoice["id"]})
        add_line(call, invoice, item["amount"], item["description"], item["metadata"], item["id"])


def update(call: Call) -> Document:
    invoice = call.get("invoice")
    invoice["metadata"] = merged(invoice["metadata"], call.params.inner("metadata"))
    if invoice["status"] == "draft":
        _texts(call.params, invoice)
        invoice["default_payment_method"] = call.params.text(
            "default_payment_method", invoice["default_payment_method"]
        )
        call.params.skip("due_date", "auto_advance", *_IGNORED)
    call.params.close()
    call.state.put(invoice)
    call.emit("invoice.updated", invoice, {})
    return invoice


def _texts(params: Params, invoice: Document) -> None:
    for name in ("description", "footer", "number"):
        invoice[name] = params.text(name, invoice[name])
    params.skip("custom_fields")


def add_item(call: Call) -> Document:
    params = call.params
    customer = call.get("customer", params.required("customer"), "customer")
    currency, amount = params.currency(default="usd"), params.integer("amount")
    if amount is None:
        raise without("amount")
    into = params.text("invoice")
    description, metadata = params.text("description"), merged({}, params.inner("metadata"))
    params.skip("period", "tax_rates", "tax_behavior", "discountable")
    params.close()
    item = call.state.put(
        {
            "id": call.state.new_id("ii"),
            "object": "invoiceitem",
            "amount": amount,
            "currency": currency,
            "customer": customer["id"],
            "date": call.now(customer),
            "description": description,
            "discountable": True,
            "invoice": into,
            "livemode": False,
            "metadata": metadata,
            "quantity": 1,
        }
    )
    if into:
        invoice = draft(call, into)
        add_line(call, invoice, amount, description, metadata, item["id"])
        call.state.put(invoice)
    call.emit("invoiceitem.created", item)
    return item


def add_lines(call: Call) -> Document:
    """Many lines at once, each with an amount, and the taxes it carries as amounts."""
    invoice = draft(call, call.id)
    lines = call.params.items("lines")
    call.params.skip("invoice_metadata")
    call.params.close()
    if not 1 <= len(lines) <= 250:
        raise InvalidRequestError("You may add between 1 and 250 lines at once.", param="lines")
    for place, given in enumerate(lines):
        line = Params(given if isinstance(given, dict) else {})
        amount = line.integer("amount")
        if amount is None:
            raise without(f"lines[{place}][amount]")
        added = add_line(call, invoice, amount, line.text("description"), merged({}, line.inner("metadata")), None)
        added["taxes"] = [_tax(tax) for tax in line.items("tax_amounts")]
        line.skip("period", "quantity", "discountable")
        line.close()
    _sum(invoice)
    return call.state.put(invoice)


def _tax(given: Any) -> Document:
    tax = Params(given if isinstance(given, dict) else {})
    amount, base, rate = tax.integer("amount"), tax.integer("taxable_amount"), Params(tax.inner("tax_rate_data"))
    tax.close()
    if amount is None or base is None:
        raise without("lines[tax_amounts]")
    is_inclusive = rate.flag("inclusive")
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if is_inclusive else "exclusive",
        "tax_rate_details": {"display_name": rate.required("display_name"), "percentage": rate.text("percentage")},
        "taxability_reason": "standard_rated",
        "taxable_amount": base,
        "type": "tax_rate_details",
    }


def add_line(
    call: Call, invoice: Document, amount: int, description: str | None, metadata: dict[str, str], item: str | None
) -> Document:
    line: Document = {
        "id": call.state.new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": invoice["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": metadata,
        "parent": {"type": "invoice_item_details", "invoice_item_details": {"invoice_item": item}} if item else None,
        "period": {"end": invoice["period_end"], "start": invoice["period_start"]},
        "quantity": 1,
        "taxes": [],
    }
    invoice["lines"]["data"].append(line)
    _sum(invoice)
    return line


def _sum(invoice: Document) -> None:
    lines = invoice["lines"]["data"]
    taxes = [tax for line in lines for tax in line["taxes"]]
    subtotal = sum(line["amount"] for line in lines)
    on_top = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    inside = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    total = subtotal + on_top
    invoice |= {"subtotal": subtotal, "total": total, "total_excluding_tax": subtotal - inside, "total_taxes": taxes}
    invoice |= {"amount_due": max(total, 0), "amount_remaining": max(total, 0)}


def draft(call: Call, id: str) -> Document:  # noqa: A002
    invoice = call.get("invoice", id, "invoice")
    if invoice["status"] != "draft":
        raise InvalidRequestError("This invoice is no longer editable", code="invoice_not_editable")
    return invoice


# ── Reading ──


def retrieve(call: Call) -> Document:
    call.params.close()
    return call.get("invoice")


def invoices(call: Call) -> Document:
    customer, status = call.params.text("customer"), call.params.text("status")
    return page(
        call,
        "invoice",
        lambda i: (not customer or i["customer"] == customer) and (not status or i["status"] == status),
    )


def lines(call: Call) -> Document:
    invoice = call.get("invoice")
    call.params.skip("limit", "starting_after")
    call.params.close()
    return listed(invoice["lines"]["data"])


def delete(call: Call) -> Document:
    invoice = draft(call, call.id)
    call.params.close()
    call.state.forget(invoice["id"])
    call.emit("invoice.deleted", invoice)
    return {"id": invoice["id"], "object": "invoice", "deleted": True}
