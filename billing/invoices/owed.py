"""What every organization owes, at once, for the operator's pages."""

from __future__ import annotations

import datetime as dt
import enum

import msgspec
from django.db.models import Exists, F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from billing.models import DunningFact, DunningKind, Invoice, InvoiceKind, InvoicePayment
from core.tenancy import unscoped
from metering.models import Limit, LimitKind


class PaymentState(enum.StrEnum):
    # Calls are refused until something is paid.
    STOPPED = "stopped"
    # A payment was refused, and it is still due.
    REFUSED = "refused"
    OVERDUE = "overdue"
    OPEN = "open"
    PAID = "paid"


class Owed(msgspec.Struct, frozen=True):
    """`open_minor` is to be paid, of it `invoices`; the first of them is due on `due_on`."""

    open_minor: int
    invoices: int
    due_on: dt.date | None
    is_stopped: bool
    # A payment of one of them was refused.
    is_refused: bool

    def state(self, today: dt.date) -> PaymentState:
        if self.is_stopped:
            return PaymentState.STOPPED
        if not self.invoices:
            return PaymentState.PAID
        if self.is_refused:
            return PaymentState.REFUSED
        return PaymentState.OVERDUE if self.due_on is not None and self.due_on < today else PaymentState.OPEN


def owed_by_each() -> dict[int, Owed]:
    """By the organization's id; who was never billed is not in it."""
    with unscoped("the operator sees who owes what"):
        stopped = set(Limit.objects.filter(kind=LimitKind.PAYMENT).values_list("organization_id", flat=True))
        came = InvoicePayment.objects.filter(invoice=OuterRef("pk")).order_by().values("invoice")
        rows = (
            Invoice.objects.filter(kind=InvoiceKind.INVOICE)
            .annotate(
                is_void=Exists(Invoice.objects.filter(corrects=OuterRef("pk"))),
                left=F("gross") - Coalesce(Subquery(came.annotate(total=Sum("amount")).values("total")), 0),
                dunned=Subquery(DunningFact.objects.filter(invoice=OuterRef("pk")).order_by("-pk").values("kind")[:1]),
            )
            .values_list("organization_id", "is_void", "left", "due_on", "dunned")
        )
        found: dict[int, list[tuple[int, dt.date | None, bool]]] = {}
        for organization_id, is_void, left, due_on, dunned in rows:
            due = found.setdefault(organization_id, [])
            if left > 0 and not is_void:
                due.append((left, due_on, dunned in (DunningKind.REFUSED, DunningKind.SUSPENDED)))
    return {
        organization_id: Owed(
            sum(left for left, _, _ in due),
            len(due),
            min((day for _, day, _ in due if day is not None), default=None),
            organization_id in stopped,
            any(is_refused for _, _, is_refused in due),
        )
        for organization_id, due in found.items()
    }
