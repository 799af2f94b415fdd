"""Invoices as they are listed: with what came for each, by standing."""

from __future__ import annotations

import datetime as dt

from django.db.models import Exists, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from billing.invoices.payments import Standing
from billing.models import Invoice, InvoiceKind, InvoicePayment


def listed(today: dt.date, standing: Standing | None = None) -> QuerySet[Invoice]:
    """Invoices and credit notes with their payments at hand. Needs the organization's scope."""
    rows: QuerySet[Invoice] = Invoice.objects.prefetch_related("payments", "credit_notes").select_related("corrects")
    if standing is None:
        return rows
    if standing is Standing.ISSUED:
        return rows.filter(kind=InvoiceKind.CREDIT_NOTE)
    came = InvoicePayment.objects.filter(invoice=OuterRef("pk")).order_by().values("invoice")
    rows = rows.filter(kind=InvoiceKind.INVOICE).alias(
        is_void=Exists(Invoice.objects.filter(corrects=OuterRef("pk"))),
        came=Coalesce(Subquery(came.annotate(total=Sum("amount")).values("total")), 0),
    )
    if standing is Standing.VOID:
        return rows.filter(is_void=True)
    rows = rows.filter(is_void=False)
    if standing is Standing.PAID:
        return rows.filter(came__gte=F("gross"))
    rows = rows.filter(came__lt=F("gross"))
    return rows.filter(due_on__lt=today) if standing is Standing.OVERDUE else rows.exclude(due_on__lt=today)
