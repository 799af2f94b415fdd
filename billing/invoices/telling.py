"""What is told of an invoice, in the transaction that issues it or in which it is paid (core/facts.py)."""

from __future__ import annotations

from decimal import Decimal

from django.urls import reverse

from billing.models import Invoice, InvoicePayment
from core.facts import Fact, tell


def tell_finalized(invoice: Invoice) -> None:
    tell(
        Fact(
            "invoice.finalized",
            invoice.organization_id,
            key=f"invoice:{invoice.pk}",
            data={
                "page": page_of(invoice),
                "number": invoice.number,
                "kind": str(invoice.kind),
                "corrects": invoice.corrects.number if invoice.corrects else None,
                "issued_on": invoice.issued_on.isoformat(),
                "due_on": invoice.due_on.isoformat() if invoice.due_on else None,
                "period_start": invoice.period_start.isoformat(),
                "period_end": invoice.period_end.isoformat(),
                "currency": invoice.currency,
                **{name: money(getattr(invoice, name)) for name in ("net", "tax", "gross")},
            },
        )
    )


def tell_paid(invoice: Invoice, payment: InvoicePayment) -> None:
    """`payment` is the one that made it whole: after money went back, another may do so again."""
    tell(
        Fact(
            "invoice.paid",
            invoice.organization_id,
            key=f"payment:{payment.pk}",
            data={
                "page": page_of(invoice),
                "number": invoice.number,
                "currency": invoice.currency,
                "gross": money(invoice.gross),
                "paid_on": payment.received_on.isoformat(),
                "method": payment.method,
            },
        )
    )


def page_of(invoice: Invoice) -> str:
    return reverse("billing:invoice", args=[invoice.organization.slug, invoice.number])


def money(minor_units: int) -> str:
    return str(Decimal(minor_units).scaleb(-2))
