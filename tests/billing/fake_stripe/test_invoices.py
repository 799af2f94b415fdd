"""Invoices whose lines are ours: made, finalized, paid, refused, credited, void."""

from __future__ import annotations

import pytest
import stripe

from .ears import Ears
from .test_payments import customer_with


def drafted(api: stripe.StripeClient, customer: stripe.Customer, **more: object) -> stripe.Invoice:
    given = {"customer": customer.id, "currency": "usd", "auto_advance": False, "number": "TL-2026-0001", **more}
    invoice = api.v1.invoices.create(given)  # type: ignore[arg-type]
    assert invoice.id is not None
    tax = {"amount": 380, "taxable_amount": 2000, "tax_rate_data": {"display_name": "VAT DE", "percentage": "19", "inclusive": "false"}}  # noqa: E501  # fmt: skip
    return api.v1.invoices.add_lines(
        invoice.id,
        {
            "lines": [
                {"amount": 2000, "description": "Developer, November", "tax_amounts": [tax]},  # type: ignore[list-item]
                {"amount": 345, "description": "gpt-4o, input", "metadata": {"line": "7"}},
            ]
        },
    )


def test_our_lines_are_its_lines(api: stripe.StripeClient, ears: Ears) -> None:
    invoice = drafted(api, customer_with(api, "pm_card_visa"))
    assert invoice.id is not None
    assert (invoice.subtotal, invoice.total, invoice.status) == (2345, 2725, "draft")
    final = api.v1.invoices.finalize_invoice(invoice.id)
    assert (final.status, final.number, final.amount_due) == ("open", "TL-2026-0001", 2725)
    paid = api.v1.invoices.pay(invoice.id, {"off_session": True, "expand": ["payments.data.payment.payment_intent"]})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 2725, 0)
    assert paid.payments is not None
    intent = paid.payments.data[0].payment.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.status == "succeeded"
    assert ears.wait_for("invoice.paid").data.object["number"] == "TL-2026-0001"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.invoices.pay(invoice.id)
    assert refused.value.code == "invoice_already_paid"


def test_what_is_final_cannot_be_edited(api: stripe.StripeClient) -> None:
    customer = customer_with(api, "pm_card_visa")
    invoice = drafted(api, customer)
    assert invoice.id is not None
    api.v1.invoices.finalize_invoice(invoice.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": 1, "currency": "usd"})
    assert refused.value.code == "invoice_not_editable"
    with pytest.raises(stripe.InvalidRequestError):
        api.v1.invoices.delete(invoice.id)


def test_a_refused_card_leaves_it_open_and_another_pays(api: stripe.StripeClient, ears: Ears) -> None:
    customer = customer_with(api, "pm_card_chargeCustomerFail")
    invoice = drafted(api, customer)
    assert invoice.id is not None
    with pytest.raises(stripe.CardError):
        api.v1.invoices.pay(invoice.id)
    kept = api.v1.invoices.retrieve(invoice.id)
    assert (kept.status, kept.attempt_count, kept.amount_remaining) == ("open", 1, 2725)
    ears.wait_for("invoice.payment_failed")
    good = api.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    assert api.v1.invoices.pay(invoice.id, {"payment_method": good.id}).status == "paid"


def test_paid_elsewhere_void_and_uncollectible(api: stripe.StripeClient) -> None:
    customer = customer_with(api, "pm_card_visa")
    first, second, third = (drafted(api, customer) for _ in range(3))
    assert first.id
    assert second.id
    assert third.id
    assert api.v1.invoices.pay(first.id, {"paid_out_of_band": True}).status == "paid"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.invoices.void_invoice(second.id)
    assert refused.value.code == "invoice_not_open"
    api.v1.invoices.finalize_invoice(second.id)
    assert api.v1.invoices.void_invoice(second.id).status == "void"
    api.v1.invoices.finalize_invoice(third.id)
    assert api.v1.invoices.mark_uncollectible(third.id).status == "uncollectible"


def test_credit_notes(api: stripe.StripeClient) -> None:
    customer = customer_with(api, "pm_card_visa")
    open_one, paid_one = drafted(api, customer), drafted(api, customer)
    assert open_one.id
    assert paid_one.id
    api.v1.invoices.finalize_invoice(open_one.id)
    api.v1.credit_notes.create({"invoice": open_one.id, "amount": 725})
    assert api.v1.invoices.retrieve(open_one.id).amount_remaining == 2000
    api.v1.invoices.pay(paid_one.id)
    with pytest.raises(stripe.InvalidRequestError, match="must equal"):
        api.v1.credit_notes.create({"invoice": paid_one.id, "amount": 725})
    note = api.v1.credit_notes.create({"invoice": paid_one.id, "amount": 725, "refund_amount": 725})
    assert note.type == "post_payment"
    assert api.v1.refunds.retrieve(str(note.refunds[0].refund)).amount == 725


def test_pending_items_join_an_invoice(api: stripe.StripeClient) -> None:
    customer = customer_with(api, "pm_card_visa")
    api.v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "usd"})
    invoice = api.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert invoice.total == 700
