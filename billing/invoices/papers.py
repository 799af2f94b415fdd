"""An invoice's PDF, made once for what it states: after it was issued, after each payment, or when it is asked for."""

from __future__ import annotations

import hashlib

import msgspec

from accounts import audit
from accounts.audit import Actor
from billing.documents.document import BilledDocument, Payment
from billing.invoices.closing import document_of
from billing.models import Invoice, InvoicePaper


def stated(invoice: Invoice) -> BilledDocument:
    """The document with the payments made so far. Needs the organization's scope; ValueError as `document_of`."""
    payments = tuple(
        Payment(payment.received_on, payment.amount, payment.method)
        for payment in sorted(invoice.payments.all(), key=lambda one: (one.received_on, one.pk))
    )
    return msgspec.structs.replace(document_of(invoice), payments=payments)


def paper_of(invoice: Invoice) -> InvoicePaper:
    """The PDF as of now. Two that make it at once keep one of the two."""
    document = stated(invoice)
    states = hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()
    kept: InvoicePaper | None = InvoicePaper.objects.filter(invoice=invoice, states=states).first()
    if kept is not None:
        return kept
    # WeasyPrint takes long to load; a process that makes no PDF need not.
    from billing.documents.paper import portable

    content = portable(document)
    made = InvoicePaper(
        organization_id=invoice.organization_id,
        invoice=invoice,
        states=states,
        digest=hashlib.sha256(content).hexdigest(),
        content=content,
    )
    InvoicePaper.objects.bulk_create([made], ignore_conflicts=True)
    found: InvoicePaper = InvoicePaper.objects.get(invoice=invoice, states=states)
    return found


def download(invoice: Invoice, *, by: Actor) -> bytes:
    """The PDF, for somebody who may see it: it is written down who took it."""
    paper = paper_of(invoice)
    audit.record(by, "invoice.download", invoice, {"file": (None, paper.digest)}, label=invoice.number)
    return bytes(paper.content)
