"""Taking an invoice back: a credit note of all its lines. What was stated stays; both are kept.

Promotional credits that were taken off go back into the wallet, what was carried over to it is open again.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from billing.credits import discounts
from billing.documents.document import Kind
from billing.invoices.closing import document_of, lock, store, take_number
from billing.models import Invoice, InvoiceKind, LineKind
from core.errors import ApiError
from core.periods import local_day
from core.tenancy import organization_scope


def take_back(invoice: Invoice, *, reason: str, by: Actor, at: dt.datetime | None = None) -> Invoice:
    """The credit note of an invoice. Raises ApiError 409 when there is one, when it is one itself, or when
    it carries over.
    """
    organization = invoice.organization
    with organization_scope(organization.pk), transaction.atomic():
        lock(organization)
        if invoice.kind != InvoiceKind.INVOICE:
            raise ApiError(409, "not_an_invoice", "A credit note is not taken back.")
        if invoice.credit_notes.exists():
            raise ApiError(409, "already_void", f"{invoice.number} was taken back before.")
        if invoice.lines.filter(kind=LineKind.CARRIED, nanos__gt=0).exists():
            raise ApiError(
                409, "carries_over",
                f"{invoice.number} comes to 0 and carries over what is owed: there is nothing to take back.",
            )  # fmt: skip
        stated = document_of(invoice)
        at = at or now()
        issued_on = local_day(at, organization.zone)
        document = msgspec.structs.replace(
            stated,
            kind=Kind.CREDIT_NOTE,
            number=take_number(Kind.CREDIT_NOTE, issued_on.year),
            issued_on=issued_on,
            due_on=None,
            corrects=stated.number,
            corrects_of=stated.issued_on,
            notes=(*stated.notes, reason) if reason else stated.notes,
        )
        note = store(organization, document, by=by, corrects=invoice, reason=reason)
        discounts.give_back(organization, invoice.number, note.number, by=by, at=at)
        audit.record(by, "invoice.void", invoice, {"credit_note": (None, note.number)}, label=invoice.number)
        return note
