"""Money that came for an invoice, recorded once; and what an invoice's standing is."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from billing.invoices.closing import lock, tell_changed
from billing.invoices.telling import tell_paid
from billing.models import Invoice, InvoiceKind, InvoicePayment
from core.errors import ApiError
from core.periods import local_day
from core.tenancy import organization_scope


class Standing(enum.StrEnum):
    OPEN = "open"
    OVERDUE = "overdue"
    PAID = "paid"
    VOID = "void"
    # A credit note takes back; nothing is due of it.
    ISSUED = "issued"


def due_amount(invoice: Invoice) -> int:
    """What is still to be paid of it; without a query when its relations were prefetched."""
    if invoice.kind == InvoiceKind.CREDIT_NOTE or invoice.credit_notes.all():
        return 0
    return max(0, invoice.gross - sum(payment.amount for payment in invoice.payments.all()))


def paid_amount(invoice: Invoice) -> int:
    return int(invoice.payments.aggregate(total=Sum("amount"))["total"] or 0)


def standing_of(invoice: Invoice, today: dt.date) -> Standing:
    """Two queries, none when `payments` and `credit_notes` were prefetched."""
    if invoice.kind == InvoiceKind.CREDIT_NOTE:
        return Standing.ISSUED
    if invoice.credit_notes.all():
        return Standing.VOID
    if sum(payment.amount for payment in invoice.payments.all()) >= invoice.gross:
        return Standing.PAID
    is_late = invoice.due_on is not None and invoice.due_on < today
    return Standing.OVERDUE if is_late else Standing.OPEN


def record_payment(
    invoice: Invoice,
    amount: int,
    *,
    received_on: dt.date,
    method: str,
    source: str,
    by: Actor,
    note: str = "",
) -> InvoicePayment:
    """Record money that came, in minor units, or went back (below 0). The same `source` again changes nothing.

    Raises ApiError 409 for a source that stood for something else, or an invoice that nothing is due of; 422 for more
    than is due, more back than came, or a day to come.
    """
    organization = invoice.organization
    with organization_scope(organization.pk), transaction.atomic():
        lock(organization)
        known: InvoicePayment | None = InvoicePayment.objects.filter(source=source).first()
        if known is not None:
            if (known.invoice_id, known.amount) != (invoice.pk, amount):
                raise ApiError(409, "source_conflict", f"{source!r} stands for another payment.", param="source")
            return known
        _check(invoice, amount, received_on, local_day(now(), organization.zone))
        payment: InvoicePayment = InvoicePayment.objects.create(
            organization=organization,
            invoice=invoice,
            amount=amount,
            received_on=received_on,
            method=method,
            source=source,
            note=note,
            recorded_by_label=by.label[:254],
        )
        audit.record(
            by, "invoice.payment", payment, {"amount_usd": (None, Decimal(amount).scaleb(-2))}, label=invoice.number
        )
        if amount > 0 and paid_amount(invoice) >= invoice.gross:
            tell_paid(invoice, payment)
        tell_changed(invoice)
        return payment


def _check(invoice: Invoice, amount: int, received_on: dt.date, today: dt.date) -> None:
    if invoice.kind != InvoiceKind.INVOICE:
        raise ApiError(409, "not_payable", "A credit note is not paid.")
    if received_on > today:
        raise ApiError(422, "invalid_parameter", "Money cannot have come on a day to come.", param="received_on")
    paid = paid_amount(invoice)
    if amount < 0:
        if -amount > paid:
            raise ApiError(422, "invalid_parameter", "No more can go back than came.", param="amount")
        return
    is_void = invoice.credit_notes.exists()
    if is_void or paid >= invoice.gross:
        raise ApiError(409, "nothing_due", f"Nothing is due of {invoice.number}.")
    if amount == 0 or paid + amount > invoice.gross:
        raise ApiError(422, "invalid_parameter", "This is not between nothing and what is due.", param="amount")
