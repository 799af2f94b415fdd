"""Every invoice recomputed from the events, as they were when it was made: part of `manage.py prove`."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from billing.credits.discounts import SOURCE
from billing.invoices.carrying import remainder
from billing.invoices.closing import document_of
from billing.models import ClosedPeriod, CreditEntry, Invoice, InvoiceKind, InvoiceLine, LineKind
from core.periods import day_start
from metering.proofs.subject import CheckResult, Difference, Subject
from metering.query.billed import billed

WORDS = "Invoices, recomputed from the events of their instant"


def check(subject: Subject) -> CheckResult:
    """Periods that begin in the subject's month, each revision of them, and the invoices stated for them."""
    first, last = subject.month, subject.end.astimezone(subject.zone).date()
    periods = ClosedPeriod.objects.filter(starts_on__gte=first, starts_on__lt=last).select_related("invoice")
    differences: list[Difference] = []
    compared = 0
    for closed in periods.order_by("starts_on", "revision"):
        compared += 1
        differences += _of_period(closed, subject.zone)
    invoices = Invoice.objects.filter(period_start__gte=first, period_start__lt=last, kind=InvoiceKind.INVOICE)
    for invoice in invoices.order_by("number"):
        compared += 1
        differences += _of_invoice(invoice)
    note = "" if compared else "No period of this month was closed yet."
    return CheckResult("invoices", WORDS, compared, "statements", len(differences), tuple(differences[:50]), note)


def differences_of(invoice: Invoice, zone: ZoneInfo) -> list[Difference]:
    """One invoice, with the periods it charged, recomputed from their events. Needs the organization's scope."""
    found = _of_invoice(invoice)
    for closed in ClosedPeriod.objects.filter(invoice=invoice).order_by("starts_on", "revision"):
        found += _of_period(closed, zone)
    return found


def _of_period(closed: ClosedPeriod, zone: ZoneInfo) -> list[Difference]:
    if closed.charged_from is None or closed.included_tokens is None:
        return []
    start, end = day_start(closed.charged_from, zone), day_start(closed.ends_on, zone)
    over = billed(closed.organization_id, start, end, closed.included_tokens, closed.as_of).manifest
    where = f"period from {closed.starts_on}, revision {closed.revision}"
    stated = {
        "tokens": closed.over_tokens,
        "cost in nano-dollars": closed.over_nanos,
        "events": closed.over_events,
        "hash": closed.over_digest,
    }
    expected = (over.tokens, over.cost_nanos, over.events, over.digest)
    return [
        Difference(where, field, str(found), str(was))
        for (field, was), found in zip(stated.items(), expected, strict=True)
        if was != found
    ]


def _of_invoice(invoice: Invoice) -> list[Difference]:
    """What it states against its own lines and their events."""
    try:
        document = document_of(invoice)
    except ValueError as wrong:
        return [Difference(invoice.number, "document", "as stated", str(wrong))]
    lines = list(InvoiceLine.objects.filter(invoice=invoice).order_by("position"))
    found = [
        Difference(f"{invoice.number}, line {line.position}", "amount", str(stated.amount), str(line.amount))
        for line, stated in zip(lines, document.lines, strict=False)
        if line.amount != stated.amount
    ]
    if (document.net, document.total.tax, document.gross) != (invoice.net, invoice.tax, invoice.gross):
        found.append(Difference(invoice.number, "total", str(document.gross), str(invoice.gross)))
    if len(lines) != len(document.lines):
        found.append(Difference(invoice.number, "lines", str(len(document.lines)), str(len(lines))))
    return found + _of_usage(invoice, lines) + _of_carried(invoice, lines) + _of_credits(invoice, lines)


def _of_usage(invoice: Invoice, lines: list[InvoiceLine]) -> list[Difference]:
    """The lines of usage sum to what their period was charged, to the nano-dollar."""
    closed = ClosedPeriod.objects.filter(invoice=invoice, revision=0).first()
    if closed is None:
        return []
    nanos = sum(line.nanos for line in lines if line.kind in (LineKind.USAGE, LineKind.TOOL))
    if nanos == closed.over_nanos:
        return []
    return [Difference(invoice.number, "usage", str(closed.over_nanos), str(nanos))]


def _of_carried(invoice: Invoice, lines: list[InvoiceLine]) -> list[Difference]:
    """It takes off all that was open before it, and carries over just what would bring its sum below 0."""
    parts = [line.nanos for line in lines if line.kind == LineKind.CARRIED]
    off, over = sum(part for part in parts if part < 0), sum(part for part in parts if part > 0)
    found = []
    if off != (expected := -remainder(invoice).nanos):
        found.append(Difference(invoice.number, "carried over in nano-dollars", str(expected), str(off)))
    if over and invoice.gross:
        found.append(Difference(invoice.number, "total after what is carried over", "0", str(invoice.gross)))
    return found


def _of_credits(invoice: Invoice, lines: list[InvoiceLine]) -> list[Difference]:
    """What it took off is what the ledger of credits gave for it, and all of that came back with a credit note."""
    numbers = [invoice.number, *invoice.credit_notes.values_list("number", flat=True)]
    entries = CreditEntry.objects.filter(source__in=[f"{SOURCE}{number}" for number in numbers])
    given = {entry.source.removeprefix(SOURCE): entry.amount_nanos for entry in entries}
    off = sum(line.nanos for line in lines if line.kind == LineKind.CREDITS)
    found = []
    for number, sign in zip(numbers, (1, -1), strict=False):
        if given.get(number, 0) != sign * off:
            found.append(Difference(number, "credits in nano-dollars", str(given.get(number, 0)), str(sign * off)))
    return found
