"""What billing does about its own facts: it enqueues the making of PDFs, and what is to be collected at Stripe."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from accounts.signals import organization_described
from billing.providers.stripe.tasks import collect_payments, follow_invoice, mirror_plan, tell_details
from billing.signals import card_added, invoice_changed, plan_changed, tax_number_changed, top_up_due
from billing.tasks import check_tax_number, make_paper
from metering.tasks import enqueue


@receiver(invoice_changed)
def make_the_paper(organization_id: int, invoice_id: int, **_: Any) -> None:
    """While the queue is away, the PDF is made when somebody asks for it."""
    enqueue(make_paper, organization_id, invoice_id)


@receiver(invoice_changed)
def follow_the_invoice(organization_id: int, invoice_id: int, **_: Any) -> None:
    enqueue(follow_invoice, organization_id, invoice_id)


@receiver(card_added)
def collect_with_the_card(organization_id: int, **_: Any) -> None:
    enqueue(collect_payments, organization_id, True)


@receiver([card_added, plan_changed])
def show_the_plan_at_stripe(organization_id: int, **_: Any) -> None:
    enqueue(mirror_plan, organization_id)


@receiver(organization_described)
def tell_stripe_the_details(organization_id: int, **_: Any) -> None:
    enqueue(tell_details, organization_id)


@receiver(top_up_due)
def pay_for_the_credits(organization_id: int, **_: Any) -> None:
    enqueue(collect_payments, organization_id)


@receiver(tax_number_changed)
def ask_the_register(organization_id: int, **_: Any) -> None:
    enqueue(check_tax_number, organization_id)
