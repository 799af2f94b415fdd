"""A period's end: after a grace for late events it is closed once, and what it comes to is stated as an invoice.

Two that close at once wait for each other at the subscription's row; the second finds it done. A number is taken in the
invoice's own transaction, so none is left out. What comes for the period afterwards is charged with the next one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.audit import Actor
from accounts.models import Organization
from billing.contracts import Contract
from billing.credits import discounts
from billing.documents.document import BilledDocument, Kind
from billing.invoices.carrying import carried, remainder
from billing.invoices.charges import Charge, Late, Usage, charges_of, discounted, late_usage, usage_of
from billing.invoices.lines import CURRENCY, billed_document, in_order, parties_of
from billing.invoices.telling import tell_finalized
from billing.models import (
    ClosedPeriod,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    InvoiceSeries,
    LineKind,
    Subscription,
)
from billing.periods import Period, next_period
from billing.signals import invoice_changed
from core.tenancy import organization_scope

# How long late events are waited for.
GRACE = dt.timedelta(days=2)
# Whatever was received before that long ago has been stored since, or never will be: requests are far shorter.
SETTLED = dt.timedelta(minutes=15)
PREFIXES = {Kind.INVOICE: "INV", Kind.CREDIT_NOTE: "CN"}


def open_periods(contract: Contract, today: dt.date) -> list[Period]:
    """Those that have begun and are not closed, oldest first. Needs the organization's scope."""
    last = ClosedPeriod.objects.order_by("-ends_on").values_list("ends_on", flat=True).first()
    first_day = last or min(decision.effective_on for decision in contract.decisions)
    period = contract.period(first_day)
    found = []
    while period.starts_on <= today:
        found.append(period)
        period = next_period(period, contract.anchor_day)
    return found


def close_due_periods(organization: Organization, *, by: Actor, at: dt.datetime | None = None) -> list[ClosedPeriod]:
    """Close every period whose grace is over, oldest first. Raises NoSellerError."""
    at = at or now()
    with organization_scope(organization.pk):
        contract = Contract.load(organization)
        if contract is None:
            return []
        due = [
            period
            for period in open_periods(contract, contract.today(at))
            if period.instants(contract.zone)[1] + GRACE <= at
        ]
        return [close_period(organization, period, by=by, at=at) for period in due]


def close_period(
    organization: Organization, period: Period, *, by: Actor, at: dt.datetime, as_of: dt.datetime | None = None
) -> ClosedPeriod:
    """Close a period; the row that is there when it was closed before. Raises ValueError before it is over.

    `at` dates the invoice. Whoever knows that nothing is being received may say which instant's events it is of.
    """
    as_of = as_of or at - SETTLED
    with organization_scope(organization.pk):
        contract = Contract.load(organization)
        if contract is None or period.instants(contract.zone)[1] > as_of:
            raise ValueError(f"the period from {period.starts_on} is not over yet")
        usage = usage_of(contract, period, as_of)
        late = late_usage(contract, period.starts_on, as_of)
        with transaction.atomic():
            lock(organization)
            done: ClosedPeriod | None = ClosedPeriod.objects.filter(starts_on=period.starts_on, revision=0).first()
            if done is not None:
                return done
            charges = charges_of(contract, period, usage, late)
            invoice = _invoice(organization, contract, period, charges, usage, by=by, at=at)
            closed = _closed(organization, period, usage, as_of, invoice)
            if invoice is not None:
                for one in late:
                    _revised(one, as_of, invoice)
            return closed


def lock(organization: Organization) -> None:
    """One act of billing at a time for an organization, until the transaction ends."""
    if not Subscription.objects.select_for_update().filter(organization=organization).exists():
        raise ValueError("an organization without a plan is not billed")


def _invoice(
    organization: Organization,
    contract: Contract,
    period: Period,
    charges: Sequence[Charge],
    usage: Usage,
    *,
    by: Actor,
    at: dt.datetime,
) -> Invoice | None:
    """None where there is nothing to bill: no fee, nothing over, nothing late."""
    if not any(charge.nanos for charge in charges):
        return None
    charges = discounted(carried(charges, remainder()), discounts.room_nanos(organization, at))
    parties = parties_of(organization, period.ends_on - dt.timedelta(days=1))
    issued_on = contract.today(at)
    number = take_number(Kind.INVOICE, issued_on.year)
    document = billed_document(
        charges, parties, period, number=number, issued_on=issued_on, over=usage.over, proof_url=_proof_url(number)
    )
    invoice = store(organization, document, by=by)
    _store_lines(invoice, document, in_order(charges))
    if off := -sum(charge.nanos for charge in charges if charge.kind == LineKind.CREDITS):
        discounts.take_off(organization, off, number, by=by, at=at)
    gross = Decimal(invoice.gross).scaleb(-2)
    audit.record(by, "invoice.finalize", invoice, {"gross_usd": (None, gross)}, label=number)
    return invoice


def take_number(kind: Kind, year: int) -> str:
    """The next of its series. Needs a transaction: its row stays locked until the invoice that has it is there."""
    prefix = PREFIXES[kind]
    InvoiceSeries.objects.get_or_create(prefix=prefix, year=year)
    series = InvoiceSeries.objects.select_for_update().get(prefix=prefix, year=year)
    series.last += 1
    series.save(update_fields=["last"])
    return f"{prefix}-{year}-{series.last:04}"


def store(
    organization: Organization,
    document: BilledDocument,
    *,
    by: Actor,
    corrects: Invoice | None = None,
    reason: str = "",
) -> Invoice:
    stated = msgspec.json.encode(document, order="deterministic")
    invoice: Invoice = Invoice.objects.create(
        organization=organization,
        kind=InvoiceKind(document.kind.value),
        number=document.number,
        issued_on=document.issued_on,
        due_on=document.due_on,
        period_start=document.period_start,
        period_end=document.period_end,
        currency=CURRENCY,
        net=document.net,
        tax=document.total.tax,
        gross=document.gross,
        document=json.loads(stated),
        digest=hashlib.sha256(stated).hexdigest(),
        corrects=corrects,
        reason=reason,
        created_by_label=by.label[:254],
    )
    tell_finalized(invoice)
    tell_changed(invoice)
    return invoice


def tell_changed(invoice: Invoice) -> None:
    """Once the transaction is committed."""
    told = {"organization_id": invoice.organization_id, "invoice_id": invoice.pk}
    transaction.on_commit(partial(invoice_changed.send_robust, Invoice, **told))


def document_of(invoice: Invoice) -> BilledDocument:
    """What the invoice states. Raises ValueError when it is not what was stated."""
    document = msgspec.convert(invoice.document, BilledDocument, strict=False)
    if hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest() != invoice.digest:
        raise ValueError(f"{invoice.number} does not state what it stated")
    return document


def _store_lines(invoice: Invoice, document: BilledDocument, charges: Sequence[Charge]) -> None:
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            organization_id=invoice.organization_id,
            invoice=invoice,
            position=position,
            kind=charge.kind,
            description=charge.description[:300],
            model=charge.model[:200],
            provider=charge.provider[:60],
            bucket=charge.bucket[:30],
            quantity=charge.quantity,
            femtos_per_unit=charge.femtos_per_unit,
            nanos=charge.nanos,
            amount=line.amount,
            about=charge.about,
            events=charge.manifest.events if charge.manifest else None,
            events_nanos=charge.manifest.cost_nanos if charge.manifest else None,
            events_digest=charge.manifest.digest if charge.manifest else "",
        )
        for position, (charge, line) in enumerate(zip(charges, document.lines, strict=True), start=1)
    )


def _closed(
    organization: Organization, period: Period, usage: Usage, as_of: dt.datetime, invoice: Invoice | None
) -> ClosedPeriod:
    closed: ClosedPeriod = ClosedPeriod.objects.create(
        organization=organization,
        starts_on=period.starts_on,
        ends_on=period.ends_on,
        as_of=as_of,
        invoice=invoice,
        used_tokens=usage.used,
        charged_from=usage.charged_from,
        included_tokens=usage.included,
        over_tokens=usage.over.tokens,
        over_nanos=usage.over.cost_nanos,
        over_events=usage.over.events,
        over_digest=usage.over.digest,
    )
    return closed


def _revised(late: Late, as_of: dt.datetime, invoice: Invoice) -> None:
    before, over = late.closed, late.over
    ClosedPeriod.objects.create(
        organization_id=before.organization_id,
        starts_on=before.starts_on,
        ends_on=before.ends_on,
        revision=before.revision + 1,
        as_of=as_of,
        invoice=invoice,
        used_tokens=late.used,
        charged_from=before.charged_from,
        included_tokens=before.included_tokens,
        over_tokens=over.tokens,
        over_nanos=over.cost_nanos,
        over_events=over.events,
        over_digest=over.digest,
    )


def _proof_url(number: str) -> str:
    return f"{settings.BASE_URL}/prove/{number}"
