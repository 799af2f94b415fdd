"""An invoice of ours as Stripe gets it: the same number, lines and tax, checked to the cent, and made final there.

What Stripe was paid it has been paid: money that went back is asked for by another invoice, of one line and our number
with a suffix, and the paid one gets a credit note, so that all of them come to what ours states.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import stripe
from django.db import transaction

from billing.documents.document import BilledDocument, TaxLine
from billing.invoices.closing import document_of, lock
from billing.invoices.payments import paid_amount
from billing.models import Invoice, StripeCustomer, StripeInvoice
from billing.providers.stripe import recording
from billing.providers.stripe.connection import connected
from billing.providers.stripe.customers import customer_of
from core.money import divide_half_even
from core.tenancy import organization_scope

if TYPE_CHECKING:
    from stripe.params import InvoiceAddLinesParamsLine, InvoiceAddLinesParamsLineTaxAmount

# At once.
MOST_LINES = 250
MOST_CHARACTERS = 500


class DifferentTotalError(Exception):
    """Stripe's draft does not come to what our invoice states. It was thrown away."""


def at_stripe(invoice: Invoice) -> StripeInvoice:
    """The final invoice at Stripe, made where there is none; after money of a paid one went back, another for that."""
    link = _link(invoice)
    if link.stripe_id and link.pay_url:
        return link
    api = connected()
    customer = customer_of(invoice.organization)
    document = document_of(invoice)
    if not link.stripe_id:
        earlier = _before(link)
        for paid in earlier:
            recording.credit_what_went_back(paid)
        number = f"{document.number}-{len(earlier) + 1}" if earlier else document.number
        link.stripe_id = _draft(api, customer, document, link, number)
        _save(link, stripe_id=link.stripe_id)
    made = api.v1.invoices.retrieve(link.stripe_id)
    if made.status == "draft":
        made = _filled(api, document, link)
        asked = invoice.gross if link.rest is None else link.rest
        if made.total != asked:
            api.v1.invoices.delete(link.stripe_id)
            _forget(link)
            raise DifferentTotalError(f"{invoice.number} came to {made.total} at Stripe, not {asked}")
        made = api.v1.invoices.finalize_invoice(
            link.stripe_id, {"auto_advance": False}, {"idempotency_key": f"{link.key}-finalize"}
        )
    link.pay_url = made.hosted_invoice_url or ""
    _save(link, pay_url=link.pay_url)
    return link


def _draft(
    api: stripe.StripeClient, customer: StripeCustomer, document: BilledDocument, link: StripeInvoice, number: str
) -> str:
    made = api.v1.invoices.create(
        {
            "customer": customer.stripe_id,
            "currency": document.currency.lower(),
            "number": number,
            "auto_advance": False,
            "collection_method": "charge_automatically",
            "pending_invoice_items_behavior": "exclude",
            "description": f"{document.period_start:%-d %B %Y} to {document.period_end:%-d %B %Y}",
            "metadata": {"invoice": document.number},
        },
        {"idempotency_key": f"{link.key}-create"},
    )
    return str(made.id)


def _filled(api: stripe.StripeClient, document: BilledDocument, link: StripeInvoice) -> stripe.Invoice:
    lines = lines_of(document) if link.rest is None else [_line_of_rest(document, link.rest)]
    made = api.v1.invoices.retrieve(str(link.stripe_id))
    for start in range(0, len(lines), MOST_LINES):
        made = api.v1.invoices.add_lines(
            str(link.stripe_id),
            {"lines": lines[start : start + MOST_LINES]},
            {"idempotency_key": f"{link.key}-lines-{start}"},
        )
    return made


def lines_of(document: BilledDocument) -> list[InvoiceAddLinesParamsLine]:
    """Stripe's lines, each with its part of its rate's tax as an amount; the parts sum to exactly that tax."""
    parts = {tax.amount.rate: _parts(document, tax) for tax in document.taxes}
    lines: list[InvoiceAddLinesParamsLine] = []
    for line in document.lines:
        words = f"{line.description}, {line.detail}" if line.detail else line.description
        given: InvoiceAddLinesParamsLine = {"amount": line.amount, "description": words[:MOST_CHARACTERS]}
        if line.tax.percent:
            given["tax_amounts"] = [next(parts[line.tax])]
        lines.append(given)
    return lines


def _line_of_rest(document: BilledDocument, rest: int) -> InvoiceAddLinesParamsLine:
    """Tax included, as the invoice stated it before."""
    return {"amount": rest, "description": f"Due again of {document.number}: the payment went back"}


def _parts(document: BilledDocument, tax: TaxLine) -> Iterator[InvoiceAddLinesParamsLineTaxAmount]:
    """By running sums, so that every rounding is made good by the next line; also where lines are below 0."""
    rate, net = tax.amount.rate, tax.amount.net
    taxed = [line.amount for line in document.lines if line.tax == rate]
    before = running = 0
    for place, amount in enumerate(taxed, start=1):
        running += amount
        is_last = place == len(taxed)
        until = tax.amount.tax if is_last or not net else divide_half_even(tax.amount.tax * running, net)
        yield {
            "amount": until - before,
            "taxable_amount": amount,
            "tax_rate_data": {"display_name": tax.label, "percentage": float(rate.percent), "inclusive": False},
        }
        before = until


# ── The link ──


def _link(invoice: Invoice) -> StripeInvoice:
    """Stored before Stripe is asked, so that its key is the same whenever this is done again."""
    with organization_scope(invoice.organization_id), transaction.atomic():
        lock(invoice.organization)
        last: StripeInvoice | None = StripeInvoice.objects.filter(invoice=invoice).order_by("pk").last()
        due = invoice.gross - paid_amount(invoice)
        if last is not None and (not last.is_paid or due <= 0):
            return last
        link: StripeInvoice = StripeInvoice.objects.create(
            organization_id=invoice.organization_id, invoice=invoice, rest=None if last is None else due
        )
    return link


def _before(link: StripeInvoice) -> list[StripeInvoice]:
    """Those of the same invoice that were paid, and of which money went back."""
    with organization_scope(link.organization_id):
        return list(StripeInvoice.objects.filter(invoice=link.invoice_id, pk__lt=link.pk).order_by("pk"))


def _save(link: StripeInvoice, **values: str) -> None:
    with organization_scope(link.organization_id):
        StripeInvoice.objects.filter(pk=link.pk).update(**values)


def _forget(link: StripeInvoice) -> None:
    with organization_scope(link.organization_id):
        StripeInvoice.objects.filter(pk=link.pk).delete()
