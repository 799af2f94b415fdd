"""What is to be collected of an organization now: new invoices, retries that are due, credits to be bought."""

from __future__ import annotations

import datetime as dt

from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Coalesce

from accounts.models import Organization
from billing.dunning import facts
from billing.dunning.course import course_of
from billing.models import Invoice, InvoiceKind, StripeCustomer, StripeInvoice, TopUp, TopUpStatus
from billing.providers.stripe import invoices, top_ups
from core.periods import local_day
from core.tenancy import organization_scope, unscoped


def collect_due(organization: Organization, at: dt.datetime, *, with_new_card: bool = False) -> None:
    """All of it, oldest first. With a new card nothing that is owed waits for its next retry.

    Raises stripe.StripeError when Stripe cannot be asked; another call goes on from there.
    """
    with organization_scope(organization.pk):
        owed = list(_owed(Invoice.objects.select_related("organization")).order_by("pk"))
        due = list(TopUp.objects.select_related("organization").filter(status=TopUpStatus.DUE))
    for invoice in owed:
        if with_new_card or _is_due(invoice, at):
            invoices.collect(invoice, at)
        _suspend_after_grace(invoice, at)
    for top_up in due:
        top_ups.pay(top_up, at)


def organizations_to_collect_from() -> list[int]:
    """Ids of those who owe something or have credits to be bought."""
    with unscoped("beat looks after every organization's payments"):
        owing = set(_owed(Invoice.objects.all()).values_list("organization_id", flat=True))
        buying = set(TopUp.objects.filter(status=TopUpStatus.DUE).values_list("organization_id", flat=True))
    return sorted(owing | buying)


def _owed(wanted: QuerySet[Invoice]) -> QuerySet[Invoice]:
    unpaid = wanted.filter(kind=InvoiceKind.INVOICE, credit_notes=None).annotate(
        paid=Coalesce(Sum("payments__amount"), 0)
    )
    return unpaid.filter(paid__lt=F("gross"))


def _is_due(invoice: Invoice, at: dt.datetime) -> bool:
    with organization_scope(invoice.organization_id):
        course = course_of(invoice)
        if course is not None:
            return course.next_retry_at is not None and course.next_retry_at <= at
        is_sent = StripeInvoice.objects.filter(invoice=invoice, is_paid=False).exclude(pay_url="").exists()
        is_late = invoice.due_on is not None and invoice.due_on < local_day(at, invoice.organization.zone)
        return not is_sent or is_late or StripeCustomer.objects.exclude(method_id="").exists()


def _suspend_after_grace(invoice: Invoice, at: dt.datetime) -> None:
    with organization_scope(invoice.organization_id):
        course = course_of(invoice)
        link = StripeInvoice.objects.filter(invoice=invoice, is_paid=False).first()
    if course is not None and not course.is_suspended and course.suspends_at <= at:
        facts.suspend(invoice, pay_url=link.pay_url if link is not None else "", at=at)
