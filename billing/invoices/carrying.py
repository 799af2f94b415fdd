"""What a period owes the customer: no invoice is below 0, so the rest is carried over to the next, until it is used up.

These lines of all invoices that were not taken back sum up to what is open: one that carries over adds, one that takes
off subtracts. docs/algorithms/invoices.md has an example.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from django.db.models import Exists, OuterRef, Sum

from billing.invoices.charges import Charge
from billing.models import Invoice, InvoiceKind, InvoiceLine, LineKind
from core.money import minor_units_from_nanos, nanos_from_minor_units


class Remainder(msgspec.Struct, frozen=True):
    """Nano-dollars, whole cents, that the customer has still to get; `number` is the last invoice that carried over."""

    nanos: int = 0
    number: str = ""


def remainder(before: Invoice | None = None) -> Remainder:
    """What is open, or was when an invoice was stated. Needs the organization's scope."""
    invoices, notes = Invoice.objects.filter(kind=InvoiceKind.INVOICE), Invoice.objects.filter(corrects=OuterRef("pk"))
    if before is not None:
        invoices, notes = invoices.filter(pk__lt=before.pk), notes.filter(pk__lt=before.pk)
    lines = InvoiceLine.objects.filter(kind=LineKind.CARRIED, invoice__in=invoices.exclude(Exists(notes)))
    nanos = lines.aggregate(sum=Sum("nanos"))["sum"] or 0
    if not nanos:
        return Remainder()
    last = lines.filter(nanos__gt=0).order_by("-invoice_id").values_list("invoice__number", flat=True)
    return Remainder(nanos, last[0])


def carried(charges: Sequence[Charge], open_: Remainder) -> list[Charge]:
    """With what was carried over so far taken off, and what is below 0 then carried over: in whole cents.

    Charges that are none, or worth nothing, stay as they are: there is no invoice that could take anything off.
    """
    found = list(charges)
    if not any(charge.nanos for charge in charges):
        return found
    if open_.nanos:
        found.append(
            Charge(LineKind.CARRIED, f"Carried over from {open_.number}", -open_.nanos, words="taken off before tax")
        )
    cents = sum(minor_units_from_nanos(charge.nanos) for charge in found)
    if cents < 0:
        found.append(
            Charge(
                LineKind.CARRIED,
                "Carried over to the next invoice",
                nanos_from_minor_units(-cents),
                words="in your favor",
            )
        )
    return found


def left(open_: Remainder, charges: Sequence[Charge], number: str) -> Remainder:
    """What is open after an invoice of these charges."""
    nanos = open_.nanos + sum(charge.nanos for charge in charges if charge.kind == LineKind.CARRIED)
    return Remainder(
        nanos, number if any(c.kind == LineKind.CARRIED and c.nanos > 0 for c in charges) else open_.number
    )
