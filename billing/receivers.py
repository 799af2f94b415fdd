"""What billing does when an invoice was issued, or money came for one: it enqueues the making of its PDF."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from billing.signals import invoice_changed
from billing.tasks import make_paper
from metering.tasks import enqueue


@receiver(invoice_changed)
def make_the_paper(organization_id: int, invoice_id: int, **_: Any) -> None:
    """While the queue is away, the PDF is made when somebody asks for it."""
    enqueue(make_paper, organization_id, invoice_id)
