"""Payments that failed, as pages say it: what failed, when it is tried again, when calls stop, and the ways out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Membership
from accounts.permissions import Right, may
from billing.dunning.course import Course, open_courses
from billing.invoices.payments import due_amount
from billing.models import Invoice, StripeCustomer
from billing.providers.stripe.connection import is_connected
from core.tenancy import organization_scope


def failed_payments(membership: Membership, at: dt.datetime | None = None) -> list[dict[str, Any]]:
    """Open refusals to who sees money, the oldest first; one query where there is none, none for the others."""
    if not may(membership.role, Right.SEE_MONEY):
        return []
    organization, at = membership.organization, at or now()
    with organization_scope(organization.pk):
        return [
            _failed(invoice, course, organization.slug, organization.zone, at) for invoice, course in open_courses()
        ]


def banner(membership: Membership) -> dict[str, Any] | None:
    """What stands above every page while a payment failed: of the invoice that stops calls first."""
    failed = failed_payments(membership)
    if not failed:
        return None
    return {
        "first": failed[0],
        "others": len(failed) - 1,
        "suspended": [one["number"] for one in failed if one["is_suspended"]],
        "invoices_url": reverse("billing:invoices", args=[membership.organization.slug]),
        **_way_to_a_card(membership),
    }


def _way_to_a_card(membership: Membership) -> dict[str, Any]:
    if not (is_connected() and may(membership.role, Right.MANAGE_PAYMENT)):
        return {"card_url": "", "has_card": False}
    with organization_scope(membership.organization_id):
        has_card = StripeCustomer.objects.exclude(method_id="").exists()
    return {"card_url": reverse("stripe:card", args=[membership.organization.slug]), "has_card": has_card}


def _failed(invoice: Invoice, course: Course, slug: str, zone: ZoneInfo, at: dt.datetime) -> dict[str, Any]:
    """Days are the organization's. A try that is due waits for the next of the worker's rounds: it is today's."""
    next_retry_at = course.next_retry_at
    return {
        "number": invoice.number,
        "url": reverse("billing:invoice", args=[slug, invoice.number]),
        "pay_url": pay_url_of(invoice),
        "due": Decimal(due_amount(invoice)).scaleb(-2),
        "reason": course.reason,
        "attempts": course.attempts,
        "refused_on": course.last_refused_at.astimezone(zone).date(),
        "next_retry_on": max(next_retry_at, at).astimezone(zone).date() if next_retry_at is not None else None,
        "suspends_on": course.suspends_at.astimezone(zone).date(),
        "is_suspended": course.is_suspended,
    }


def pay_url_of(invoice: Invoice) -> str:
    """Stripe's page that takes a card for it; empty where nothing is asked for there, and only a transfer pays."""
    return next((link.pay_url for link in invoice.at_stripe.all() if not link.is_paid), "")
