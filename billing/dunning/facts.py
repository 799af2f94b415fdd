"""What happens to an invoice whose payment was refused: each a fact, once, that people and programs are told of."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from billing.dunning.course import attempts_of, course_of
from billing.dunning.suspension import push_suspension
from billing.dunning.telling import tell_recovered, tell_refused, tell_suspended
from billing.invoices.closing import lock
from billing.invoices.payments import Standing, paid_amount, standing_of
from billing.models import DunningFact, DunningKind, Invoice
from core.periods import local_day
from core.tenancy import organization_scope


def refused(invoice: Invoice, attempt: int, *, code: str, message: str, pay_url: str, at: dt.datetime) -> None:
    """A payment was refused, for the `attempt`-th time; the same again changes nothing."""
    organization = invoice.organization
    with organization_scope(organization.pk), transaction.atomic():
        lock(organization)
        if not _add(invoice, DunningKind.REFUSED, attempt, at, code=code, message=message):
            return
        course = course_of(invoice)
        if course is None:
            raise ValueError(f"{invoice.number} has a refusal and no course")
        tell_refused(invoice, course, _due(invoice), code=code, message=message, pay_url=pay_url, at=at)


def suspend(invoice: Invoice, *, pay_url: str, at: dt.datetime) -> None:
    """Suspend calls where the grace is over. Nothing where it is not, or where it was done."""
    organization = invoice.organization
    with organization_scope(organization.pk), transaction.atomic():
        lock(organization)
        course = course_of(invoice)
        if course is None or course.is_suspended or at < course.suspends_at or not _is_owed(invoice, at):
            return
        _add(invoice, DunningKind.SUSPENDED, course.attempts, at)
        push_suspension(organization.pk, at)
        tell_suspended(invoice, course, _due(invoice), pay_url=pay_url, at=at)


def recover(invoice: Invoice, *, at: dt.datetime) -> None:
    """Calls go on as soon as nothing is due of the invoice. Nothing where something is, or no refusal is open."""
    organization = invoice.organization
    with organization_scope(organization.pk), transaction.atomic():
        lock(organization)
        course = course_of(invoice)
        if course is None or _is_owed(invoice, at):
            return
        _add(invoice, DunningKind.RECOVERED, attempts_of(invoice), at)
        push_suspension(organization.pk, at)
        tell_recovered(invoice, course, at)


def _add(invoice: Invoice, kind: DunningKind, attempt: int, at: dt.datetime, **words: str) -> bool:
    """Whether it is new. The caller holds the organization's lock."""
    if DunningFact.objects.filter(invoice=invoice, kind=kind, attempt=attempt).exists():
        return False
    DunningFact.objects.create(
        organization_id=invoice.organization_id,
        invoice=invoice,
        kind=kind,
        attempt=attempt,
        occurred_at=at,
        code=words.get("code", "")[:60],
        message=words.get("message", "")[:300],
    )
    return True


def _is_owed(invoice: Invoice, at: dt.datetime) -> bool:
    today = local_day(at, invoice.organization.zone)
    return standing_of(Invoice.objects.get(pk=invoice.pk), today) in (Standing.OPEN, Standing.OVERDUE)


def _due(invoice: Invoice) -> int:
    return int(invoice.gross - paid_amount(invoice))
