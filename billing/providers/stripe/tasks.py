"""What workers do with Stripe. All of it can be interrupted and done again; beat finds what was left undone."""

from __future__ import annotations

import datetime as dt

import structlog
from celery import shared_task
from django.utils.timezone import now

from accounts.models import Organization
from billing.dunning import facts
from billing.models import Invoice, InvoiceKind, StripeEvent, StripeInvoice
from billing.providers.stripe import customers, inbox, metering, recording, subscriptions
from billing.providers.stripe.connection import is_connected
from billing.providers.stripe.refunding import refund
from billing.providers.stripe.schedule import collect_due, organizations_to_collect_from
from core.tenancy import organization_scope, unscoped

logger = structlog.get_logger(__name__)

# How long beat leaves an event to the worker that was told of it.
TOLD = dt.timedelta(minutes=1)


@shared_task(name="billing.stripe.process_event")
def process_event(event_id: int) -> None:
    inbox.process(event_id)


@shared_task(name="billing.stripe.follow_invoice")
def follow_invoice(organization_id: int, invoice_id: int) -> None:
    """An invoice was issued or taken back, or money came: what follows for its dunning, and at Stripe."""
    with organization_scope(organization_id):
        invoice = Invoice.objects.select_related("organization", "corrects__organization").get(pk=invoice_id)
    taken_back = invoice.corrects if invoice.kind == InvoiceKind.CREDIT_NOTE else None
    facts.recover(taken_back or invoice, at=now())
    if not is_connected():
        return
    if taken_back:
        refund(invoice, now())
        return
    with organization_scope(organization_id):
        link = StripeInvoice.objects.filter(invoice=invoice, is_paid=False).exclude(stripe_id=None).first()
    if link is not None:
        recording.read(invoice, link, now())
    collect_due(invoice.organization, now())


@shared_task(name="billing.stripe.collect_payments")
def collect_payments(organization_id: int, with_new_card: bool = False) -> None:
    if is_connected():
        with organization_scope(organization_id):
            organization = Organization.objects.get(pk=organization_id)
        collect_due(organization, now(), with_new_card=with_new_card)


@shared_task(name="billing.stripe.tell_details")
def tell_details(organization_id: int) -> None:
    """Stripe's customer gets the name and address as they are now. Nothing for who is none there."""
    if is_connected():
        customers.tell_details(organization_id)


@shared_task(name="billing.stripe.watch")
def watch() -> None:
    """Beat: events that wait, retries that are due, and whatever a worker that was told of it did not do."""
    if not is_connected():
        return
    with unscoped("whose events these are turns out later"):
        waiting = StripeEvent.objects.filter(
            processed_at=None, received_at__lt=now() - TOLD, attempts__lt=inbox.MOST_ATTEMPTS
        )
        events = list(waiting.order_by("pk").values_list("pk", flat=True))
    for event in events:
        process_event.delay(event)
    for organization_id in customers.organizations_to_tell_of():
        tell_details.delay(organization_id)
    for organization_id in organizations_to_collect_from():
        collect_payments.delay(organization_id)


@shared_task(name="billing.stripe.mirror_plan")
def mirror_plan(organization_id: int) -> None:
    if is_connected():
        with organization_scope(organization_id):
            organization = Organization.objects.get(pk=organization_id)
        subscriptions.mirror(organization, now())


@shared_task(name="billing.stripe.mirror_plans_of_all")
def mirror_plans_of_all() -> None:
    """Beat: what takes effect with its day, and whatever was not shown yet."""
    if is_connected():
        for organization_id in subscriptions.organizations_with_a_card():
            mirror_plan.delay(organization_id)


@shared_task(name="billing.stripe.report_usage")
def report_usage(organization_id: int) -> None:
    if metering.is_metered():
        with organization_scope(organization_id):
            organization = Organization.objects.get(pk=organization_id)
        metering.report(organization, now())


@shared_task(name="billing.stripe.report_usage_of_all")
def report_usage_of_all() -> None:
    """Beat: usage is told to Stripe's meter, where the operator bills there."""
    if metering.is_metered():
        for organization_id in metering.organizations_to_report():
            report_usage.delay(organization_id)
